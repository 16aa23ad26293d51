# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutual TLS on the hop: what is refused of the certificates, what nginx and stunnel get, who reaches whom by it."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import hop_pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.asgi.deploy.plugins.plugin_utils import hop_trust
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import hop_files
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_needs import packages
from ansible_collections.asgi.deploy.plugins.plugin_utils.examination import examine
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import (
    FLEET,
    ROLES,
    Host,
    fleet_of,
    normalise,
)

Variables = dict[str, t.Any]

SITE = {"name": "notes", "app": "notes", "domains": ["notes.example.com"]}
FACTS = {"processor_nproc": 2, "memtotal_mb": 2048}
APP = "gunicorn_app_port_tls"
PROXY = "nginx_proxy_app_tls"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By the documentation's own commands."""
    return hop_pki.make(tmp_path_factory.mktemp("hop"))


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hop_pki.make(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def files(made: Path) -> t.Iterator[Path]:
    """A copy, for a test to spoil; not below the checkout, whose path may be so long that a refusal cuts it off."""
    with tempfile.TemporaryDirectory(prefix="hop-") as folder:
        yield Path(shutil.copytree(made, folder, dirs_exist_ok=True))


def leaf(folder: Path, name: str, *options: str) -> None:
    """Make a certificate in ``folder`` as the documentation does, with other options."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -CA ca.pem -CAkey ca.key"
    words = [*command.split(), "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", *options]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


class Inventory:
    """Application hosts and a proxy; ``others``: further proxies."""

    def __init__(self, least: dict[str, Variables], files: Path) -> None:
        tls = hop_pki.variables(files)
        self.apps = {name: {**least["gunicorn_app"], APP: tls[APP]} for name in ("app1", "app2")}
        self.proxy: Variables = {"nginx_proxy_sites": [SITE], PROXY: tls[PROXY]}
        self.others: dict[str, Variables] = {}

    def host(self, name: str, **more: t.Any) -> Host:
        everybody = {**self.apps, "proxy1": {**self.apps.get("proxy1", {}), **self.proxy}, **self.others}
        known = {
            "inventory_hostname": name,
            "groups": {"apps": list(self.apps), "proxies": ["proxy1", *self.others]},
            "hostvars": everybody,
            "ansible_facts": FACTS,
            **everybody[name],
            **more,
        }
        return Host(known, lambda value: value)

    def checked(self, role: str, name: str) -> dict[str, t.Any]:
        structure = normalise(role, self.host(name))
        self.warnings(role, name)
        return structure

    def warnings(self, role: str, name: str) -> list[str]:
        host = self.host(name)
        return examine(role, host, normalise(role, host))

    def refusal(self, role: str, name: str) -> str:
        with pytest.raises(Refused) as caught:
            self.checked(role, name)
        return str(caught.value)


@pytest.fixture
def inventory(least: dict[str, Variables], files: Path) -> Inventory:
    return Inventory(least, files)


def tree_of(proxy: dict[str, t.Any]) -> t.Any:
    nginx = nginx_version("nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.17 1 Jul 2025\n")
    facts = HostFacts(ipv6=True, addresses={"app1": ["10.0.0.1"], "app2": ["10.0.0.2"], "proxy1": ["10.0.0.9"]})
    return build_tree(renderer(str(ROLES / "nginx_proxy"), "nginx_proxy"), proxy, nginx, facts)


def test_what_nginx_gets(inventory: Inventory, files: Path) -> None:
    tree = tree_of(inventory.checked("nginx_proxy", "proxy1"))
    locations = tree.files["sites/notes/locations.conf"]
    assert "proxy_pass https://site__notes;" in locations
    assert "proxy_ssl_name notes;" in locations
    assert tree.private["app_tls/ca.pem"] == (files / "ca.pem").read_text(encoding="ascii")
    pair = tree.private["app_tls/pair.pem"]
    assert pair == "".join((files / f"proxies.{end}").read_text(encoding="ascii") for end in ("key", "pem"))
    # Another certificate is another generation: or nginx would not be reloaded.
    hop_pki.renew(files)
    renewed = tree_of(inventory.checked("nginx_proxy", "proxy1"))
    assert renewed.generation != tree.generation
    assert not [text for text in renewed.files.values() if "PRIVATE KEY" in text]


def test_nothing_of_it_without_an_application_behind_tls(inventory: Inventory) -> None:
    """Set on the proxies first, it changes nothing there, and no key goes to them."""
    for app in inventory.apps.values():
        del app[APP]
    tree = tree_of(inventory.checked("nginx_proxy", "proxy1"))
    assert "proxy_pass http://site__notes;" in tree.files["sites/notes/locations.conf"]
    assert not [name for name in {**tree.files, **tree.private} if "app_tls" in name]


def test_what_was_found_once_for_all_hosts_of_a_play_is_the_same(inventory: Inventory) -> None:
    fleet = fleet_of([inventory.host(name) for name in inventory.apps])
    known = {name: [list(place) for place in places] for name, places in fleet.items()}
    assert "notes.key" not in str(known)
    assert normalise("nginx_proxy", inventory.host("proxy1", **{FLEET: known})) == normalise(
        "nginx_proxy", inventory.host("proxy1")
    )


def test_what_an_application_host_gets(inventory: Inventory, files: Path) -> None:
    [application] = inventory.checked("gunicorn_app", "app1")["applications"]
    assert application["hop"]["tls"]["name"] == "notes"
    # There is no certificate on it that would open its own port.
    assert application["smoke"]["socket"] == "/opt/notes/current.sock"
    assert application["smoke"]["port"] is None
    assert "stunnel4" in packages([application])
    render = renderer(str(ROLES / "gunicorn_app"), "gunicorn_app")
    found = hop_files(render, application, {"proxy1": ["10.0.0.9"]})
    pair = found["/etc/asgi-deploy/hops/notes-8000.pem"]
    assert (pair["mode"], pair["group"]) == ("0640", "stunnel4")
    assert pair["text"].count("-----BEGIN") == 2
    assert not [path for path, wanted in found.items() if "PRIVATE" in wanted["text"] and wanted is not pair]
    service = found["/etc/systemd/system/notes-hop@8000.service"]["text"]
    assert "stunnel4 /etc/asgi-deploy/hops/notes-8000.conf" in service
    assert "verifyChain = yes" in found["/etc/asgi-deploy/hops/notes-8000.conf"]["text"]


def test_a_proxy_s_own_application_is_reached_as_the_others_are(inventory: Inventory) -> None:
    """nginx has one scheme for all servers of an upstream."""
    inventory.apps["proxy1"] = inventory.apps.pop("app2")
    proxy = inventory.checked("nginx_proxy", "proxy1")
    [block] = proxy["sites"][0]["upstreams"]
    assert [server["address"] for server in block["servers"]] == ["app1:8000", "proxy1:8000"]
    [application] = inventory.checked("gunicorn_app", "proxy1")["applications"]
    # Open, and for nobody but itself.
    assert application["hop"]["allow"] == []
    assert application["smoke"]["port"] is application["smoke"]["socket"] is None
    # Without TLS by its socket, as ever, and no port is open.
    for app in inventory.apps.values():
        del app[APP]
    [block] = inventory.checked("nginx_proxy", "proxy1")["sites"][0]["upstreams"]
    assert block["servers"][1]["address"] == "unix:/opt/notes/current.sock"
    assert inventory.checked("gunicorn_app", "proxy1")["applications"][0]["hop"] is None


def test_a_host_that_serves_itself_alone_needs_none_of_it(inventory: Inventory) -> None:
    inventory.apps = {"proxy1": inventory.apps["app1"]}
    del inventory.proxy[PROXY]
    [block] = inventory.checked("nginx_proxy", "proxy1")["sites"][0]["upstreams"]
    assert [server["address"] for server in block["servers"]] == ["unix:/opt/notes/current.sock"]
    assert inventory.checked("gunicorn_app", "proxy1")["applications"][0]["hop"] is None


def test_texts_do_as_paths_do(inventory: Inventory) -> None:
    by_path = [inventory.checked("gunicorn_app", "app1"), inventory.checked("nginx_proxy", "proxy1")]
    for variables, name in [*((app, APP) for app in inventory.apps.values()), (inventory.proxy, PROXY)]:
        texts = {key: Path(path).read_text(encoding="ascii") for key, path in variables[name].items()}
        # As an editor of another system leaves it, or YAML.
        variables[name] = {key: f"\n  {text.strip()}".replace("\n", "\r\n  ") for key, text in texts.items()}
    assert [inventory.checked("gunicorn_app", "app1"), inventory.checked("nginx_proxy", "proxy1")] == by_path


def test_a_file_with_both_gives_each_its_own(inventory: Inventory, files: Path) -> None:
    """A CA's key beside its certificate goes to no host."""
    ca = files / "ca.pem"
    ca.write_text((files / "ca.key").read_text() + ca.read_text(), encoding="ascii")
    [application] = inventory.checked("gunicorn_app", "app1")["applications"]
    assert "PRIVATE" not in application["hop"]["tls"]["identity"].ca


def test_an_intermediate_ca(inventory: Inventory, files: Path) -> None:
    (files / "root.pem").write_bytes((files / "ca.pem").read_bytes())
    (files / "sub").mkdir()
    leaf(files, "between", "-addext", "basicConstraints=critical,CA:TRUE")
    for name in ("pem", "key"):
        (files / f"sub/ca.{name}").write_bytes((files / f"between.{name}").read_bytes())
    leaf(files / "sub", "notes", "-addext", "subjectAltName=DNS:notes", "-addext", "basicConstraints=CA:FALSE")
    chain = (files / "sub/notes.pem").read_bytes() + (files / "between.pem").read_bytes()
    (files / "notes.pem").write_bytes(chain)
    (files / "notes.key").write_bytes((files / "sub/notes.key").read_bytes())
    assert inventory.checked("gunicorn_app", "app1")
    assert inventory.checked("nginx_proxy", "proxy1")
    (files / "notes.pem").write_bytes((files / "sub/notes.pem").read_bytes())
    assert inventory.refusal("nginx_proxy", "proxy1").startswith(f'{APP}.certificate of app1: "CN=notes" is refused')


Spoil = t.Callable[[Path, Path], t.Any]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda files, _: (files / "notes.pem").unlink(), '.certificate: "{0}/notes.pem" is refused; accepted: a file'),
        (lambda files, _: (files / "notes.key").unlink(), '.key: "{0}/notes.key" is refused; accepted: a file that'),
        (lambda files, _: (files / "ca.pem").write_text("hunter2"),
         '.ca: "{0}/ca.pem" is refused; accepted: certificates in PEM form'),
        (lambda files, _: (files / "notes.key").write_text("hunter2"),
         '.key: "{0}/notes.key" is refused; accepted: a private key in PEM form'),
        (lambda files, _: (files / "notes.key").write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
         ".key: \"{0}/notes.key\" is refused; accepted: its text by lookup('ansible.builtin.file', "),
        (lambda files, _: (files / "notes.pem").write_text(
            "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"),
         ".certificate: (hidden) is refused; accepted: certificates in PEM form; these cannot be read"),
        (lambda files, _: (files / "notes.key").write_text(
            "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n"),
         ".key: (hidden) is refused; accepted: a private key in PEM form; this one cannot be read"),
        (lambda files, others: shutil.copy(others / "notes.key", files),
         ".key: (hidden) is refused; accepted: the key of the certificate (CN=notes)"),
        (lambda files, _: subprocess.run(
            ["openssl", "pkcs8", "-topk8", "-in", "notes.key", "-out", "locked.key", "-passout", "pass:hunter2"],
            cwd=files, check=True) and (files / "locked.key").rename(files / "notes.key"),
         ".key: (hidden) is refused; accepted: a key without a password"),
        (lambda files, _: leaf(files, "notes", "-addext", "subjectAltName=DNS:shop,DNS:a.example.com"),
         '.certificate: "CN=notes" is refused; accepted: one for the name notes (subjectAltName DNS:notes); it has '
         "a.example.com, shop"),
        # A common name is no name.
        (lambda files, _: leaf(files, "notes"), '.certificate: "CN=notes" is refused; accepted: one for the name'),
        (lambda files, _: leaf(files, "notes", "-addext", "subjectAltName=DNS:notes",
                               "-addext", "extendedKeyUsage=clientAuth"),
         '.certificate: "CN=notes" is refused; accepted: one whose extendedKeyUsage has serverAuth'),
        (lambda files, others: [shutil.copy(others / f"notes.{end}", files) for end in ("pem", "key")],
         '.certificate: "CN=notes" is refused; accepted: one that is signed by what nginx_proxy_app_tls.ca of proxy1 '
         "has, CN=hop, and valid"),
    ],
)  # fmt: skip
def test_an_application_host_s_that_cannot_work(
    inventory: Inventory, files: Path, strangers: Path, spoil: Spoil, line: str
) -> None:
    spoil(files, strangers)
    said = inventory.refusal("gunicorn_app", "app1")
    assert said.startswith(APP + line.format(files))
    assert "hunter2" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda files, _: (files / "proxies.key").unlink(), f'{PROXY}.key: "{{0}}/proxies.key" is refused'),
        (lambda files, others: shutil.copy(others / "proxies.key", files), f"{PROXY}.key: (hidden) is refused"),
        (lambda files, _: leaf(files, "proxies", "-addext", "extendedKeyUsage=serverAuth"),
         f'{PROXY}.certificate: "CN=proxies" is refused; accepted: one whose extendedKeyUsage has clientAuth'),
        (lambda files, others: [shutil.copy(others / f"proxies.{end}", files) for end in ("pem", "key")],
         f'{PROXY}.certificate: "CN=proxies" is refused; accepted: one that is signed by what {APP}.ca of app1 has'),
        (lambda files, others: [shutil.copy(others / f"notes.{end}", files) for end in ("pem", "key")],
         f'{APP}.certificate of app1: "CN=notes" is refused; accepted: one that is signed by what {PROXY}.ca has'),
    ],
)  # fmt: skip
def test_a_proxy_s_that_cannot_work(
    inventory: Inventory, files: Path, strangers: Path, spoil: Spoil, line: str
) -> None:
    spoil(files, strangers)
    assert inventory.refusal("nginx_proxy", "proxy1").startswith(line.format(files))


