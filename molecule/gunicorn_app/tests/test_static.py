"""Static files: nginx serves those of the live release, and beside them those that pages already in browsers name.

The classes of this file are one sequence; each begins where the one before it ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook, site
from trial import Deployment, background, deploy, state, trial, version

ROLLBACK = str(ROOT / "playbooks/rollback.yml")

#: What every run of this file says beside its release.
STATIC: dict[str, Any] = {
    "gunicorn_app_static": [{"folder": "web/static"}],
    **site(tls={"source": "self_signed"}, static=[{"path": "/static/", "folder": "/var/www/notes/static/"}]),
}


@pytest.fixture(scope="module", autouse=True)
def _as_converged(machines: list[Machine], play: Playbook) -> Iterator[None]:
    yield
    play(code=0)
    for machine in machines:
        assert not machine.succeeds("test -e /var/www/notes")
        assert machine.ask("/static/style.css").status == 404


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a release with assets: one whose name changes with each release, and one whose name stays."""

    def make(name: str, behaviour: str = "fine") -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(name)
        variables = trial(folder, name, behaviour)
        for path, text in ((f"app.{name}.js", f"release {name}"), ("style.css", f"style of {name}")):
            write(folder / "web/static" / path, text)
        write(folder / "web/static/.env", "SECRET=1")
        return {**STATIC, **variables}

    return make


@pytest.fixture(scope="module")
def one(release: Any) -> dict[str, Any]:
    variables: dict[str, Any] = release("one")
    return variables


@pytest.fixture(scope="module")
def two(release: Any) -> dict[str, Any]:
    variables: dict[str, Any] = release("two")
    return variables


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def has(machine: Machine, path: str) -> str | None:
    """The text that nginx serves at a path of the static folder; None where there is nothing."""
    answer = machine.ask(f"/static/{path}")
    assert answer.status in (200, 404), answer
    return answer.body if answer.status == 200 else None


def published(machine: Machine) -> list[str]:
    return machine.run("ls -A /var/www/notes/static").split()


class TestFirst:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def done(cls, play: Playbook, one: dict[str, Any]) -> Outcome:
        return play(extra=one, code=0)

    def test_nginx_serves_them(self, machine: Machine) -> None:
        assert has(machine, "app.one.js") == "release one"
        assert has(machine, "style.css") == "style of one"
        # The application is not asked, and its releases stay closed to nginx.
        assert machine.ask("/static/style.css").header("content-type") == "text/css"
        assert not machine.succeeds("runuser -u www-data -- test -x /opt/notes/releases")

    def test_nobody_but_root_can_change_them_or_see_what_is_not_public(self, machine: Machine) -> None:
        found = machine.run("find /var/www/notes/static -printf '%y %m %u:%g\\n' | sort -u").splitlines()
        assert found == ["d 755 root:root", "f 644 root:root"]
        # A run of these tests before may have left releases that are kept.
        assert {"app.one.js", "style.css"} <= set(published(machine))
        assert ".env" not in published(machine)
        assert not machine.succeeds("runuser -u www-data -- ls /var/www/notes/.asgi-deploy")

    def test_again_it_changes_nothing(self, play: Playbook, one: dict[str, Any]) -> None:
        play(extra=one).assert_unchanged()


class TestSwitch:
    """A page of the release before, and one of the live release, find all they name: before, during, and after."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, machines: list[Machine], play: Playbook, two: dict[str, Any]) -> dict[str, Any]:
        with background(machines, "ask_assets.py", "assets", "one") as reports:
            play(extra=two, code=0)
            for machine in machines:
                # nginx looks again after a second.
                wait_for("the new style", lambda machine=machine: has(machine, "style.css") == "style of two")  # type: ignore[misc]
        return reports

    def test_no_asset_was_ever_missing(self, machine: Machine, seen: dict[str, Any]) -> None:
        found = seen[machine.name]
        assert found["missing"] == []
        # For a moment the connections that nginx keeps still lead to the release before.
        assert (found["versions"][0], found["versions"][-1]) == ("one", "two")
        assert found["count"] > 20

    def test_a_name_that_both_have_changes_whole(self, machine: Machine, seen: dict[str, Any]) -> None:
        # Each of nginx's workers looks again when its second is over.
        texts = [text for text, _tag in seen[machine.name]["styles"]]
        assert (texts[0], texts[-1], set(texts)) == ("style of one", "style of two", {"style of one", "style of two"})

    def test_a_browser_does_not_take_the_old_one_for_the_new(self, machine: Machine, seen: dict[str, Any]) -> None:
        """The texts are of one length, and what is unpacked of an archive has no time: the ETag must differ still."""
        (_text, old), *_between, (_text, new) = seen[machine.name]["styles"]
        assert machine.ask("/static/style.css", "-H", f"If-None-Match: {new}").status == 304
        assert machine.ask("/static/style.css", "-H", f"If-None-Match: {old}").status == 200

    def test_both_are_there_after_it(self, machine: Machine, seen: dict[str, Any]) -> None:
        assert published(machine) == ["app.one.js", "app.two.js", "style.css"]


class TestUnhealthy:
    """Its assets were there while it was tried."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, machines: list[Machine], play: Playbook, release: Any, two: dict[str, Any]) -> Deployment:
        return deploy(machines, play, code=2, **release("three", "unhealthy"))

    def test_nothing_of_it_is_left(self, machine: Machine, done: Deployment) -> None:
        assert state(machine) == done.before[machine.name]
        assert has(machine, "app.three.js") is None
        assert has(machine, "style.css") == "style of two"
        assert published(machine) == ["app.one.js", "app.two.js", "style.css"]

    def test_the_next_run_changes_nothing(self, play: Playbook, done: Deployment, two: dict[str, Any]) -> None:
        play(extra=two).assert_unchanged()


