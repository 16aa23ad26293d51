# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rendered tree, for the nginx of both Debian releases: its text, and as crossplane reads it."""

from __future__ import annotations

import re
import tempfile
import typing as t
from pathlib import Path

import crossplane
import jinja2
import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_questions import host_questions
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import (
    HostFacts,
    NginxVersion,
    host_facts,
    nginx_version,
)
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree, tls_pairs
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES

Normalise = t.Callable[..., dict[str, t.Any]]

DEBIAN_12 = """nginx version: nginx/1.22.1
built with OpenSSL 3.0.15 3 Sep 2024 (running with OpenSSL 3.0.17 1 Jul 2025)
TLS SNI support enabled
configure arguments: --with-cc-opt='-g -O2'
"""
UBUNTU_22 = "nginx version: nginx/1.18.0 (Ubuntu)\nbuilt with OpenSSL 3.0.2 15 Mar 2022\n"
DEBIAN_13 = """nginx version: nginx/1.26.3
built with OpenSSL 3.5.0 8 Apr 2025 (running with OpenSSL 3.5.1 1 Jul 2025)
"""

NOTES = {"name": "notes", "domains": ["notes.example.com", "*.notes.example.com"], "app": "notes"}
PLAIN = {
    "name": "plain.example.com",
    "domains": ["plain.example.com"],
    "upstream": {"servers": ["10.0.0.1:8000", "[2001:db8::1]:8000"], "method": "least_conn"},
    "tls": {"source": "none"},
    "body_size": "unlimited",
    "headers": {"X-Frame-Options": "", "Content-Security-Policy": "default-src 'self'; img-src *"},
    "extra": 'location = /x {\n    return 200 "}";\n}',
}
FILES = {
    "name": "own",
    "domains": ["own.example.com"],
    "app": "notes",
    "tls": {"source": "files", "certificate": "/etc/ssl/own.pem", "key": "/etc/ssl/private/own.pem"},
}
SIGNED = {**NOTES, "tls": {"source": "self_signed", "profile": "modern", "hsts_max_age": 0}}
INPUTS: dict[str, dict[str, t.Any]] = {
    "nothing": {},
    "one": {"nginx_proxy_sites": [NOTES]},
    "three": {"nginx_proxy_sites": [NOTES, PLAIN, FILES], "nginx_proxy_ipv6": False},
    "modern": {"nginx_proxy_sites": [SIGNED], "nginx_proxy_ipv6": True, "nginx_proxy_status_port": 9000},
}

Directive = dict[str, t.Any]
Render = t.Callable[..., str]


@pytest.fixture
def tmp_path() -> t.Iterator[Path]:
    """Not pytest's, which is below the checkout: nginx would end a path at a space, and a checkout's may have one."""
    with tempfile.TemporaryDirectory(prefix="asgi-deploy-") as folder:
        yield Path(folder)


@pytest.fixture
def render() -> Render:
    return renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")