def test_proxies_that_an_application_host_would_not_let_in(inventory: Inventory, strangers: Path) -> None:
    inventory.proxy[PROXY] = {**inventory.proxy[PROXY], **_pair(strangers, "proxies")}
    said = inventory.refusal("gunicorn_app", "app1")
    assert said.startswith(f'{PROXY}.certificate of proxy1: "CN=proxies" is refused; accepted: one that is signed by')


def test_proxies_that_pass_on_to_others_only(inventory: Inventory, strangers: Path) -> None:
    """Two proxies with two authorities, for two applications: they never talk."""
    inventory.others["proxy2"] = {
        PROXY: hop_pki.variables(strangers)[PROXY],
        "nginx_proxy_sites": [{**SITE, "app": "shop"}],
    }
    assert inventory.checked("gunicorn_app", "app1")
    location = {"path": "/notes/", "app": "notes"}
    inventory.others["proxy2"]["nginx_proxy_sites"][0]["locations"] = [location]
    said = inventory.refusal("gunicorn_app", "app1")
    assert said.startswith(f'{PROXY}.certificate of proxy2: "CN=proxies" is refused; accepted: one that is signed by')
    # It says so in its own check, with the place in its own variables.
    location["apps"] = "notes"
    assert inventory.checked("gunicorn_app", "app1")
    del inventory.others["proxy2"]["nginx_proxy_sites"]
    assert inventory.checked("gunicorn_app", "app1")


