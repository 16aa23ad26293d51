"""Write the table of variables in each role's README.md, from the role's argument spec.

    gen_docs.py [--check]       --check writes nothing, and fails where a README is out of date

The text around the table is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN = "<!-- The table is made by `make docs` from meta/argument_specs.yml: change it there. -->\n"
END = "<!-- The end of what `make docs` makes. -->\n"
HEAD = "| Variable | Type | Default | Meaning |\n| --- | --- | --- | --- |\n"

Options = t.Mapping[str, t.Mapping[str, t.Any]]

#: Ansible's semantic markup, one pair of parentheses inside allowed.
_MARKUP = re.compile(r"\b([BCEILMOPRUV])\(((?:[^()]|\([^()]*\))*)\)")


def role_specs() -> dict[str, Options]:
    """Return the options of each role that has any, by the role's name."""
    specs = {}
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]
        if spec.get("options"):
            specs[path.parents[1].name] = spec["options"]
    return specs


def readme_of(role: str) -> Path:
    return ROOT / "roles" / role / "README.md"


def markdown(text: str) -> str:
    """Return a description with Ansible's markup turned into Markdown, safe in a table's cell."""
    return _MARKUP.sub(_replace, text).replace("|", "\\|").replace("\n", " ").strip()


def _replace(match: re.Match[str]) -> str:
    kind, content = match[1], match[2]
    if kind in "LR":
        words, _comma, target = content.partition(",")
        return f"[{words.strip()}]({target.strip()})" if kind == "L" else words.strip()
    if kind == "U":
        return f"<{content}>"
    if kind in "BI":
        return f"{'**' if kind == 'B' else '*'}{content}{'**' if kind == 'B' else '*'}"
    # P(asgi.deploy.nginx_upstream#filter) says the kind for a link, which Markdown has no use for.
    return f"`{content.partition('#')[0] if kind == 'P' else content}`"


def described(option: t.Mapping[str, t.Any]) -> str:
    given = option.get("description", "")
    return markdown(" ".join(given) if isinstance(given, list) else given)


def type_of(option: t.Mapping[str, t.Any]) -> str:
    kind = str(option.get("type", "str"))
    text = f"{kind} of {option['elements']}" if "elements" in option else kind
    choices = ", ".join(f"`{choice}`" for choice in option.get("choices") or ())
    return f"{text}: {choices}".replace("|", "\\|") if choices else text


def default_of(option: t.Mapping[str, t.Any]) -> str:
    if option.get("required"):
        return "*required*"
    default = option.get("default")
    if default is None:
        return ""
    shown = yaml.safe_dump(default, default_flow_style=True, width=10_000, sort_keys=False).splitlines()[0]
    return f"`{shown}`".replace("|", "\\|")


def rows(options: Options, before: str = "") -> t.Iterator[str]:
    """Return a row for each option, those inside it below it, with dotted paths."""
    for name, option in options.items():
        path = before + name
        yield f"| `{path}` | {type_of(option)} | {default_of(option)} | {described(option)} |\n"
        inside = path + ("[]." if option.get("type") == "list" else ".")
        yield from rows(option.get("options") or {}, inside)


def table(options: Options) -> str:
    return HEAD + "".join(rows(options))


def renewed(readme: str, options: Options) -> str:
    """Return the text of a README with its table made anew.

    :raises ValueError: where the two marks are not there, once each and in order
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"the README must hold these two lines once each:\n{BEGIN}{END}")
    head, _mark, rest = readme.partition(BEGIN)
    return f"{head}{BEGIN}\n{table(options)}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a README is out of date")
    check = parser.parse_args().check
    outdated = []
    for role, options in role_specs().items():
        path = readme_of(role)
        before = path.read_text(encoding="utf-8")
        after = renewed(before, options)
        if after != before:
            outdated.append(str(path.relative_to(ROOT)))
            if not check:
                path.write_text(after, encoding="utf-8")
    print("\n".join(f"{name}: {'out of date' if check else 'written'}" for name in outdated) or "up to date")
    return int(check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
