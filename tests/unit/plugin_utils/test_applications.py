# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several applications on a host: what each says itself, what it takes over, and where a refusal points."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import Host, normalise

Run = t.Callable[..., dict[str, t.Any]]
Line = t.Callable[..., str]

FACTS = {"processor_nproc": 2, "memtotal_mb": 4096}
LIST = "gunicorn_app_applications"


@pytest.fixture
def run(least: dict[str, dict[str, t.Any]]) -> Run:
    """Normalise a role for a host whose list has these entries; what they do not say is as in the other tests."""

    def run(entries: t.Any, role: str = "gunicorn_app", **variables: t.Any) -> dict[str, t.Any]:
        common = {key: value for key, value in least["gunicorn_app"].items() if key != "gunicorn_app_name"}
        known = {"ansible_facts": FACTS, "inventory_hostname": "web1", **common, LIST: entries, **variables}
        return normalise(role, Host(known, lambda value: value))

    return run


@pytest.fixture
def line(run: Run) -> Line:
    """Return the line that a user reads."""

    def line(entries: t.Any, role: str = "gunicorn_app", **variables: t.Any) -> str:
        with pytest.raises(Refused) as caught:
            run(entries, role, **variables)
        return str(caught.value)

    return line


def test_each_has_what_it_says_and_the_variables_for_the_rest(run: Run) -> None:
    entries = [
        {"name": "notes"},
        {"name": "api", "module": "api:app", "workers": 1, "env": {"A": "own"}, "health_path": "/ready"},
    ]
    variables = {"gunicorn_app_env": {"A": "all", "B": "all"}, "gunicorn_app_health_timeout": 50}
    notes, api = run(entries, **variables)["applications"]
    assert (notes["name"], notes["module"], notes["root"]) == ("notes", "notes.main:app", "/opt/notes")
    assert (api["name"], api["module"], api["socket"]) == ("api", "api:app", "/opt/api/current.sock")
    # A key of its own stands for the whole variable: nothing of what all have is mixed into it.
    assert (notes["env"], api["env"]) == ({"A": "all", "B": "all"}, {"A": "own"})
    assert (notes["health"]["path"], api["health"]["path"]) == ("/health", "/ready")
    assert notes["health"]["timeout"] == api["health"]["timeout"] == 50
    assert (api["workers"], api["workers_reason"]) == (1, f"as {LIST}[1].workers says")


def test_each_knows_where_it_was_written(run: Run) -> None:
    [application] = run([{"name": "notes", "python": "/opt/python/bin/python3"}])["applications"]
    assert application["places"] == {
        "name": f"{LIST}[0].name",
        "python": f"{LIST}[0].python",
        "proxy_group": "gunicorn_app_proxy_group",
        "port": "gunicorn_app_port",
        "port_tls": "gunicorn_app_port_tls",
        "release": "gunicorn_app_release",
    }


@pytest.mark.parametrize("entries", [[], [{"name": "old", "state": "absent"}]])
def test_a_host_may_have_none(run: Run, entries: list[t.Any]) -> None:
    structure = run(entries)
    assert [application["state"] for application in structure["applications"]] == ["absent"] * len(entries)


def test_one_that_is_to_go_needs_its_name_only(run: Run) -> None:
    """Its source is gone from the repository as a rule, and without facts it can go too."""
    entries = [{"name": "old", "state": "absent", "module": "wrong", "source": {"type": "directory", "path": "/no"}}]
    [application] = run(entries, ansible_facts={}, gunicorn_app_module=None)["applications"]
    assert application.pop("places")["name"] == f"{LIST}[0].name"
    assert application == {"name": "old", "state": "absent", "root": "/opt/old"}


def test_one_that_is_to_go_takes_no_memory(run: Run) -> None:
    entries = [{"name": "notes"}, {"name": "old", "state": "absent", "workers": 900}]
    [notes, _old] = run(entries)["applications"]
    assert notes["workers"] == 2


