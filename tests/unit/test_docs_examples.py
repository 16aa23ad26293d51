# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation shows is what the roles accept, complete, and its links lead somewhere."""

from __future__ import annotations

import functools
import re
import typing as t
from pathlib import Path

import pytest
from docs_examples import (
    APPLICATIONS,
    CERTIFICATES,
    DOCS,
    FLOATING_ADDRESS,
    ROOT,
    SITES,
    Example,
    examples,
    surroundings,
    templated,
)

from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise, options_of

NGINX = (
    "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.17 1 Jul 2025\n",
    "nginx version: nginx/1.26.3\nbuilt with OpenSSL 3.5.1 1 Jul 2025\n--with-http_v3_module mod-http-brotli",
)

#: Of an upstream, which the spec leaves to the filter.
UPSTREAM_KEYS = {
    *("servers", "group", "port", "method", "hash_key", "consistent", "two"),
    *("keepalive", "keepalive_timeout", "keepalive_requests", "zone_size"),
}
SERVER_KEYS = {"address", "weight", "max_fails", "fail_timeout", "max_conns", "backup", "down"}

#: What an inventory names on the controller.
_ON_CONTROLLER = re.compile(r"\{\{ (?:playbook|inventory)_dir \}\}/[\w./-]+")
_KEY = re.compile(r"\{\{ lookup\('ansible\.builtin\.file', '[\w./-]+\.asc'\) \}\}")
_VAULT = re.compile(r"\{\{ vault_\w+ \}\}")

_LINK = re.compile(r"\]\(([^)\s]+)\)")

OF_SITES = examples(SITES)
OF_APPLICATIONS = examples(APPLICATIONS)


def on_controller(folder: Path, value: t.Any) -> t.Any:
    """Stand for Ansible's templating: a folder of the controller is ``folder``, a file is one in it, keys are keys."""
    if isinstance(value, dict):
        return {key: on_controller(folder, item) for key, item in value.items()}
    if isinstance(value, list):
        return [on_controller(folder, item) for item in value]
    if isinstance(value, str) and _ON_CONTROLLER.fullmatch(value):
        return str(folder / "app.tar.gz" if value.endswith(".tar.gz") else folder)
    if isinstance(value, str):
        value = _KEY.sub("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----\n", value)
        value = _VAULT.sub("YS1zZWNyZXQtb2YtdGhlLXZhdWx0", value)
    return templated(value)


def host(variables: t.Mapping[str, t.Any], folder: Path) -> Host:
    for name in ("requirements.txt", "app.tar.gz"):
        (folder / name).write_text("gunicorn\n", encoding="utf-8")
    for item in variables.get("gunicorn_app_static", []):
        (folder / item["folder"]).mkdir(parents=True, exist_ok=True)
    application = {
        "gunicorn_app_module": "shop.main:app",
        "gunicorn_app_source": {"type": "directory", "path": str(folder)},
    }
    return Host({**surroundings(), **application, **variables}, functools.partial(on_controller, folder))


def ids(example: Example) -> str:
    return example.place


@pytest.mark.parametrize("example", examples(DOCS), ids=ids)
def test_each_example_is_accepted(example: Example, tmp_path: Path) -> None:
    known = ("nginx_proxy", "gunicorn_app", "certbot", "floating_address")
    roles = {role for role in known for name in example.variables if name.startswith(f"{role}_")}
    assert roles, "an example of variables of none of the roles"
    variables = {"nginx_proxy_sites": [], "gunicorn_app_name": "notes", **example.variables}
    if "gunicorn_app" not in roles:
        del variables["gunicorn_app_name"]
    if "floating_address" in roles:
        # It needs another host to go to.
        variables["groups"] = {"proxies": ["web1", "web2"]}
    for role in roles:
        assert normalise(role, host(variables, tmp_path))


@pytest.mark.parametrize("example", OF_SITES, ids=ids)
def test_each_example_is_rendered(example: Example, tmp_path: Path) -> None:
    """That nginx loads it is for tests/nginx to say."""
    proxy = normalise("nginx_proxy", host(example.variables, tmp_path))
    render = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
    for version in NGINX:
        files = build_tree(render, proxy, nginx_version(version), HostFacts(ipv6=True)).files
        for site in example.variables["nginx_proxy_sites"]:
            assert f"server_name {' '.join(site['domains'])};" in files[f"sites/{site['name']}/site.conf"]


def keys_of(options: t.Mapping[str, t.Any], before: str = "") -> t.Iterator[str]:
    """Return the dotted path of each option of a spec."""
    for name, option in options.items():
        yield before + name
        yield from keys_of(option.get("options") or {}, f"{before}{name}.")


def said(value: t.Any, before: str = "") -> t.Iterator[str]:
    """Return the dotted paths of all keys in ``value``; an item of a list has its list's."""
    if isinstance(value, list):
        for item in value:
            yield from said(item, before)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield before + name
            yield from said(item, f"{before}{name}.")


def test_each_key_has_an_example() -> None:
    shown = {path for example in OF_SITES for path in said(example.variables)}
    wanted = set(keys_of(options_of("nginx_proxy")))
    assert sorted(wanted - shown) == []
    # A location's upstream is as a site's.
    shown = {path.replace(".locations.", ".") for path in shown}
    upstream = "nginx_proxy_sites.upstream"
    assert sorted({f"{upstream}.{key}" for key in UPSTREAM_KEYS} - shown) == []
    assert sorted({f"{upstream}.servers.{key}" for key in SERVER_KEYS} - shown) == []


def test_each_key_of_an_application_has_an_example() -> None:
    shown = {path for example in OF_APPLICATIONS for path in said(example.variables)}
    # An entry of the list has the role's variables without their beginning.
    shown |= {path.replace("gunicorn_app_applications.", "gunicorn_app_") for path in shown}
    assert sorted(set(keys_of(options_of("gunicorn_app"))) - shown) == []


def test_each_key_of_a_certificate_has_an_example() -> None:
    shown = {path for example in examples(CERTIFICATES) for path in said(example.variables)}
    # What is for one run is shown as it is typed.
    text = "\n".join(path.read_text(encoding="utf-8") for path in CERTIFICATES)
    shown |= set(re.findall(r"-e (certbot_\w+)=", text))
    assert sorted(set(keys_of(options_of("certbot"))) - shown) == []


def test_each_key_of_a_floating_address_has_an_example() -> None:
    shown = {path for example in examples(FLOATING_ADDRESS) for path in said(example.variables)}
    assert sorted(set(keys_of(options_of("floating_address"))) - shown) == []


@pytest.mark.parametrize(
    ("role", "pages"),
    [
        ("nginx_proxy", SITES),
        ("gunicorn_app", APPLICATIONS),
        ("certbot", CERTIFICATES),
        ("floating_address", FLOATING_ADDRESS),
    ],
)
def test_each_choice_is_told_of(role: str, pages: list[Path]) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)

    def choices(options: t.Mapping[str, t.Any]) -> t.Iterator[str]:
        for option in options.values():
            yield from map(str, option.get("choices") or ())
            yield from choices(option.get("options") or {})

    wanted = set(choices(options_of(role)))
    assert {word for word in wanted if not re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text)} == set()


def anchors_of(path: Path) -> set[str]:
    """Return the anchors that the headings of a page get."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROLES.glob("*/README.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in _LINK.findall(text):
        file, _hash, anchor = link.partition("#")
        if "://" in file:
            continue
        target = page if not file else (page.parent / file).resolve()
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_each_page_is_linked() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in _LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in link
    }
    assert [str(path) for path in DOCS if path not in linked] == []
