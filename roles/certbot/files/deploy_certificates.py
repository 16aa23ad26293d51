# Managed by Ansible (asgi.deploy, role certbot).
"""Bring certbot's certificates to nginx: lineage to site, test, reload, and see that they are served.

Runs at the end of each play, as certbot's deploy hook, after every run of certbot.service and by a timer of its own, so
that what one run missed the next one mends. Prints a line for each change; prints nothing where all is well, and says
what is not on standard error (exit code 1). A certificate that does not fit its site is never served: the pair before
it stays.
"""

import argparse
import os
import subprocess
import sys

from atomic import locked, words_of
from certbot_turn import UNIT, wait_for_turn
from certificate_alarm import Alarm
from certificate_deploy import Server
from certificate_renewal import forget_failures, is_stopping, note_of, recovered
from certificate_run import Host, look, work
from certificate_state import Store, read_config
from certificate_status import table

LOCK = ".certificates"
LOCK_HOLDER = "Another deployment of certificates"

#: Seconds; the command of the user's own may take minutes for each certificate.
LONGEST_RUN = 600


def call(command, environ_update=None):
    environment = {**os.environ, **(environ_update or {})}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def say(lines, before=""):
    for line in lines:
        print(before + line, file=sys.stderr)


def run(after_renewal, play):
    store, config = Store(), read_config()
    if after_renewal and is_stopping(call):
        # What did not end before the host goes down is looked at when it is up again.
        return 0
    with locked(LOCK, LOCK_HOLDER, LONGEST_RUN):
        note = store.read("state").get("renewal")
        if after_renewal:
            note = recovered(note_of(os.environ, call, note, config.server), config, call)
        report = work(Host(config, store, call), Server(call), note)
        unwritten = store.publish(report.state, config.textfile_dir)
    print("".join(line + "\n" for line in report.changes), end="", flush=True)
    say(report.problems + unwritten)
    say(report.waiting, "warning: " if play else "")
    if report.problems or unwritten or (report.waiting and not play):
        return 1
    if not report.waiting:
        forget_failures(call)
        say(Alarm(config.alarm, store).clear("asgi-deploy-certificates"))
    return 0


def status():
    store, config = Store(), read_config()
    report = look(Host(config, store, call), store.read("state").get("renewal"))
    print(table(report.state))
    return 1 if report.state["problems"] else 0


def alarm(unit):
    store, config = Store(), read_config()
    problems = store.read("state").get("problems") or [f"{unit} failed: see journalctl --unit={unit}"]
    failures = Alarm(config.alarm, store).raise_(unit, problems)
    say(failures)
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(prog="asgi-deploy-certificates", description=__doc__.splitlines()[0])
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--status", action="store_true", help="say how things are, and change nothing")
    modes.add_argument("--hook", action="store_true", help="for certbot's deploy hook")
    modes.add_argument("--after-renewal", action="store_true", help=f"for the end of {UNIT}")
    modes.add_argument("--play", action="store_true", help="for the role, which does not wait for the next renewal")
    modes.add_argument("--wait", action="store_true", help="wait until no play calls certbot")
    modes.add_argument("--alarm", metavar="UNIT", help="tell of what made UNIT fail")
    arguments = parser.parse_args()
    # A hardened host's root may have 077: the fact and the metrics are for others.
    os.umask(0o022)
    if arguments.hook and os.environ.get("ASGI_DEPLOY_AFTERWARDS") == "1":
        # Whoever started certbot runs this when it is done: one reload, however many certificates came.
        return 0
    try:
        if arguments.wait:
            say(filter(None, [wait_for_turn()]))
            return 0
        if arguments.alarm:
            return alarm(arguments.alarm)
        return status() if arguments.status else run(arguments.after_renewal, arguments.play)
    except (ValueError, OSError) as error:
        say([words_of(error)])
        return 1


if __name__ == "__main__":
    sys.exit(main())
