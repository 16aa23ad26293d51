# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specs, defaults, READMEs and code say the same, or this fails."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import gen_docs
import jinja2
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SPECS = gen_docs.role_specs()
PUBLIC = ("certbot", "floating_address", "gunicorn_app", "nginx_proxy")

Normalise = t.Callable[..., dict[str, t.Any]]

#: A variable's whole name; f"gunicorn_app_{key}" is none.
_VARIABLE = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(PUBLIC)})_[a-z0-9_]*[a-z0-9](?![A-Za-z0-9_{{])")

_VAULT = re.compile(r"\{\{ vault_\w+ \}\}")


def test_every_public_role_has_a_spec() -> None:
    assert set(PUBLIC) <= set(SPECS)


@pytest.mark.parametrize("role", SPECS)
def test_readme_is_up_to_date(role: str) -> None:
    readme = gen_docs.readme_of(role).read_text(encoding="utf-8")
    assert readme == gen_docs.renewed(readme, SPECS[role]), "run make docs"


@pytest.mark.parametrize("role", PUBLIC)
def test_example_of_the_readme_is_accepted(role: str, normalised: Normalise) -> None:
    match = re.search(r"```yaml\n(.*?)```", gen_docs.readme_of(role).read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    [play] = yaml.safe_load(match[1])
    variables = dict(play.get("vars", {}))
    for entry in play["roles"]:
        variables.update(entry.get("vars", {}))
    assert f"asgi.deploy.{role}" in [entry["role"] for entry in play["roles"]]
    assert normalised(role, **variables)


def defaults_of(role: str) -> tuple[str, dict[str, t.Any]]:
    text = (ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8")
    return text, yaml.safe_load(text)


def rendered(value: t.Any) -> t.Any:
    """Return a default that asks another role's variable as it is without that role."""
    return jinja2.Template(value).render() if isinstance(value, str) and "{{" in value else value


@pytest.mark.parametrize("role", PUBLIC)
def test_defaults_are_those_of_the_spec(role: str) -> None:
    _text, defaults = defaults_of(role)
    expected = {name: option["default"] for name, option in SPECS[role].items() if option.get("default") is not None}
    assert {name: rendered(value) for name, value in defaults.items()} == expected


@pytest.mark.parametrize("role", PUBLIC)
def test_an_option_without_default_stands_there_commented_out(role: str) -> None:
    text, _defaults = defaults_of(role)
    without = {name for name, option in SPECS[role].items() if option.get("default") is None}
    assert set(re.findall(rf"^# ?({role}_\w+): \S", text, re.MULTILINE)) == without


@pytest.mark.parametrize("role", PUBLIC)
def test_a_commented_default_would_be_accepted(role: str, normalised: Normalise) -> None:
    text, _defaults = defaults_of(role)
    lines = re.findall(rf"^# ?({role}_\w+: .*)$", text, re.MULTILINE)
    variables = yaml.safe_load(_VAULT.sub("YS1zZWNyZXQtb2YtdGhlLXZhdWx0", "\n".join(lines)))
    # The example of a source is a folder that is not here.
    variables.pop("gunicorn_app_source", None)
    assert normalised(role, **variables)


def sources() -> list[Path]:
    folders = ("roles", "plugins", "playbooks", "inventories", "docs", "molecule")
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*"))]
    wanted = {".py", ".yml", ".j2", ".md"}
    return [path for path in [*found, ROOT / "README.md"] if path.is_file() and path.suffix in wanted]


def test_every_variable_that_is_used_is_in_a_spec() -> None:
    known = {name for options in SPECS.values() for name in options}
    # Of the code, where a role's name begins those of others, too: files and functions.
    plugins = sorted((ROOT / "plugins").rglob("*.py"))
    code = {path.stem for path in plugins}
    code |= {
        name for path in plugins for name in re.findall(r"^def (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    used = {
        (name, str(path.relative_to(ROOT)))
        for path in sources()
        for name in _VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    assert {name for name, _path in used} >= known
    assert sorted((name, path) for name, path in used if name not in known | code) == []


def test_the_version_has_its_changelog() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    released = yaml.safe_load((ROOT / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    assert version in released or (ROOT / "changelogs/fragments" / f"{version}.yml").is_file()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C(nginx -t) passes", "`nginx -t` passes"),
        ("see P(asgi.deploy.nginx_upstream#filter).", "see `asgi.deploy.nginx_upstream`."),
        ("O(nginx_proxy_sites[].tls.source=files) or V(none)", "`nginx_proxy_sites[].tls.source=files` or `none`"),
        ("C(a(b)c) and B(x), I(y)", "`a(b)c` and **x**, *y*"),
        (
            "L(the docs,https://example.com) U(https://example.com)",
            "[the docs](https://example.com) <https://example.com>",
        ),
        ("one | two\nthree", "one \\| two three"),
        ("HTTP(S) and ABC(x) stay", "HTTP(S) and ABC(x) stay"),
    ],
)
def test_markup(text: str, expected: str) -> None:
    assert gen_docs.markdown(text) == expected


def test_table() -> None:
    options: gen_docs.Options = {
        "a_list": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "description": ["First.", "Second."],
            "options": {"inner": {"type": "dict", "options": {"leaf": {"required": True, "description": "Leaf."}}}},
        },
        "a_choice": {"default": "x|y", "choices": ["x|y", "z"], "description": "C(z)."},
        "a_flag": {"type": "bool", "default": False, "description": ""},
    }
    assert gen_docs.table(options) == gen_docs.HEAD + (
        "| `a_list` | list of dict | `[]` | First. Second. |\n"
        "| `a_list[].inner` | dict |  |  |\n"
        "| `a_list[].inner.leaf` | str | *required* | Leaf. |\n"
        "| `a_choice` | str: `x\\|y`, `z` | `x\\|y` | `z`. |\n"
        "| `a_flag` | bool | `false` |  |\n"
    )


@pytest.mark.parametrize("text", ["", gen_docs.BEGIN, gen_docs.END, gen_docs.END + gen_docs.BEGIN])
def test_a_readme_without_its_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        gen_docs.renewed(text, {})


def test_only_the_table_is_replaced() -> None:
    text = f"# Head\n{gen_docs.BEGIN}old\n{gen_docs.END}Tail\n"
    assert gen_docs.renewed(text, {}) == f"# Head\n{gen_docs.BEGIN}\n{gen_docs.HEAD}\n{gen_docs.END}Tail\n"
