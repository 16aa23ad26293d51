"""Bad inputs, through the whole playbook: refused before anything on a host changes, converged or new."""

from __future__ import annotations

from typing import Any

import pytest
from machine import Machine
from playbook import Playbook, site

FOLDERS = ("/etc", "/opt", "/usr/local", "/var/lib/dpkg", "/var/www")

#: What is wrong, the place in the message, the value, and words of what would be accepted. What is of
#: nginx alone is in molecule/nginx_proxy.
INPUTS: list[tuple[dict[str, Any], str, str, str]] = [
    (
        site(domains=["notes.example.com", "a; return 200"]),
        "nginx_proxy_sites[0].domains[1]",
        '"a; return 200"',
        "a host name",
    ),
    (site(timeouts={"read": "120s"}), "nginx_proxy_sites[0].timeouts.read", '"120s"', "less than gunicorn_app_timeout"),
    ({"gunicorn_app_name": "Notes!"}, "gunicorn_app_name", '"Notes!"', "[a-z][a-z0-9_-]*"),
    ({"gunicorn_app_module": "notes.main"}, "gunicorn_app_module", '"notes.main"', "package.module:attribute"),
    ({"gunicorn_app_env": {"TOKEN": "se\ncret"}}, "gunicorn_app_env.TOKEN", "(hidden)", "one line"),
    (
        {"certbot_certificates": [{"name": "notes", "domains": ["notes.example.com", "other.example.com"]}]},
        "certbot_certificates[0].domains[1]",
        '"other.example.com"',
        "a name that a site serves",
    ),
]


@pytest.mark.parametrize(("extra", "path", "value", "accepted"), INPUTS, ids=[row[1] for row in INPUTS])
def test_a_bad_input_is_refused_before_any_change(
    machines: list[Machine], play: Playbook, extra: dict[str, Any], path: str, value: str, accepted: str
) -> None:
    before = {machine.name: machine.files(*FOLDERS) for machine in machines}
    outcome = play(extra=extra, code=2)
    for machine in machines:
        tasks = outcome.hosts[machine.name]
        assert tasks.changed == []
        head, _separator, rest = tasks.message.partition(";" if "; accepted" in tasks.message else ",")
        assert path in head, tasks.message
        assert value in tasks.message
        assert "accepted: " in rest, tasks.message
        assert accepted in rest.partition("accepted: ")[2], tasks.message
        assert "\n" not in tasks.message.strip()
        assert "se\ncret" not in outcome.output
        assert "cret" not in tasks.message
        assert machine.files(*FOLDERS) == before[machine.name]
