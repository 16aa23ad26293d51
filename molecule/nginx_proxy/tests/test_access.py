"""Who may ask for what: addresses, passwords, methods, hidden and blocked paths."""

from __future__ import annotations

import pytest
from machine import Machine
from playbook import Outcome, Playbook
from proxy_sites import only, sites

SITE = "https://access.example.test"
CLOSED = "https://closed.example.test"
INSIDER, OUTSIDER = "127.0.0.4", "127.0.0.5"
PASSWORD = "correct-horse"


def status(machine: Machine, url: str, source: str = "127.0.0.1", user: str | None = None, *options: str) -> int:
    login = ["--user", user] if user else []
    return machine.ask(url, "--interface", source, *login, *options).status


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("/inside/", INSIDER, 200),
        ("/inside/", "127.0.0.1", 403),
        ("/inside/", OUTSIDER, 403),
        ("/outside/", INSIDER, 200),
        ("/outside/", OUTSIDER, 403),
        # In both lists: refused.
        ("/both/", INSIDER, 200),
        ("/both/", OUTSIDER, 403),
        ("/both/", "127.0.0.1", 403),
    ],
)
def test_addresses(machine: Machine, path: str, source: str, expected: int) -> None:
    assert status(machine, SITE + path, source) == expected


@pytest.mark.parametrize(("client", "expected"), [("2001:db8::4", 200), ("2001:DB8:0:0::4", 200), ("2001:db8::5", 403)])
def test_ipv6_addresses(machine: Machine, client: str, expected: int) -> None:
    # Containers have no IPv6: a balancer that is trusted says that the client has.
    told = ["--interface", "127.0.0.2", "--header", f"X-Forwarded-For: {client}"]
    assert machine.ask(f"{SITE}/inside/", *told).status == expected


def test_a_forged_address_opens_nothing(machine: Machine) -> None:
    forged = [f"X-Forwarded-For: {INSIDER}", f"X-Real-IP: {INSIDER}", f"Forwarded: for={INSIDER}"]
    options = [part for line in forged for part in ("--header", line)]
    assert machine.ask(f"{SITE}/inside/", *options).status == 403


def test_a_password_is_asked_for(machine: Machine) -> None:
    answer = machine.ask(f"{SITE}/users/")
    assert answer.status == 401
    assert answer.header("www-authenticate") == 'Basic realm="Users of the tests"'


@pytest.mark.parametrize(
    ("path", "user", "expected"),
    [
        ("/users/", f"alice:{PASSWORD}", 200),
        ("/users/", "alice:wrong", 401),
        ("/users/", "alice:", 401),
        ("/users/", f"bob:{PASSWORD}", 401),
        # What no location says is said by the site, and a location can take it back.
        ("/users/files/page.html", f"alice:{PASSWORD}", 200),
        ("/users/files/page.html", "alice:wrong", 401),
    ],
)
def test_passwords(machine: Machine, path: str, user: str, expected: int) -> None:
    assert status(machine, SITE + path, user=user) == expected


def test_the_password_is_passed_to_the_application(machine: Machine) -> None:
    # It may want to know who asks; nginx only checks.
    seen = dict(machine.ask(f"{SITE}/users/", "--user", f"alice:{PASSWORD}").json()["headers"])
    assert seen["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("path", "source", "user", "expected"),
    [
        ("/any/", INSIDER, None, 200),
        ("/any/", OUTSIDER, f"alice:{PASSWORD}", 200),
        ("/any/", OUTSIDER, None, 401),
        ("/any/", OUTSIDER, "alice:wrong", 401),
        ("/all/", INSIDER, f"alice:{PASSWORD}", 200),
        ("/all/", INSIDER, None, 401),
        ("/all/", OUTSIDER, f"alice:{PASSWORD}", 403),
    ],
)
def test_any_and_all(machine: Machine, path: str, source: str, user: str | None, expected: int) -> None:
    assert status(machine, SITE + path, source, user) == expected


