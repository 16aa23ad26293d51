# Managed by Ansible (asgi.deploy, role certbot).
"""Bring certbot's certificates to nginx: lineage to site, test, reload, and see that they are served.

Runs after each issue, as certbot's deploy hook, and after every run of certbot.service, so that what
one run missed the next one mends. Prints a line for each change; prints nothing where all is well.
A certificate that does not fit its site is never served: the pair before it stays.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time

from atomic import LOCKS, flip, target_of
from certificate import problems_of, read_certificate, served_fingerprint

LIVE = "/etc/letsencrypt/live"

#: Seconds in which nginx has to serve a certificate after the reload.
PATIENCE = 10


class Site:
    """A folder below the TLS folder, whose ``current`` nginx reads."""

    def __init__(self, folder, domains, proxy_protocol=False):
        self.name = os.path.basename(folder)
        self.domains = domains
        self.proxy_protocol = proxy_protocol
        self.link = os.path.join(folder, "current")
        self.lineage = os.path.join(LIVE, self.name)
        self.before = None

    def problems(self):
        return problems_of(self.lineage + "/fullchain.pem", self.lineage + "/privkey.pem", self.domains)

    def is_linked(self):
        return target_of(self.link) == self.lineage

    def switch(self):
        self.before = target_of(self.link) or "bootstrap"
        flip(self.link, self.lineage)

    def switch_back(self):
        flip(self.link, self.before)

    def wanted(self):
        return read_certificate(self.lineage + "/fullchain.pem").fingerprint

    def is_served(self):
        return served_fingerprint(self.domains[0], proxy_protocol=self.proxy_protocol) == self.wanted()


def sites_below(root):
    """Return the sites that certbot has a certificate for."""
    sites = []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        try:
            with open(os.path.join(root, name, "site.json"), encoding="utf-8") as stream:
                wanted = json.load(stream)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if wanted["source"] == "certbot" and os.path.isdir(os.path.join(LIVE, name)):
            # Written only where nginx expects the protocol.
            sites.append(Site(os.path.join(root, name), wanted["domains"], wanted.get("proxy_protocol", False)))
    return sites


def call(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace").strip()


def load():
    """Test the configuration and make nginx load it. Returns what is wrong, or None."""
    code, output = call("nginx", "-t", "-q")
    if code:
        return "nginx -t: " + output
    code, output = call("systemctl", "reload", "nginx.service")
    return "nginx was not reloaded: " + output if code else None


def wait_until_served(sites):
    """Return the sites whose certificate nginx does not serve when the patience is over."""
    deadline = time.monotonic() + PATIENCE
    waiting = list(sites)
    while waiting and time.monotonic() < deadline:
        waiting = [site for site in waiting if not site.is_served()]
        if waiting:
            time.sleep(0.1)
    return waiting


def deploy(sites):
    """Switch and reload where it is due. Returns the complaints."""
    complaints = []
    fit = []
    for site in sites:
        problems = site.problems()
        complaints += [f"{site.name}: {problem}; the pair before it stays" for problem in problems]
        if not problems:
            fit.append(site)
    due = [site for site in fit if not (site.is_linked() and site.is_served())]
    if not due:
        return complaints
    for site in due:
        site.switch()
    problem = load()
    failed = due if problem else wait_until_served(due)
    for site in failed:
        site.switch_back()
        complaints.append(
            "{}: {}; the pair before it stays".format(
                site.name, problem or "nginx does not serve the new certificate after a reload"
            )
        )
    if failed and not problem:
        load()
    for site in due:
        if site not in failed:
            read = read_certificate(site.lineage + "/fullchain.pem")
            until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(read.not_after))
            print(f"{site.name}: nginx serves the certificate from {read.issuer}, valid until {until}")
    return complaints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tls-dir", default="/etc/nginx/tls", help="nginx's TLS folder")
    arguments = parser.parse_args()
    os.makedirs(LOCKS, mode=0o700, exist_ok=True)
    with open(LOCKS + "/.certificates", "w", encoding="utf-8") as lock:
        # The timer and a play may come at the same time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        complaints = deploy(sites_below(arguments.tls_dir))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