def test_sites_that_only_their_own_host_can_template(inventory: Inventory, strangers: Path) -> None:
    """By facts that nobody has gathered yet, for instance."""

    class Lazy(dict[str, t.Any]):
        def __getitem__(self, name: str) -> t.Any:
            if name == "nginx_proxy_sites":
                raise LookupError("object of type 'dict' has no attribute 'default_ipv4'")
            return super().__getitem__(name)

    inventory.others["proxy2"] = Lazy({PROXY: hop_pki.variables(strangers)[PROXY], "nginx_proxy_sites": []})
    assert inventory.checked("gunicorn_app", "app1")


def test_an_application_host_looks_once_at_each_proxy_s_sites(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = inventory.apps["app1"]
    tls = own.pop(APP)
    listed = [{"name": name, "port": port, "port_tls": tls} for name, port in (("notes", 8001), ("shop", 8002))]
    listed[1]["port_tls"] = {**tls, "name": "notes"}
    del own["gunicorn_app_name"]
    own["gunicorn_app_applications"] = listed
    host = inventory.host("app1")
    structure = normalise("gunicorn_app", host)
    asked: list[str] = []
    get = Host.get

    def counted(self: Host, name: str, default: t.Any = None) -> t.Any:
        asked.append(name)
        return get(self, name, default)

    monkeypatch.setattr(Host, "get", counted)
    examine("gunicorn_app", host, structure)
    assert asked.count("nginx_proxy_sites") == 1


def _pair(folder: Path, name: str) -> dict[str, str]:
    return {"certificate": f"{folder}/{name}.pem", "key": f"{folder}/{name}.key"}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda inventory: inventory.proxy.pop(PROXY),
         f"{PROXY}: null is refused; accepted: ca, certificate and key, for app1 lets nobody in to notes without"),
        (lambda inventory: inventory.apps["app2"].pop(APP),
         f"{APP} of app2: null is refused; accepted: the name notes as on app1"),
        (lambda inventory: inventory.apps["app1"].pop(APP),
         f'{APP} of app2: "notes" is refused; accepted: no value, as on app1'),
        (lambda inventory: inventory.apps["app2"].update({APP: {**inventory.apps["app2"][APP], "name": "other"}}),
         f'{APP} of app2: "other" is refused; accepted: the name notes as on app1'),
        (lambda inventory: inventory.apps["app2"].update({APP: {**inventory.apps["app2"][APP], "name": "a;b"}}),
         f'{APP}.name: "a;b" is refused; accepted: a host name in lower case'),
        (lambda inventory: inventory.proxy[PROXY].update(key="hunter2"),
         f"{PROXY}.key: (hidden) is refused; accepted: the absolute path of a PEM file on the controller, or its text"),
        (lambda inventory: inventory.proxy[PROXY].pop("ca"), f"{PROXY}.ca: null is refused; accepted: a value (str)"),
        (lambda inventory: inventory.proxy[PROXY].update(keys="hunter2"), f"{PROXY}.keys: (hidden) is refused"),
    ],
)  # fmt: skip
def test_two_ends_that_do_not_fit(inventory: Inventory, change: t.Callable[[Inventory], t.Any], line: str) -> None:
    change(inventory)
    said = inventory.refusal("nginx_proxy", "proxy1")
    assert said.startswith(line)
    assert "hunter2" not in said