@pytest.mark.parametrize(
    ("path", "source", "user", "expected"),
    [
        ("/", "127.0.0.1", None, 401),
        ("/", "127.0.0.1", f"alice:{PASSWORD}", 200),
        ("/", OUTSIDER, f"alice:{PASSWORD}", 403),
        ("/open/", "127.0.0.1", None, 200),
        ("/open/", OUTSIDER, None, 403),
    ],
)
def test_rules_of_a_whole_site(machine: Machine, path: str, source: str, user: str | None, expected: int) -> None:
    assert status(machine, CLOSED + path, source, user) == expected


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/reading/", "GET", 200),
        ("/reading/", "HEAD", 200),
        ("/reading/", "POST", 405),
        ("/reading/", "OPTIONS", 405),
        ("/reading/", "MADEUP", 405),
        ("/writing/", "POST", 200),
        ("/writing/", "DELETE", 200),
        ("/writing/", "GET", 405),
        ("/writing/", "HEAD", 405),
        ("/", "PATCH", 200),
    ],
)
def test_methods(machine: Machine, path: str, method: str, expected: int) -> None:
    options = ["--head"] if method == "HEAD" else ["--request", method]
    answer = machine.ask(SITE + path, *options)
    assert answer.status == expected
    if expected == 405:
        assert answer.header("allow") == {"/reading/": "GET, HEAD", "/writing/": "POST, DELETE"}[path]
        assert '"origin"' not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/.git/HEAD",
        "/.env",
        "/.env.bak",
        "//.git/HEAD",
        "/static/.git/HEAD",
        "/static//.git/HEAD",
        "/static/%2egit/HEAD",
        "/%2e%67it/HEAD",
        "/x/../.git/HEAD",
        "/x/.htpasswd",
        "/.well-knownx/y",
        "/static/.well-known/../.git/HEAD",
        "/wp-admin/",
        "/wp-admin/setup",
        "/wp%2dadmin/setup",
        "/x/info.php",
        "/info.php?x=y",
        "/info%2ephp",
        "//wp-admin/",
    ],
)
def test_what_is_blocked(machine: Machine, path: str) -> None:
    answer = machine.ask(SITE + path, "--path-as-is")
    assert (answer.status, "origin" in answer.body, "HEAD" in answer.body) == (404, False, False)


@pytest.mark.parametrize(
    "path",
    [
        "/getenv",
        "/api/digit",
        "/a.git/x",
        "/.well-known/x",
        "/x.phpx",
        "/php",
        "/wp-admins",
        "/x/wp-admin/",
        "/x?y=/.git/",
    ],
)
def test_what_is_not(machine: Machine, path: str) -> None:
    assert machine.ask(SITE + path).json()["target"] == path


def test_a_public_well_known_file_of_a_folder(machine: Machine) -> None:
    assert machine.ask(f"{SITE}/static/.well-known/x").status == 200


class TestPasswordFile:
    """It is readable for nginx alone, and in no output."""

    HASH = "$6$changed$" + "a" * 86

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        (site,) = [site for site in sites() if site["name"] == "closed"]
        changed = {**site, "basic_auth": {"users": {"alice": cls.HASH}}}
        return play("--check", "--diff", "-vvv", extra={**only(), "nginx_proxy_sites": [changed]}, code=0)

    def test_it_is_nginxs_alone(self, machine: Machine) -> None:
        find = "find -L /etc/nginx/deploy/current/sites -path '*/users/*' -type f -printf '%m %U:%G %P\\n'"
        listed = machine.run(find)
        assert len(listed.splitlines()) >= 4, listed
        owner = f"0:{machine.run('id -g www-data').strip()}"
        assert {" ".join(line.split()[:2]) for line in listed.splitlines()} == {f"640 {owner}"}

    def test_a_change_is_announced_and_not_shown(self, machine: Machine, outcome: Outcome) -> None:
        assert outcome.hosts[machine.name].changed == ["Put the configuration live"]
        assert "/users/" in outcome.output
        for secret in (self.HASH, self.HASH[10:], "$6$tests$", "wyOz4AtLsEmUF"):
            assert secret not in outcome.output
