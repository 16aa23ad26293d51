# Managed by Ansible (asgi.deploy, role nginx_proxy).
"""Put an old generation of nginx's configuration live: test it, switch to it, reload, and see that it is served.

Without a GENERATION, the one that nginx served before the live one. If nginx does not take it, the live one stays.
The next run of the playbook puts the inventory's configuration live again.
"""

import argparse
import os
import subprocess
import sys
import time

from atomic import locked, words_of
from nginx import LOCK, LOCK_HOLDER, Nginx
from nginx_generations import Generations, Refusal, id_of
from nginx_sandbox import sandbox_of
from nginx_switch import go_back, load_and_confirm
from tls_folder import TlsFolders


def call(command):
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def show(generations):
    """Print each generation, the newest first: when it was made, its id, and what is known of it."""
    live = generations.live()
    confirmed = generations.confirmed()
    for one in reversed(generations.all()):
        made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.strptime(one.time, "%Y%m%dT%H%M%SZ"))
        note = "live" if one.name == live else ("" if one.name in confirmed else "gone back from, or never served")
        print(f"{made}  {one.id}  {note}".rstrip())


def roll_back(generations, wanted, tls_dir):
    name = generations.find(wanted)
    nginx = Nginx(call, generations.status_port(name), sandbox_of())
    tls = TlsFolders(tls_dir, [])
    if go_back(generations, nginx, tls, name, lambda generation: load_and_confirm(nginx, generation)):
        print(f"nginx serves the generation {id_of(name)}. The next run of the playbook undoes this.")
    else:
        print(f"nginx serves the generation {id_of(name)} already.")


def main():
    parser = argparse.ArgumentParser(prog="asgi-deploy-nginx-rollback", description=__doc__.splitlines()[0])
    parser.add_argument("generation", nargs="?", default="previous", help="its id, as --list shows it")
    parser.add_argument("--list", action="store_true", help="show the generations and change nothing")
    parser.add_argument("--tls-dir", default="/etc/nginx/tls", help="nginx's TLS folder")
    arguments = parser.parse_args()
    # A hardened host's root may have 077: nginx's workers could not read what is made here.
    os.umask(0o022)
    generations = Generations()
    if arguments.list:
        show(generations)
        return 0
    try:
        with locked(LOCK, LOCK_HOLDER):
            generations.refuse_foreign()
            generations.clean()
            roll_back(generations, arguments.generation, arguments.tls_dir)
    except (Refusal, ValueError, OSError) as error:
        print(words_of(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