@pytest.mark.parametrize(
    ("second", "variables", "expected"),
    [
        # Its own key.
        ({"env": {"A-B": "hunter2"}}, {}, f"{LIST}[1].env.A-B: (hidden) is refused; accepted: a name of letters"),
        ({"env": {"A": ["hunter2"]}}, {}, f"{LIST}[1].env.A: (hidden) is refused"),
        ({"env": "hunter2"}, {}, f"{LIST}[1].env: (hidden) is refused; accepted: a dictionary"),
        ({"timeout": "hunter"}, {}, f'{LIST}[1].timeout: "hunter" is refused; accepted: a whole number'),
        ({"timeout": 0}, {}, f"{LIST}[1].timeout: 0 is refused"),
        ({"health_path": "x"}, {}, f'{LIST}[1].health_path: "x" is refused; accepted: a path that begins with /'),
        ({"source": {"type": "svn"}}, {}, f'{LIST}[1].source.type: "svn" is refused'),
        ({"hooks": {"before": [{"command": []}]}}, {}, f"{LIST}[1].hooks.before[0].command: [] is refused"),
        ({"static": [{"folder": ".."}]}, {}, f'{LIST}[1].static[0].folder: ".." is refused'),
        ({"workers": 0}, {}, f"{LIST}[1].workers: 0 is refused; accepted: an integer from 1 to 1000"),
        ({"worker_memory_mb": 0}, {}, f"{LIST}[1].worker_memory_mb: 0 is refused"),
        ({"module": None}, {}, f"{LIST}[1].module: null is refused; accepted: a value (str); it is required"),
        ({"state": None}, {}, f"{LIST}[1].state: null is refused; accepted: a value (str); leave it out"),
        # What all have, although it is the second's turn: it was written there.
        ({}, {"gunicorn_app_timeout": 0}, "gunicorn_app_timeout: 0 is refused"),
        ({"name": "b"}, {"gunicorn_app_env": {"A-B": "hunter2"}}, "gunicorn_app_env.A-B: (hidden) is refused"),
        # One contradicts what the other end of the chain says for all.
        ({"timeout": 200}, {}, "gunicorn_app_stop_timeout: 120 is refused; accepted: more than"),
        ({"stop_timeout": 10}, {}, f"{LIST}[1].stop_timeout: 10 is refused; accepted: more than"),
        # Names.
        ({"name": None}, {}, f"{LIST}[1].name: null is refused; accepted: a value (str); it is required"),
        ({"name": "A"}, {}, f'{LIST}[1].name: "A" is refused; accepted: [a-z][a-z0-9_-]*'),
        ({"name": "nginx", "state": "absent"}, {}, f'{LIST}[1].name: "nginx" is refused; accepted: a name that no'),
        ({"name": "notes"}, {},
         f'{LIST}[1].name: "notes" is refused; accepted: a name that no other application of the host has'),
        ({"name": "notes", "state": "absent"}, {}, f'{LIST}[1].name: "notes" is refused'),
        # Keys; behind one that there is not may be a secret.
        ({"enviroment": {"KEY": "hunter2"}}, {},
         f"{LIST}[1].enviroment: (hidden) is refused; accepted: the role's variables without gunicorn_app_"),
        ({"worker": 2}, {}, f"{LIST}[1].worker: (hidden) is refused; accepted: the role's variables without "
         "gunicorn_app_; did you mean workers?"),
        ({"gunicorn_app_env": {"A": "hunter2"}}, {}, f"{LIST}[1].gunicorn_app_env: (hidden) is refused; accepted: "
         "the role's variables without gunicorn_app_; did you mean env?"),
        ({"applications": []}, {}, f"{LIST}[1].applications: (hidden) is refused"),
        ({True: 1}, {}, f"{LIST}[1].true: (hidden) is refused"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place(
    line: Line, second: dict[str, t.Any], variables: dict[str, t.Any], expected: str
) -> None:
    said = line([{"name": "notes"}, {"name": "api", **second}], **variables)
    assert said.startswith(expected)
    assert "hunter2" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("notes", f"{LIST}: (hidden) is refused; accepted: a list of dict"),
        ({"notes": {"env": {"KEY": "hunter2"}}}, f"{LIST}: (hidden) is refused; accepted: a list of dict"),
        (["hunter2"], f"{LIST}[0]: (hidden) is refused; accepted: a dictionary"),
        ([{"name": "notes"}, None], f"{LIST}[1]: null is refused; accepted: a dict"),
        ([{"module": "a:b"}], f"{LIST}[0].name: null is refused; accepted: a value (str); it is required"),
    ],
)
def test_a_list_of_another_shape(line: Line, entries: t.Any, expected: str) -> None:
    assert line(entries) == expected


def test_names_that_all_take_over_from_the_variable_meet(line: Line) -> None:
    assert line([{}, {}], gunicorn_app_name="notes").startswith(
        'gunicorn_app_name: "notes" is refused; accepted: a name'
    )


def site(app: str, **keys: t.Any) -> dict[str, t.Any]:
    return {"name": f"site-of-{app}", "domains": [f"{app}.example.com"], "app": app, **keys}


ENTRIES = [{"name": "notes"}, {"name": "api", "health_path": "/api/ready"}, {"name": "old", "state": "absent"}]


def test_a_site_finds_its_application(run: Run) -> None:
    sites = run(ENTRIES, "nginx_proxy", nginx_proxy_sites=[site("notes"), site("api")])["sites"]
    servers = [[server["address"] for block in site["upstreams"] for server in block["servers"]] for site in sites]
    assert servers == [["unix:/opt/notes/current.sock"], ["unix:/opt/api/current.sock"]]
    # Each one's own health path is asked too often to be logged.
    assert sites[0]["quiet_paths"] == ["/health"]
    assert sites[1]["quiet_paths"] == ["/api/ready"]


@pytest.mark.parametrize(
    ("sites", "entries", "expected"),
    [
        ([site("other")], ENTRIES, 'nginx_proxy_sites[0].app: "other" is refused; accepted: notes or api, the'),
        ([site("notes"), site("old")], ENTRIES, 'nginx_proxy_sites[1].app: "old" is refused; accepted: notes or api,'),
        ([site("notes", locations=[{"path": "/x/", "app": "old"}])], ENTRIES,
         'nginx_proxy_sites[0].locations[0].app: "old" is refused'),
        ([site("old")], ENTRIES[2:], 'nginx_proxy_sites[0].app: "old" is refused; accepted: an application that'),
        ([site("notes")], [], 'nginx_proxy_sites[0].app: "notes" is refused; accepted: an application that'),
        # The application's list is wrong, and says so itself: no error of Python's.
        ([site("notes")], [{"module": "a:b"}], f"{LIST}[0].name: null is refused"),
        # Each one's own time limit.
        ([site("api", timeouts={"read": "95s"})], [{"name": "notes", "timeout": 100}, {"name": "api"}],
         'nginx_proxy_sites[0].timeouts.read: "95s" is refused; accepted: less than gunicorn_app_timeout of api, 90s'),
    ],
)  # fmt: skip
def test_a_site_of_an_application_that_is_not_there(
    line: Line, sites: list[t.Any], entries: list[t.Any], expected: str
) -> None:
    assert line(entries, "nginx_proxy", nginx_proxy_sites=sites).startswith(expected)


@pytest.mark.parametrize(
    ("sites", "place"),
    [
        ([site("notes"), site("old")], 1),
        ([site("notes", locations=[{"path": "/x/", "app": "old"}])], 0),
    ],
)
def test_nothing_is_cut_off_from_its_site(run: Run, line: Line, sites: list[t.Any], place: int) -> None:
    """Also where the role runs without nginx_proxy, which would refuse it as well."""
    accepted = f"present, as long as nginx_proxy_sites[{place}] names old"
    expected = f'{LIST}[2].state: "absent" is refused; accepted: {accepted}'
    groups = {"apps": ["web1"], "proxies": ["web1"]}
    assert line(ENTRIES, nginx_proxy_sites=sites) == expected
    assert line(ENTRIES, nginx_proxy_sites=sites, groups=groups) == expected
    # The sites are another host's.
    elsewhere = {"apps": ["web1"], "proxies": ["web2"]}
    entries = [{**entry, "port": 8000 + number} for number, entry in enumerate(ENTRIES)]
    assert len(run(entries, nginx_proxy_sites=sites, groups=elsewhere)["applications"]) == 3


def test_a_single_one_is_removed_by_its_state(run: Run, line: Line) -> None:
    variables = {"gunicorn_app_name": "notes", "gunicorn_app_state": "absent"}
    [application] = run(None, **variables)["applications"]
    assert application["state"] == "absent"
    said = line(None, nginx_proxy_sites=[site("notes")], **variables)
    assert said.startswith(
        'gunicorn_app_state: "absent" is refused; accepted: present, as long as nginx_proxy_sites[0]'
    )
