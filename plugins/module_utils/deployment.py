# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release on its way to be live: built, proven, switched to, confirmed; or the one before stays.

In two phases, so that on a fleet nothing goes live before the migrations, which one host runs, are done.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, discard, leftovers_of
from ansible_collections.asgi.deploy.plugins.module_utils.health import Health
from ansible_collections.asgi.deploy.plugins.module_utils.history import History
from ansible_collections.asgi.deploy.plugins.module_utils.hooks import HookError, Hooks, environment_file
from ansible_collections.asgi.deploy.plugins.module_utils.index_access import folder_of
from ansible_collections.asgi.deploy.plugins.module_utils.published import Published
from ansible_collections.asgi.deploy.plugins.module_utils.release import BuildError, Install, Releases
from ansible_collections.asgi.deploy.plugins.module_utils.slots import SlotError, Slots
from ansible_collections.asgi.deploy.plugins.module_utils.smoke import Smoke
from ansible_collections.asgi.deploy.plugins.module_utils.sources import Source, source_of

Result = t.Dict[str, t.Any]
Run = t.Callable[..., t.Tuple[int, str, str]]


class Deployment:
    """:param params: those of the module gunicorn_release"""

    def __init__(self, params: t.Mapping[str, t.Any], run: Run) -> None:
        self.params = params
        self.run = run
        self.name: str = params["name"]
        self.root: str = params["root"]
        self.health = Health(**params["health"])
        self.smoke = Smoke(**params["smoke"]) if params["smoke"] else None
        self.releases = Releases(self.name, self.root, params["python"])
        self.slots = Slots(self.name, self.root, params["files"], params["environment"], params["warm"], run)
        self.history = History(self.root)
        self.published = Published(self.name, params["static"])
        self.install = Install(**params["install"])
        #: What was done, each with its seconds.
        self.steps: t.List[t.Dict[str, t.Any]] = []

    def prepare(self, check_mode: bool) -> Result:
        """Fetch and build the release, and run the hooks that come before its start.

        ``due`` in the result says whether there is something to put live.
        """
        live = self.slots.live()
        with self._saying_what_serves(live):
            source = None if self.params["release"] else self._source(check_mode)
        identity = self.releases.identify(source.described, self.install) if source else None
        release = self.releases.find(identity) if identity else self._earlier(live, check_mode)
        if self._is_live(live, release):
            return {**self._put_right(t.cast(str, live), check_mode), "release": release, "slot": live, "due": False}
        result = {"changed": True, "due": not check_mode, "slot": self.slots.idle(), "diff": self._diff(live, release)}
        if check_mode:
            return {**result, "release": release or identity, "would": "switch" if release else "build and switch"}
        discard(self._secrets_left())
        # Before there is a release more, which has never been live.
        self._remember(live)
        if release is None and source is not None and source.needs_archive:
            return {"changed": False, "due": False, "needs_archive": True}
        built = release is None
        if release is None:
            with self._step("build"), self._saying_what_serves(live):
                release = self.releases.build(
                    t.cast(str, identity),
                    t.cast(Source, source).described,
                    t.cast(Source, source).unpack,
                    self.install,
                    self.slots.used_releases(),
                )
        try:
            with self._saying_what_serves(live):
                self._hooks_before(live, release)
        except HookError:
            if built:
                self.releases.remove(release)
            raise
        return {**result, "release": release, "steps": self.steps}

    def go_live(self, release: str) -> Result:
        """Start a prepared release, prove it, switch to it and confirm it."""
        live = self.slots.live()
        if release not in self.releases.finished():
            raise BuildError("release {0} is not on this host any more".format(release))
        if self._is_live(live, release):
            # Another deployment was here in between.
            return {"changed": False, "release": release, "slot": live}
        self._remember(live)
        slot, app = self.slots.idle(), self._app(release)
        try:
            # A folder that is missing is a fault of the release, like one that does not start.
            problem = self.published.problem(app)
            if problem:
                raise SlotError(problem)
            with self._step("static files"):
                self.published.add(app)
            with self._step("start and health"):
                self.slots.start(slot, release, self.health)
            with self._step("switch and confirmation"):
                unconfirmed = self.slots.switch(slot, self.health, self.smoke)
        except (SlotError, OSError) as error:
            self._leave_nothing(release)
            raise SlotError("{0}\n{1}".format(error, self._what_serves(live))) from error
        self.history.note(release, slot, self._how)
        self._prune()
        self.published.settle(app, self._kept_apps(release))
        if live and self.params["warm"]:
            self.slots.keep_warm(live)
        for repair in self.slots.repairs(slot):
            repair()
        self._run_hooks("after", slot, release)
        # Of a first release, and where no site serves it, nobody expects more.
        told = unconfirmed if live and self.smoke else None
        return {"changed": True, "release": release, "slot": slot, "unconfirmed": told, "steps": self.steps}

    def _source(self, check_mode: bool) -> Source:
        cache = os.path.join(self.root, "source")
        return source_of(self.params["source"], self.params["archive"], cache, check=check_mode)

    def _earlier(self, live: t.Optional[str], check_mode: bool) -> str:
        """Return the release to go back to."""
        there = self.releases.finished()
        wanted = self.params["release"]
        if wanted == "previous":
            self._remember(live, check_mode)
            found = self.history.previous(self.slots.release_of(live), there)
            if found is None:
                raise BuildError('gunicorn_app_release: "previous" is refused; accepted: the name of a release; none '
                                 "was live before the one that is")  # fmt: skip
            return found
        if wanted not in there:
            raise BuildError('gunicorn_app_release: "{0}" is refused; accepted: previous, or one of those on this '
                             "host: {1}".format(wanted, ", ".join(there) or "there is none"))  # fmt: skip
        return str(wanted)

    def _is_live(self, live: t.Optional[str], release: t.Optional[str]) -> bool:
        return (
            self.slots.is_as_wanted(live, release)
            and self.slots.is_active(t.cast(str, live))
            and self.health.ask(self.slots.current) is None
        )

    def _put_right(self, live: str, check_mode: bool) -> Result:
        """Do what a killed run has left, or a hand has changed, beside the slot that serves."""
        release = t.cast(str, self.slots.release_of(live))
        # Where nothing is noted at all, a version of this collection that kept no history has confirmed it.
        unconfirmed = bool(self.history.entries()) and not self.history.is_last(release, live)
        told = self._confirm(live, release) if unconfirmed and not check_mode else None
        app, others = self._app(release), self._kept_apps(release)
        due: t.List[t.Callable[[], object]] = [*self.slots.repairs(live)]
        if not self.published.is_settled(app, others):
            problem = self.published.problem(app)
            if problem:
                raise BuildError(problem)
            due.append(lambda: self.published.settle(app, others))
        if not self.history.is_last(release, live):
            due.append(lambda: self._note(release, live))
        used = self.slots.used_releases()
        if self.releases.unfinished(used):
            # Killed while it removed the oldest one, for instance.
            due.append(lambda: self.releases.remove_unfinished(used))
        left = self._secrets_left()
        if left:
            due.append(lambda: discard(left))
        for repair in [] if check_mode else due:
            repair()
        if unconfirmed and not check_mode:
            self._run_hooks("after", live, release)
        return {"changed": unconfirmed or bool(due), "diff": [], "unconfirmed": told, "steps": self.steps}

    def _confirm(self, live: str, release: str) -> t.Optional[str]:
        """Confirm what a run that was killed after its switch has not, and return why nginx was not asked, or None."""
        try:
            with self._step("confirmation"):
                told = self.slots.confirm(live, self.health, self.smoke)
        except SlotError as error:
            serves = self.slots.live()
            if serves == live:
                # It was ended by a reboot, for instance.
                raise SlotError("{0}\nIt stays live: the release before it runs no more.".format(error)) from error
            self._leave_nothing(release)
            raise SlotError("{0}\n{1}".format(error, self._what_serves(serves))) from error
        self._note(release, live)
        self._prune()
        before = self.slots.idle()
        if self.params["warm"] and self.slots.is_active(before):
            self.slots.keep_warm(before)
        return told if self.smoke else None

    def _secrets_left(self) -> t.List[str]:
        """Return the files and folders with secrets that a killed run has left; nothing but a run uses them."""
        hooks, login = environment_file(self.name), folder_of(self.name)
        found = [path for path in (hooks, login) if os.path.lexists(path)]
        return [*found, *leftovers_of(hooks), *self.slots.secrets_left()]

    def _diff(self, live: t.Optional[str], release: t.Optional[str]) -> t.List[t.Dict[str, str]]:
        slots = self.slots
        diff = diff_of(slots.on_disk(live) if live else {}, slots.files[live or slots.idle()])
        before = slots.release_of(live)
        if release is None or release != before:
            diff += diff_of({"release": (before or "") + "\n"}, {"release": (release or "(to be built)") + "\n"})
        return diff

    def _hooks_before(self, live: t.Optional[str], release: str) -> None:
        if not self.params["release"]:
            self._run_hooks("before", self.slots.idle(), release)
        elif live and self.slots.release_of(live) != release:
            # The release that is left knows what it has done, and how it is undone. With new settings none is left.
            self._run_hooks("rollback", live, t.cast(str, self.slots.release_of(live)))

    def _run_hooks(self, when: str, slot: str, release: str) -> None:
        hooks = [hook for hook in self.params["hooks"][when] if self.params["first"] or not hook["once"]]
        if hooks:
            unit = self.slots.files[slot][self.slots.service_file(slot)]
            with self._step("hooks " + when):
                Hooks(self.name, unit, self.slots.environment, self.run).run(when, hooks, self.releases.path(release))

    def _note(self, release: str, live: str) -> None:
        """Write down what a run that was killed after its switch has not."""
        self._remember(live)
        if not self.history.is_last(release, live):
            self.history.note(release, live, self._how)

    def _remember(self, live: t.Optional[str], check_mode: bool = False) -> None:
        release = self.slots.release_of(live)
        if live and release and not self.history.is_there():
            self.history.begin(self.releases.finished(), release, live, write=not check_mode)

    @property
    def _how(self) -> str:
        return "rolled back" if self.params["release"] else "deployed"

    def _app(self, release: str) -> str:
        return os.path.join(self.releases.path(release), "app")

    def _kept_apps(self, live: str) -> t.List[str]:
        """Return the folders of the releases beside the live one that have been live, newest first."""
        there = self.releases.finished()
        return [self._app(name) for name in reversed(self.history.releases()) if name != live and name in there]

    def _leave_nothing(self, release: str) -> None:
        """Remove a release that has failed and has never been live."""
        live = self.slots.release_of(self.slots.live())
        if live:
            self.published.withdraw(self._app(release), [self._app(live), *self._kept_apps(live)])
        else:
            self.published.remove()
        if release not in self.history.releases() and release not in self.slots.used_releases():
            self.releases.remove(release)

    def _prune(self) -> None:
        """Keep the releases that were live last. One that never was is of a deployment that failed elsewhere."""
        there = self.releases.finished()
        lived = [name for name in self.history.releases() if name in there]
        keep = {*lived[-self.params["keep"] :], *self.slots.used_releases()}
        for name in there:
            if name not in keep:
                self.releases.remove(name)

    def _what_serves(self, live: t.Optional[str]) -> str:
        if live is None:
            return "There is no release before it: the application is not served."
        verb = "serves on" if self.slots.is_active(live) else "does not serve either"
        return "The release before it, {0}, {1}.".format(self.slots.release_of(live), verb)

    @contextlib.contextmanager
    def _saying_what_serves(self, live: t.Optional[str]) -> t.Iterator[None]:
        try:
            yield
        except (BuildError, HookError) as error:
            raise type(error)("{0}\n{1}".format(error, self._what_serves(live))) from error

    @contextlib.contextmanager
    def _step(self, name: str) -> t.Iterator[None]:
        began = time.monotonic()
        yield
        seconds = round(time.monotonic() - began, 1)
        if seconds >= 0.1:
            self.steps.append({"step": name, "seconds": seconds})