class TestMissing:
    """A folder that is not sent, so that only the host can see it, and one that is somebody else's."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook, release: Any) -> Outcome:
        four = release("four")
        source = {**four["gunicorn_app_source"], "exclude": ["static"]}
        return play(extra={**four, "gunicorn_app_source": source}, code=2)

    def test_it_is_never_live(self, machine: Machine, outcome: Outcome) -> None:
        message = outcome.hosts[machine.name].message
        assert "gunicorn_app_static[0].folder: the release has no folder web/static" in message
        assert "serves on" in message
        assert version(machine) == "two"
        assert has(machine, "style.css") == "style of two"

    def test_what_somebody_else_has_put_there_stays(
        self, machines: list[Machine], play: Playbook, release: Any, outcome: Outcome
    ) -> None:
        for machine in machines:
            machine.run("mkdir /var/www/notes/media; touch /var/www/notes/media/upload.jpg")
        static = [{"folder": "web/static"}, {"folder": "web/static", "as": "media"}]
        try:
            refused = play(extra={**release("five"), "gunicorn_app_static": static}, code=2)
            for machine in machines:
                message = refused.hosts[machine.name].message
                assert "gunicorn_app_static[1].as: /var/www/notes/media is there already" in message
                assert machine.succeeds("test -e /var/www/notes/media/upload.jpg")
                assert version(machine) == "two"
        finally:
            for machine in machines:
                machine.run("rm -r /var/www/notes/media")


class TestRollback:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def seen(cls, machines: list[Machine], play: Playbook, two: dict[str, Any]) -> dict[str, Any]:
        with background(machines, "ask_assets.py", "assets", "two") as reports:
            play(extra=two, code=0, playbook=ROLLBACK)
            for machine in machines:
                wait_for("the old style", lambda machine=machine: has(machine, "style.css") == "style of one")  # type: ignore[misc]
        return reports

    def test_a_page_of_the_release_that_was_left_finds_its_assets(self, machine: Machine, seen: dict[str, Any]) -> None:
        assert seen[machine.name]["missing"] == []
        assert seen[machine.name]["versions"] == ["two", "one"]
        assert published(machine) == ["app.one.js", "app.two.js", "style.css"]


class TestPruned:
    """A release that is no longer kept takes its assets along."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def done(cls, play: Playbook, release: Any) -> None:
        for name in ("six", "seven"):
            play(extra={**release(name), "gunicorn_app_releases": 2}, code=0)

    def test_only_those_of_kept_releases_are_there(self, machine: Machine) -> None:
        assert published(machine) == ["app.seven.js", "app.six.js", "style.css"]


class TestHandMade:
    def test_what_a_hand_has_changed_is_mended(self, machines: list[Machine], play: Playbook, release: Any) -> None:
        extra = {**release("eight"), "gunicorn_app_releases": 2}
        play(extra=extra, code=0)
        for machine in machines:
            machine.run("rm /var/www/notes/static/app.eight.js; echo broken >/var/www/notes/static/style.css")
        outcome = play(extra=extra, code=0)
        for machine in machines:
            assert len(outcome.hosts[machine.name].changed) == 1
            assert has(machine, "app.eight.js") == "release eight"
            wait_for("the mended style", lambda machine=machine: has(machine, "style.css") == "style of eight")  # type: ignore[misc]
        play(extra=extra).assert_unchanged()