class Tree:
    """A rendered tree with the directives that crossplane reads in it."""

    def __init__(self, folder: Path, files: dict[str, str], generation: str) -> None:
        self.files = files
        self.generation = generation
        for name, text in files.items():
            path = folder / "deploy" / "current" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("/etc/nginx/", f"{folder}/"), encoding="utf-8")
        # Of the package, not ours.
        (folder / "mime.types").write_text("types { text/html html; }\n", encoding="utf-8")
        entry = folder / "nginx.conf"
        entry.write_text(renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")("nginx.conf.j2"), encoding="utf-8")
        payload = crossplane.parse(str(entry), combine=True)
        assert payload["errors"] == []
        self.top: list[Directive] = payload["config"][0]["parsed"]

    def http(self, name: str) -> list[Directive]:
        block = next(directive["block"] for directive in self.top if directive["directive"] == "http")
        return [directive for directive in block if directive["directive"] == name]

    def servers(self, port: str) -> list[list[Directive]]:
        """Return the servers that listen on IPv4 at this port."""
        blocks = [server["block"] for server in self.http("server")]
        return [block for block in blocks if any(args[0] == port for args in args_of(block, "listen"))]


def args_of(block: t.Iterable[Directive], name: str) -> list[list[str]]:
    return [directive["args"] for directive in block if directive["directive"] == name]


def names_of(servers: list[list[Directive]]) -> list[list[str]]:
    return [args_of(block, "server_name")[0] for block in servers]


@pytest.fixture
def make_tree(normalised: Normalise, render: Render, tmp_path: Path) -> t.Callable[..., Tree]:
    def make(name: str, nginx: str = DEBIAN_13, ipv6: bool = True) -> Tree:
        proxy = normalised("nginx_proxy", **INPUTS[name])
        tree = build_tree(render, proxy, nginx_version(nginx), HostFacts(ipv6))
        return Tree(tmp_path, tree.files, tree.generation)

    return make


@pytest.mark.parametrize("ipv6", [False, True])
@pytest.mark.parametrize("nginx", [UBUNTU_22, DEBIAN_12, DEBIAN_13], ids=["ubuntu22", "debian12", "debian13"])
@pytest.mark.parametrize("name", INPUTS)
def test_nginx_could_read_every_tree(make_tree: t.Callable[..., Tree], name: str, nginx: str, ipv6: bool) -> None:
    tree = make_tree(name, nginx, ipv6)
    sites = INPUTS[name].get("nginx_proxy_sites", [])
    for file, text in tree.files.items():
        if file.endswith(".html"):
            continue
        assert text.startswith("# Managed by Ansible (asgi.deploy, role nginx_proxy)."), file
        assert text.endswith("\n"), file
        assert "{{" not in text, file
        assert "None" not in text, file
    upstreams = [args[0] for args in args_of(tree.http("upstream"), "upstream")]
    passed = [
        location["args"][0].removeprefix("http://")
        for server in tree.http("server")
        for outer in server["block"]
        for location in outer.get("block", [])
        if location["directive"] == "proxy_pass"
    ]
    assert len(upstreams) == len(set(upstreams)) == len(sites)
    assert sorted(passed) == sorted(upstreams)
    variables = [args[1] for args in args_of(tree.http("map"), "map")]
    assert len(variables) == len(set(variables))
    listens = [args[0] for server in tree.http("server") for args in args_of(server["block"], "listen")]
    wanted = INPUTS[name].get("nginx_proxy_ipv6")
    assert any(listen.startswith("[::]") for listen in listens) is (ipv6 if wanted is None else wanted)


@pytest.mark.parametrize(
    ("nginx", "http2", "listen", "curves"),
    [
        (DEBIAN_12, [], ["443", "ssl", "http2"], "X25519:prime256v1:secp384r1"),
        (DEBIAN_13, [["on"]], ["443", "ssl"], "?X25519MLKEM768:X25519:prime256v1:secp384r1"),
    ],
)
def test_syntax_of_the_version(
    make_tree: t.Callable[..., Tree], nginx: str, http2: list[list[str]], listen: list[str], curves: str
) -> None:
    tree = make_tree("one", nginx)
    assert [args_of(server, "http2") for server in tree.servers("443")] == [http2, http2]
    # At the level of http it would be spoken on port 80 too, without TLS.
    assert tree.http("http2") == []
    assert listen in args_of(tree.servers("443")[1], "listen")
    assert args_of(tree.http("ssl_ecdh_curve"), "ssl_ecdh_curve") == [[curves]]


@pytest.mark.parametrize(("name", "protocols"), [("one", ["TLSv1.2", "TLSv1.3"]), ("modern", ["TLSv1.3"])])
def test_protocols_stand_in_http_only(make_tree: t.Callable[..., Tree], name: str, protocols: list[str]) -> None:
    tree = make_tree(name)
    assert args_of(tree.http("ssl_protocols"), "ssl_protocols") == [protocols]
    assert not any(args_of(server["block"], "ssl_protocols") for server in tree.http("server"))


def test_unknown_names_get_nothing(make_tree: t.Callable[..., Tree]) -> None:
    tree = make_tree("three")
    first_80, first_443 = tree.servers("80")[0], tree.servers("443")[0]
    assert "default_server" in args_of(first_80, "listen")[0]
    assert args_of(first_80, "return") == [["444"]]
    assert "default_server" in args_of(first_443, "listen")[0]
    assert args_of(first_443, "ssl_reject_handshake") == [["on"]]
    [location] = [directive for directive in first_443 if directive["directive"] == "location"]
    assert (location["args"], args_of(location["block"], "return")) == (["/"], [["421"]])


def test_unknown_names_with_an_nginx_that_cannot_reject_a_handshake(
    make_tree: t.Callable[..., Tree], tmp_path: Path
) -> None:
    first_443 = make_tree("three", UBUNTU_22).servers("443")[0]
    assert args_of(first_443, "ssl_reject_handshake") == []
    assert args_of(first_443, "ssl_certificate") == [[f"{tmp_path}/tls/_default/current/fullchain.pem"]]
    assert args_of(first_443, "return") == [["444"]]


def test_redirects_go_to_the_literal_name(make_tree: t.Callable[..., Tree]) -> None:
    tree = make_tree("three")
    assert names_of(tree.servers("80")) == [
        [""], ["notes.example.com"], ["*.notes.example.com"], ["plain.example.com"], ["own.example.com"],
    ]  # fmt: skip
    targets = {}
    for block in tree.servers("80"):
        location: list[Directive] = next(
            (d["block"] for d in block if d["directive"] == "location" and d["args"] == ["/"]), []
        )
        targets[args_of(block, "server_name")[0][0]] = args_of(location, "return")
    assert targets == {
        "": [],
        "notes.example.com": [["308", "https://notes.example.com$request_uri"]],
        # Only names under the wildcard arrive here.
        "*.notes.example.com": [["308", "https://$host$request_uri"]],
        "plain.example.com": [],
        "own.example.com": [["308", "https://own.example.com$request_uri"]],
    }


def test_a_challenge_is_answered_for_every_name(make_tree: t.Callable[..., Tree]) -> None:
    for block in make_tree("three").servers("80")[1:]:
        location = next(d for d in block if d["directive"] == "location" and d["args"][0] == "^~")
        assert location["args"] == ["^~", "/.well-known/acme-challenge/"]
        assert args_of(location["block"], "root") == [["/var/www/acme"]]


def test_pairs_of_the_sites(make_tree: t.Callable[..., Tree], tmp_path: Path) -> None:
    pairs = [
        (args_of(block, "ssl_certificate"), args_of(block, "ssl_certificate_key"))
        for block in make_tree("three").servers("443")[1:]
    ]
    current = f"{tmp_path}/tls/notes/current"
    assert pairs == [
        ([[f"{current}/fullchain.pem"]], [[f"{current}/privkey.pem"]]),
        ([["/etc/ssl/own.pem"]], [["/etc/ssl/private/own.pem"]]),
    ]


def test_headers_of_a_site(make_tree: t.Callable[..., Tree]) -> None:
    tree = make_tree("three")
    [plain] = [block for block in tree.servers("80") if ["plain.example.com"] in args_of(block, "server_name")]
    added = args_of(plain, "add_header")
    assert [args[0] for args in added] == [
        "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy",
        "Referrer-Policy", "X-Content-Type-Options", "X-Request-ID", "Retry-After",
    ]  # fmt: skip
    assert {args[2] for args in added} == {"always"}
    maps = {directive["args"][1]: directive for directive in tree.http("map")}
    policy = maps[added[0][1]]
    assert policy["args"][0] == "$upstream_http_content_security_policy"
    assert [(d["directive"], d["args"]) for d in policy["block"]] == [
        ("", ["default-src 'self'; img-src *"]), ("default", [""]),
    ]  # fmt: skip
    # An add_header further inside drops all of these, so they come again there.
    for server in tree.http("server"):
        for inside in (directive.get("block", []) for directive in server["block"]):
            names = {args[0] for args in args_of(inside, "add_header")}
            assert not names or {"X-Content-Type-Options", "X-Request-ID"} < names


def test_headers_of_our_own_pages_are_ours(make_tree: t.Callable[..., Tree]) -> None:
    """The answer that a page takes the place of is gone with its headers: it must not keep ours from being sent."""
    tree = make_tree("three")
    [plain] = [block for block in tree.servers("80") if ["plain.example.com"] in args_of(block, "server_name")]
    pages = next(directive["block"] for directive in plain if directive["args"] == ["/_error_pages/"])
    added = {args[0]: args[1:] for args in args_of(pages, "add_header")}
    assert added["Content-Security-Policy"] == ["default-src 'self'; img-src *", "always"]
    own = {directive["args"][1] for directive in tree.http("map") if "$upstream_http" in directive["args"][0]}
    assert not own & {args[0] for args in added.values()}
    assert [*added] == [*(args[0] for args in args_of(plain, "add_header")), "Cache-Control"]


def test_the_applications_own_id_does_not_pass(make_tree: t.Callable[..., Tree]) -> None:
    """Beside nginx's there would be two, and out of a cache that of another request."""
    tree = make_tree("three")
    assert [directive["args"] for directive in tree.http("proxy_hide_header")] == [["X-Request-ID"], ["X-Cache"]]
    # One further inside would drop these there.
    assert sum(text.count("\nproxy_hide_header") for text in tree.files.values()) == 2


@pytest.mark.parametrize("port", ["80", "443"])
def test_below_a_wildcard_only_names_are_names(make_tree: t.Callable[..., Tree], port: str) -> None:
    # evil.example#.notes.example.com is a Host that nginx lets pass, and an application would link to.
    servers = {name: block for block in make_tree("three").servers(port) for name in args_of(block, "server_name")[0]}
    block = servers["*.notes.example.com"]
    if port == "80":
        block = next(directive["block"] for directive in block if directive["args"] == ["/"])
    guard = next(directive for directive in block if directive["directive"] == "if" and "$host" in directive["args"])
    assert guard["args"] == ["$host", "!~", "^[a-z0-9_.-]+$"]
    assert args_of(guard["block"], "return") == [["444"]]
    assert "own.example.com" in servers
    plain = servers["own.example.com"]
    assert not any("$host" in directive["args"] for directive in plain if directive["directive"] == "if")


def test_variables_of_two_sites_are_never_one(normalised: Normalise, render: Render, tmp_path: Path) -> None:
    # Of two maps for one variable nginx takes the last, without a word.
    sites = [
        {"name": "a", "domains": ["a.example.com"], "app": "notes", "headers": {"B-C": "1"}},
        {"name": "a-b", "domains": ["b.example.com"], "app": "notes", "headers": {"C": "2"}},
        {"name": "a-b-c", "domains": ["c.example.com"], "app": "notes", "locations": [{"path": "/b/", "limits": []}]},
    ]
    proxy = normalised("nginx_proxy", nginx_proxy_sites=sites)
    tree = build_tree(render, proxy, nginx_version(DEBIAN_13), HostFacts(ipv6=True))
    variables = [args[1] for args in args_of(Tree(tmp_path, tree.files, tree.generation).http("map"), "map")]
    assert len(variables) == len(set(variables))


def test_body_size_and_extra(make_tree: t.Callable[..., Tree]) -> None:
    tree = make_tree("three")
    [plain] = [block for block in tree.servers("80") if ["plain.example.com"] in args_of(block, "server_name")]
    assert args_of(plain, "client_max_body_size") == [["0"]]
    assert args_of([d for d in plain if d["directive"] == "location"], "location")[-1] == ["=", "/x"]
    assert '    location = /x {\n        return 200 "}";\n    }\n' in tree.files["sites/plain.example.com/site.conf"]


def test_what_a_client_cannot_choose(make_tree: t.Callable[..., Tree]) -> None:
    files = make_tree("one").files
    text = files["snippets/proxy_headers.conf"] + files["snippets/websocket.conf"]
    sent = dict(re.findall(r"^proxy_set_header (\S+) (\S+);$", text, re.MULTILINE))
    assert sent["Host"] == "$host"
    assert sent["X-Forwarded-For"] == sent["X-Real-IP"] == "$remote_addr"
    assert sent["Forwarded"] == sent["Proxy"] == '""'
    assert sent["Upgrade"] == "$proxy_upgrade"
    assert "$proxy_add_x_forwarded_for" not in text


@pytest.mark.parametrize(
    ("client_address", "scheme", "port"),
    [
        ({}, "$scheme", "$server_port"),
        ({"trusted": ["192.0.2.0/24"]}, "$client_scheme", "$client_port"),
        # What passes TCP through passes the client's own headers through.
        ({"trusted": ["192.0.2.0/24"], "proxy_protocol": True}, "$scheme", "$server_port"),
    ],
    ids=["nobody in front", "http", "tcp"],
)
def test_whose_scheme_is_believed(
    normalised: Normalise, render: Render, client_address: dict[str, t.Any], scheme: str, port: str
) -> None:
    site = {**NOTES, "cache": {}}
    proxy = normalised("nginx_proxy", nginx_proxy_sites=[site], nginx_proxy_client_address=client_address)
    files = build_tree(render, proxy, nginx_version(DEBIAN_13), HostFacts(ipv6=True)).files
    text = "\n".join(files.values())
    assert f"\nproxy_set_header X-Forwarded-Proto {scheme};\nproxy_set_header X-Forwarded-Host" in text
    assert f"\nproxy_set_header X-Forwarded-Port {port};\n" in text
    assert f'\nproxy_cache_key "{scheme}://$host$request_uri";\n' in text
    assert ("$http_x_forwarded_proto" in text) == ("$from_trusted_proxy" in text) == (scheme == "$client_scheme")


def to(*servers: str) -> dict[str, t.Any]:
    return {"name": "other", "domains": ["other.example.com"], "upstream": {"servers": list(servers)}}


@pytest.mark.parametrize(
    ("sites", "cpus", "workers"),
    [
        ([NOTES], 1, "1"),
        ([NOTES], 2, "1"),
        ([NOTES], 3, "2"),
        ([NOTES], 8, "4"),
        ([NOTES, PLAIN], 8, "4"),
        # Not known: an nginx that is left to count by itself.
        ([NOTES], 0, "auto"),
        ([], 8, "auto"),
        ([to("unix:/run/app.sock")], 8, "4"),
        ([to("127.0.0.1:8000")], 8, "4"),
        ([to("localhost:8000")], 8, "4"),
        ([to("[0::1]:8000")], 8, "4"),
        ([to("[::ffff:127.0.0.1]:8000")], 8, "4"),
        ([to("192.0.2.1:8000")], 8, "auto"),
        ([to("192.0.2.1:8000", "127.0.0.1:8000")], 8, "4"),
        ([{**to("192.0.2.1:8000"), "locations": [{"path": "/api/", "upstream": {"servers": ["[::1]:8000"]}}]}], 8, "4"),
    ],
)
def test_workers_leave_room_for_an_application_on_the_host(
    normalised: Normalise, render: Render, sites: list[dict[str, t.Any]], cpus: int, workers: str
) -> None:
    host = HostFacts(ipv6=True, cpus=cpus)

    def stated(**variables: t.Any) -> str:
        proxy = normalised("nginx_proxy", nginx_proxy_sites=sites, **variables)
        main = build_tree(render, proxy, nginx_version(DEBIAN_13), host).files["main.conf"]
        (found,) = re.findall(r"^worker_processes (\S+);$", main, re.MULTILINE)
        return str(found)

    assert stated() == workers
    assert stated(nginx_proxy_worker_processes=3) == "3"


@pytest.mark.parametrize(
    ("probe", "host"),
    [
        ("ipv6\ncpus=4\nnginx version: nginx/1.26.3\n", HostFacts(ipv6=True, cpus=4)),
        ("cpus=16\nnginx version: nginx/1.26.3\n", HostFacts(ipv6=False, cpus=16)),
        ("ipv6\ncpus=\nnginx version: nginx/1.26.3\n", HostFacts(ipv6=True, cpus=0)),
    ],
)
def test_what_the_host_says(probe: str, host: HostFacts) -> None:
    assert host_facts(probe) == host
    assert nginx_version(probe).version == (1, 26, 3)


def test_the_generation_tells_configurations_apart(normalised: Normalise, render: Render) -> None:
    def generation(nginx: str = DEBIAN_13, ipv6: bool = True, **variables: t.Any) -> str:
        proxy = normalised("nginx_proxy", **{"nginx_proxy_sites": [NOTES], **variables})
        tree = build_tree(render, proxy, nginx_version(nginx), HostFacts(ipv6))
        assert f'return 200 "{tree.generation}\\n";' in tree.files["http/status.conf"]
        return tree.generation

    first = generation()
    assert generation() == first
    others = [
        generation(DEBIAN_12),
        generation(ipv6=False),
        generation(nginx_proxy_sites=[]),
        generation(nginx_proxy_sites=[PLAIN]),
        generation(nginx_proxy_status_port=8100),
        generation(nginx_proxy_worker_connections=1024),
    ]
    assert len({first, *others}) == 7
    # What no file shows makes no new generation.
    assert generation(nginx_proxy_generations=9) == first


@pytest.mark.parametrize(
    ("text", "version", "post_quantum"),
    [
        (DEBIAN_12, (1, 22, 1), False),
        (DEBIAN_13, (1, 26, 3), True),
        ("ipv6\n  Candidate: 1.22.1-9+deb12u2\n", (1, 22, 1), False),
        ("nginx version: nginx/1.24.0 (Ubuntu)\nbuilt with OpenSSL 3.0.13 30 Jan 2024\n", (1, 24, 0), False),
        ("nginx version: nginx/1.29.1\nbuilt with OpenSSL 3.5.4 30 Sep 2025\n", (1, 29, 1), True),
        ("nginx version: nginx/1.18.0 (Ubuntu)", (1, 18, 0), False),
    ],
)
def test_version(text: str, version: tuple[int, ...], post_quantum: bool) -> None:
    nginx = nginx_version(text)
    assert (nginx.version, nginx.post_quantum) == (version, post_quantum)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  Candidate: (none)", 'nginx: "Candidate: (none)" is refused; accepted: an nginx that tells its version'),
        ("", 'nginx: "" is refused; accepted: an nginx that tells its version'),
        ("nginx version: nginx/1.17.10", 'nginx: "1.17.10" is refused; accepted: nginx 1.18.0 or later'),
    ],
)
def test_version_refused(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        nginx_version(text)
    assert str(caught.value) == message


def test_pairs(normalised: Normalise) -> None:
    proxy = normalised("nginx_proxy", **INPUTS["three"])
    notes = {"name": "notes", "domains": NOTES["domains"], "source": "certbot", "lineage": None}
    assert tls_pairs(proxy, nginx_version(DEBIAN_12)) == [notes]
    # It has to show a certificate before it can turn a name away.
    unknown = {"name": "_default", "domains": ["unknown.invalid"], "source": "self_signed", "lineage": None}
    assert tls_pairs(proxy, nginx_version(UBUNTU_22)) == [unknown, notes]
    own = {
        "path": "nginx_proxy_sites[2].tls",
        "certificate": "/etc/ssl/own.pem",
        "key": "/etc/ssl/private/own.pem",
        "domains": ["own.example.com"],
    }
    assert host_questions("nginx_proxy", proxy) == {"pairs": [own]}


def test_sites_that_share_a_lineage(normalised: Normalise) -> None:
    shop, admin = (
        {"name": name, "domains": [f"{name}.example.com"], "app": "notes", "tls": {"lineage": "wildcard"}}
        for name in ("shop", "admin")
    )
    proxy = normalised("nginx_proxy", nginx_proxy_sites=[shop, admin])
    pairs = tls_pairs(proxy, nginx_version(DEBIAN_12))
    assert [(pair["name"], pair["lineage"]) for pair in pairs] == [("shop", "wildcard"), ("admin", "wildcard")]
    # nginx reads a folder for each site all the same: each can be on its bootstrap pair while the other is not.
    paths = [site["tls"]["certificate"] for site in proxy["sites"]]
    assert paths == [f"/etc/nginx/tls/{name}/current/fullchain.pem" for name in ("shop", "admin")]


TEMPLATES = sorted(ROLES.glob("*/templates/**/*.j2"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROLES)))
def test_templates_hold_no_logic(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*(?:default|d)\b", text)
    assert "lookup(" not in text
    tags = {"if", "elif", "else", "endif", "for", "endfor", "include", "from", "macro", "endmacro"}
    assert set(re.findall(r"{%-?\s*(\w+)", text)) <= tags
    # Parts are put into other files, and a page is read by people who never heard of Ansible.
    if not {"parts", "pages"} & set(template.parts):
        assert "{{ ansible_managed }}" in text.splitlines()[:2]


def test_a_name_that_is_missing_is_an_error(render: Render) -> None:
    with pytest.raises(jinja2.UndefinedError, match="status_port"):
        render("http/status.conf.j2", generation="x")
    with pytest.raises(jinja2.UndefinedError, match="tls_policy"):
        render("http/tls.conf.j2", nginx={})


def test_the_tree_of_a_structure_with_a_hole_is_an_error(normalised: Normalise, render: Render) -> None:
    proxy = normalised("nginx_proxy", nginx_proxy_sites=[NOTES])
    del proxy["sites"][0]["locations"][0]["timeouts"]["read"]
    with pytest.raises(jinja2.UndefinedError, match="read"):
        build_tree(render, proxy, NginxVersion((1, 26, 3), "3.5.1"), HostFacts(ipv6=True))
