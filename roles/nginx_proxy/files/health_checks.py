# Managed by Ansible (asgi.deploy, role nginx_proxy).
"""Ask the other hosts of the applications for their health paths, once, and have nginx leave out those that fail.

Whom: the servers in the live configuration of nginx. For what: /etc/asgi-deploy/health.json. A host is marked "down" in
nginx's configuration after some failures in a row, and the mark goes after some successes in a row; never are all
servers of an upstream marked. Prints a line for each change.
"""

import argparse
import json
import os
import subprocess
import sys

from atomic import locked, read_text, words_of
from health_counts import LOCK, STATE, Count, counted, publish, read_counts, state_of, table
from health_marks import Marks
from health_probe import Target, ask_all
from host_marks import FILE, marks_of, servers_of, with_marks
from nginx import Nginx
from nginx_generations import Generations, Refusal
from nginx_sandbox import APART, sandbox_of

CONFIG = "/etc/asgi-deploy/health.json"


def call(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def read_config():
    try:
        return json.loads(read_text(CONFIG) or "")
    except ValueError:
        raise ValueError(CONFIG + " is not as the role nginx_proxy writes it: run the playbook") from None


def targets_of(text, config):
    """Return the servers of nginx's configuration whose health path is known, each once."""
    found = {}
    for server in servers_of(text):
        name = config["upstreams"].get(server.upstream)
        application = config["applications"].get(name, {"hosts": {}})
        question = application["hosts"].get(server.host)
        if server.address in found:
            found[server.address].upstreams.append(server.upstream)
        elif question is not None:
            found[server.address] = Target(
                address=server.address,
                host=server.host,
                application=name,
                upstreams=[server.upstream],
                domain=application["domain"],
                https=application["https"],
                tls_name=application["tls_name"],
                **question,
            )
    return list(found.values())


def count(targets, text, config):
    """Ask all targets, and return their counts before and after by the address."""
    marked, known = marks_of(text), read_counts()
    before = {one.address: known.get(one.address, Count(one.address in marked)) for one in targets}
    answers = ask_all(targets, config["timeout"])
    return before, {
        address: counted(before[address], problem, config["fall"], config["rise"])
        for address, problem in answers.items()
    }


def put(addresses):
    """Have nginx leave out these addresses, and return whether anything was changed."""
    generations = Generations()
    port = generations.status_port(generations.live() or "")
    # This program's own sandbox is narrower than that of nginx: the test is never made in it.
    return Marks(generations, Nginx(call, port, sandbox_of() or list(APART))).put(addresses)


def say(targets, before, after, marked):
    """Print what has become of each host since the run before. :param marked: the addresses that are to be left out"""
    for one in targets:
        was, now = before[one.address], after[one.address]
        if was.down == now.down:
            continue
        said = f"fails: {now.problem}" if now.down else "answers as it should again"
        if now.down and one.address not in marked:
            said += f"; it is asked all the same, for no other server of {', '.join(one.upstreams)} is left"
        print(f"{one.host} ({one.application}, {one.address}) {said}", flush=True)


def run():
    config = read_config()
    path = os.path.join("/etc/nginx/deploy/current", FILE)
    text = read_text(path) or ""
    targets = targets_of(text, config)
    before, after = count(targets, text, config)
    down = {address for address, one in after.items() if one.down}
    say(targets, before, after, marks_of(with_marks(text, down)))
    try:
        changed = put(down) if text else False
    finally:
        # Also where nginx did not take it: what the hosts answered is so.
        left = servers_of(read_text(path) or "")
        publish(state_of(targets, after, {server.address for server in left if server.down}))
    if changed:
        names = sorted({f"{server.host} from {server.upstream}" for server in left if server.down})
        print("nginx leaves out " + (", ".join(names) or "no host"), flush=True)


def status():
    try:
        print(table(json.loads(read_text(STATE) or '{"hosts": []}')))
    except (ValueError, KeyError, TypeError):
        raise ValueError(STATE + " is not as this program writes it; the next run writes it anew") from None


def main():
    parser = argparse.ArgumentParser(prog="asgi-deploy-health", description=__doc__.splitlines()[0])
    parser.add_argument("--status", action="store_true", help="say how the hosts are, and change nothing")
    arguments = parser.parse_args()
    # A hardened host's root may have 077: nginx's workers could not read what is made here.
    os.umask(0o022)
    try:
        if arguments.status:
            status()
        else:
            with locked(LOCK, "A question to the hosts"):
                run()
    except (Refusal, ValueError, OSError) as error:
        print(words_of(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