def test_a_refusal_names_the_place_in_the_list(inventory: Inventory, files: Path) -> None:
    own = inventory.apps["app1"]
    inventory.apps["app1"] = {
        **{key: value for key, value in own.items() if key not in ("gunicorn_app_name", APP)},
        "gunicorn_app_applications": [{"name": "notes", "port_tls": own[APP]}],
    }
    (files / "notes.key").write_text("hunter2", encoding="ascii")
    said = inventory.refusal("gunicorn_app", "app1")
    assert said.startswith("gunicorn_app_applications[0].port_tls.key: ")


def test_what_has_expired(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime.now(datetime.UTC)
    monkeypatch.setattr(hop_trust, "_now", lambda: now + datetime.timedelta(days=400))
    for role, host, name in (
        ("gunicorn_app", "app1", f'{APP}.certificate: "CN=notes"'),
        ("nginx_proxy", "proxy1", f'{PROXY}.certificate: "CN=proxies"'),
    ):
        line = f"{name} is refused; accepted: one that is valid; this one expired on "
        assert inventory.refusal(role, host).startswith(line)


@pytest.mark.parametrize(("ahead", "accepted"), [(4, True), (6, False)])
def test_what_is_not_valid_yet(
    inventory: Inventory, files: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, accepted: bool
) -> None:
    """Some minutes are only a difference of two clocks."""
    made = max(_read(files / name).not_valid_before_utc for name in ("ca.pem", "notes.pem", "proxies.pem"))
    monkeypatch.setattr(hop_trust, "_now", lambda: made - datetime.timedelta(minutes=ahead))
    for role, host, name in (
        ("gunicorn_app", "app1", f'{APP}.certificate: "CN=notes"'),
        ("nginx_proxy", "proxy1", f'{PROXY}.certificate: "CN=proxies"'),
    ):
        if accepted:
            assert inventory.checked(role, host)
        else:
            line = f"{name} is refused; accepted: one that is valid; this one is valid from 20"
            assert inventory.refusal(role, host).startswith(line)
            assert inventory.refusal(role, host).endswith(" UTC on")


def test_an_authority_that_is_not_valid_yet(inventory: Inventory, files: Path) -> None:
    """Who checks a chain checks the time of each of its certificates."""
    ca, key = _read(files / "ca.pem"), serialization.load_pem_private_key((files / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    for days, accepted in ((0, True), (1, False)):
        begins = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        again = x509.CertificateBuilder(
            ca.issuer, ca.subject, ca.public_key(), x509.random_serial_number(), begins, ca.not_valid_after_utc
        )
        for extension in ca.extensions:
            again = again.add_extension(extension.value, extension.critical)
        (files / "ca.pem").write_bytes(again.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        for role, host in (("gunicorn_app", "app1"), ("nginx_proxy", "proxy1")):
            if accepted:
                assert inventory.checked(role, host)
            else:
                assert "accepted: one that is signed by what" in inventory.refusal(role, host)


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_what_will_soon_have_expired(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inventory.warnings("gunicorn_app", "app1") == inventory.warnings("nginx_proxy", "proxy1") == []
    now = datetime.datetime.now(datetime.UTC)
    monkeypatch.setattr(hop_trust, "_now", lambda: now + datetime.timedelta(days=350))
    for role, host, name in (
        ("gunicorn_app", "app1", f"{APP}.certificate: CN=notes expires on "),
        ("nginx_proxy", "proxy1", f"{PROXY}.certificate: CN=proxies expires on "),
    ):
        [warning] = inventory.warnings(role, host)
        assert warning.startswith(name)
        assert ", in 14 days, and nothing here renews it" in warning


def test_an_authority_that_will_soon_have_expired(
    inventory: Inventory, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, *options in (("notes", "-addext", "subjectAltName=DNS:notes"), ("proxies",)):
        leaf(files, name, "-days", "9000", *options)
    now = datetime.datetime.now(datetime.UTC)
    monkeypatch.setattr(hop_trust, "_now", lambda: now + datetime.timedelta(days=3640))
    [warning] = inventory.warnings("nginx_proxy", "proxy1")
    assert warning.startswith(f"{PROXY}.ca: CN=hop expires on ")


def test_a_ca_that_has_expired(inventory: Inventory, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (("notes", "-addext", "subjectAltName=DNS:notes"), ("proxies",))
    for name, *options in names:
        leaf(files, name, "-days", "9000", *options)
    now = datetime.datetime.now(datetime.UTC)
    monkeypatch.setattr(hop_trust, "_now", lambda: now + datetime.timedelta(days=4000))
    assert "is signed by what" in inventory.refusal("gunicorn_app", "app1")
