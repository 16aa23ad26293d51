"""What `make demo` shows of a running site: every line comes from the site itself, or the demo fails."""

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from containers import ask
from docker.models.containers import Container

ROOT = Path(__file__).resolve().parent.parent
ROOT_CERTIFICATE = ROOT / "build/demo-root.pem"
APPLICATION = "notes"
PEBBLE_ROOT = ["curl", "--silent", "--fail", "--cacert", "/etc/pebble/ca.pem", "https://localhost:15000/roots/0"]


class DemoError(Exception):
    """The demo does not do what it should; the message says what."""


def require(condition: bool, problem: str) -> None:
    if not condition:
        raise DemoError(problem)


@dataclass
class Site:
    """The site as seen from this machine: its name, its published ports, and the root to trust."""

    domain: str
    http: int
    https: int
    trust: ssl.SSLContext

    def request(self, method: str, path: str, http2: bool = True, **options: Any) -> httpx.Response:
        """Ask over TLS. The name is resolved here, so that no resolver and no /etc/hosts is involved."""
        headers = {"Host": self.domain, **options.pop("headers", {})}
        with httpx.Client(http2=http2, verify=self.trust, trust_env=False, timeout=10) as client:
            response = client.request(
                method,
                f"https://127.0.0.1:{self.https}{path}",
                headers=headers,
                extensions={"sni_hostname": self.domain},
                **options,
            )
        body = " ".join(response.text.split())
        body = body if len(body) <= 100 else body[:96] + " ..."
        print(f"  {method:4} {path:12} {response.http_version:8} {response.status_code}  {body}")
        require(response.is_success, f"{method} {path} answered {response.status_code}: {body}")
        return response

    def certificate(self) -> tuple[dict[str, Any], str]:
        """The served certificate, verified, and the protocol it was served with."""
        with (
            socket.create_connection(("127.0.0.1", self.https), timeout=10) as plain,
            self.trust.wrap_socket(plain, server_hostname=self.domain) as secure,
        ):
            return dict(secure.getpeercert() or {}), secure.version() or "?"


def fetch_root(container: Container) -> ssl.SSLContext:
    """Trust what Pebble signs, and nothing else; the root is kept for the user's own requests."""
    pem = ask(container, *PEBBLE_ROOT)
    require(pem.startswith("-----BEGIN CERTIFICATE-----"), f"Pebble does not give out its root: {pem}")
    ROOT_CERTIFICATE.write_text(pem + "\n")
    return ssl.create_default_context(cafile=str(ROOT_CERTIFICATE))


def show_requests(site: Site) -> None:
    site.request("GET", "/version", http2=False)
    version = site.request("GET", "/version")
    require(version.http_version == "HTTP/2", f"the site speaks {version.http_version} only")
    note = site.request("POST", "/notes", json={"title": "written by make demo", "body": "and read back"}).json()
    read = site.request("GET", f"/notes/{note['id']}").json()
    require(read["title"] == note["title"], f"the note that was written reads {read}")
    forged = "203.0.113.66"
    seen = site.request("GET", "/whoami", headers={"X-Forwarded-For": forged}).text
    require(forged not in seen, f"a forged X-Forwarded-For reached the application: {seen}")
    print(f"       (sent with a forged X-Forwarded-For: {forged}, which did not arrive)")


def show_redirect(site: Site) -> None:
    url = f"http://127.0.0.1:{site.http}/version"
    response = httpx.get(url, headers={"Host": site.domain}, trust_env=False)
    location = response.headers.get("location", "")
    print(f"  port 80, {site.domain}: {response.status_code}, Location: {location}")
    require(location == f"https://{site.domain}/version", f"port 80 redirects to {location!r}")


def show_strangers(site: Site) -> None:
    """What asks for another name gets nothing: no page on 80, no handshake and so no certificate on 443."""
    with socket.create_connection(("127.0.0.1", site.http), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: stranger.example\r\n\r\n")
        try:
            answer = plain.recv(100)
        except ConnectionResetError:
            answer = b""
    require(answer == b"", f"an unknown Host got an answer on port 80: {answer!r}")
    print("  port 80, Host stranger.example: closed without an answer")
    with socket.create_connection(("127.0.0.1", site.https), timeout=10) as plain:
        try:
            site.trust.wrap_socket(plain, server_hostname="stranger.example").close()
        except ssl.SSLCertVerificationError as error:
            raise DemoError(f"an unknown name got a certificate on port 443: {error}") from error
        except (ssl.SSLError, ConnectionResetError) as error:
            reason = getattr(error, "reason", None) or "connection reset"
            print(f"  port 443, SNI stranger.example: no handshake ({reason})")
            return
    raise DemoError("an unknown name got a handshake on port 443")


def show_workers(container: Container) -> None:
    """How many workers run, counted on the host, and why that many."""
    processes = [line.split(None, 2) for line in ask(container, "ps", "-eo", "pid=,ppid=,args=").splitlines()]
    gunicorn = {pid: parent for pid, parent, command in processes if "gunicorn" in command}
    workers = [pid for pid, parent in gunicorn.items() if parent in gunicorn]
    require(bool(workers), "no gunicorn worker runs")
    # The reason is the comment on the setting, in the configuration of a slot.
    configuration = ask(container, "sh", "-c", f"cat /opt/{APPLICATION}/slots/*/gunicorn.conf.py")
    reason = re.search(r"^# (.*)\nworkers = \d+$", configuration, re.MULTILINE)
    require(reason is not None, "gunicorn.conf.py does not say why so many workers")
    print(f"  {len(workers)} gunicorn workers: {reason[1] if reason else ''}")


def show(container: Container, domain: str, ports: dict[int, int]) -> None:
    site = Site(domain, ports[80], ports[443], fetch_root(container))
    certificate, protocol = site.certificate()
    issuer = dict(pair for part in certificate["issuer"] for pair in part)
    print("\nRequests")
    show_requests(site)
    print("\nRefusals and redirects")
    show_redirect(site)
    show_strangers(site)
    print("\nWhat runs")
    show_workers(container)
    print(f"  {protocol}, certificate of {issuer.get('commonName')}, valid until {certificate['notAfter']}")
    print(f"  https://{domain}:{site.https}/ (documentation: /docs) and http://{domain}:{site.http}/")
    address = f"{domain}:{site.https}"
    curl = f"curl --cacert {ROOT_CERTIFICATE.relative_to(ROOT)} --resolve {address}:127.0.0.1"
    print("\nAsk it yourself:")
    print(f"  {curl} https://{address}/version")
    print(f"  {curl} --json '{json.dumps({'title': 'hello'})}' https://{address}/notes")
