# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports by which proxies on other hosts reach the applications of a host, each behind its fence."""

from __future__ import annotations

import glob
import os
import re
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import discard, leftovers_of, read_text
from ansible_collections.asgi.deploy.plugins.module_utils.hop_tls import HopTls
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import Files, stale_files, write_files
from ansible_collections.asgi.deploy.plugins.module_utils.units import SERVES, states_of

_UNITS = "etc/systemd/system"
_FENCES = "etc/asgi-deploy/fences"
_DROP_IN = "nftables.service.d/asgi-deploy.conf"

_NFT = "/usr/sbin/nft"

_TABLES = ("proc/net/tcp", "proc/net/tcp6")
_ESTABLISHED = "01"
_LISTENING = "0A"

#: In memory, as what a fence has loaded is: after a start of the host it has what its file says.
_MARKS = "run/asgi-deploy"

#: Seconds that requests have to end before a port is closed.
_PATIENCE = 60.0
_PAUSE = 0.2
#: Seconds that stunnel has to take new files, or to start.
_LOADING = 10.0

#: How a file of ours begins.
_OURS = "# Managed by Ansible (asgi.deploy"

#: In the order in which they stop.
_KINDS = ("{0}-hop@{1}.socket", "{0}-hop@{1}.service", "{0}-fence@{1}.service")
_UNIT = re.compile(r"([a-z][a-z0-9_-]{0,31})-(?:hop|fence)@([0-9]+)\.(?:socket|service)")

Run = t.Callable[..., t.Tuple[int, str, str]]


class HopError(ValueError):
    """A port could not be opened or closed; the text says which, and why."""


class Hop(t.NamedTuple):
    name: str
    port: int

    @property
    def units(self) -> t.List[str]:
        return [kind.format(self.name, self.port) for kind in _KINDS]

    @property
    def socket(self) -> str:
        return self.units[0]

    @property
    def service(self) -> str:
        return self.units[1]

    @property
    def fence(self) -> str:
        return self.units[2]

    @property
    def table(self) -> t.List[str]:
        """The words by which nft knows the fence."""
        return ["table", "inet", "asgi_deploy_{0}".format(self.port)]


class _Before(t.NamedTuple):
    """What there was of a port: ActiveState and UnitFileState of its socket, and whether its fence was up."""

    socket: t.Tuple[str, str]
    fenced: bool


_OPEN = _Before(SERVES, True)


class Hops:
    """:param run: executes a command, returns its exit code, output and errors"""

    def __init__(self, run: Run, base: str = "/") -> None:
        self._run = run
        self._base = base
        self._units = os.path.join(base, _UNITS)
        self._fences = os.path.join(base, _FENCES)
        self._tls = HopTls(run, base)

    def there(self) -> t.List[Hop]:
        """Return the hops that this collection has made on the host."""
        paths = [path for kind in _KINDS for path in glob.glob(os.path.join(self._units, kind.format("*", "*")))]
        matches = [_UNIT.fullmatch(os.path.basename(path)) for path in paths if _is_ours(path)]
        # Each of the three tells of it: a run may have been killed while it removed them.
        return sorted({Hop(match[1], int(match[2])) for match in matches if match})

    def units_of(self, name: str) -> t.List[str]:
        return [unit for hop in self.there() if hop.name == name for unit in hop.units]

    def files_of(self, name: str) -> t.List[str]:
        """Return the files of an application's ports besides units: the rules of the fences, and those of TLS."""
        found = glob.glob(os.path.join(glob.escape(self._fences), glob.escape(name) + "-*.nft"))
        ours = re.compile(re.escape(name) + r"-[0-9]+\.nft")
        fences = sorted(path for path in found if ours.fullmatch(os.path.basename(path)))
        return [*fences, *self._tls.files_of(name)]

    def other_kind(self, port: int, tls: bool) -> t.Optional[str]:
        """Return what would be accepted where a port is open otherwise, with TLS or without; None where it is not.

        The proxies learn of it after this host, and until then would talk to it in the wrong way.
        """
        hops = [hop for hop in self.there() if hop.port == port and self._tls.is_at(*hop) != tls]
        states = states_of(self._run, [hop.socket for hop in hops])
        if not any(state == "active" for state, _enabled in states.values()):
            return None
        now = "without TLS" if tls else "with TLS (gunicorn_app_port_tls)"
        return "another port; this one is open {0}, and requests would be lost while that changes".format(now)

    def taken(self, hop: Hop, tls: bool) -> t.Optional[str]:
        """Return what would be accepted where somebody else has the port, or it is open otherwise; None where it can be
        opened, or is open already.

        Opened all the same, its fence would cut off whoever has it, and both would have one table of nftables.
        """
        there = [other for other in self.there() if other.port == hop.port]
        others = [other.name for other in there if other.name != hop.name]
        if others:
            return "another port; {0} has it on this host until that is removed or has another one".format(others[0])
        # At whatever address: ours has them all.
        if hop.port in self._ports(_LISTENING) and not self._holds(hop):
            return "a port that nothing else on the host listens on"
        return self.other_kind(hop.port, tls)

    def open(self, hops: t.Sequence[Hop], files: Files, check_mode: bool) -> bool:
        """Open these ports as the files say. Returns whether there was, or in check mode would be, something to do.

        :raises HopError: naming the port that could not be opened; those that serve go on
        """
        by_tls = [hop for hop in hops if self._tls.files(*hop)[0] in files]
        for hop in hops:
            accepted = self.taken(hop, hop in by_tls)
            if accepted:
                raise HopError("gunicorn_app_port: {0} is refused; accepted: {1}".format(hop.port, accepted))
        stale = dict(stale_files(files))
        own = {hop: {path: stale.pop(path) for path in self._paths(hop) if path in stale} for hop in hops}
        states = states_of(self._run, [hop.socket for hop in hops])
        before = {hop: _Before(states.get(hop.socket, ("", "")), self._is_fenced(hop)) for hop in hops}
        due = [hop for hop in hops if own[hop] or before[hop] != _OPEN or os.path.exists(self._mark(hop))]
        unloaded = [hop for hop in by_tls if hop in due or not self._tls.serves(*hop, hop.service)]
        left = [path for hop in hops for own_path in self._paths(hop) for path in leftovers_of(own_path)]
        changed = bool(stale or due or unloaded or left)
        if check_mode or not changed:
            return changed
        discard(left)
        if stale:
            # One for all fences of the host.
            write_files(stale)
            self._run(["systemctl", "daemon-reload"])
        # One after the other, each with its files: what comes after one that fails is as it was.
        for hop in hops:
            if hop in due or hop in unloaded:
                self._open(hop, own[hop], before[hop])
            if hop in unloaded:
                self._load(hop)
            elif hop not in by_tls:
                # Of a port that was never opened.
                self._tls.remove(*hop)
        return True

    def _open(self, hop: Hop, stale: Files, before: _Before) -> None:
        rules = {path: wanted for path, wanted in stale.items() if path == self._rules(hop)}
        write_files({path: wanted for path, wanted in stale.items() if path not in rules})
        self._run(["systemctl", "daemon-reload"])
        try:
            if rules or not before.fenced or os.path.exists(self._mark(hop)):
                self._fence(hop, rules)
            if before.socket != SERVES:
                self._must(hop, ["systemctl", "enable", "--now", hop.socket, hop.fence], hop.socket)
        except HopError:
            self._withdraw(hop, before)
            raise

    def _fence(self, hop: Hop, rules: Files) -> None:
        """Put the fence up, or let it have what its file says."""
        # It stays until the fence has it: after a run that was killed in between, the file alone looks as if it were in
        # force, and a proxy that was taken out would be let in for good.
        mark = self._mark(hop)
        os.makedirs(os.path.dirname(mark), mode=0o700, exist_ok=True)
        with open(mark, "w", encoding="utf-8"):
            pass
        write_files(rules)
        # A fence that is up is changed in one transaction: no connection ends.
        self._must(hop, ["systemctl", "reload-or-restart", hop.fence], hop.fence)
        discard([mark])

    def _withdraw(self, hop: Hop, before: _Before) -> None:
        """Take down what was put up for a port that did not open: its fence would cut off whoever has it."""
        active, enabled = before.socket[0] == "active", before.socket[1] == "enabled"
        if active:
            return
        if not (enabled or before.fenced):
            self._run(["systemctl", "disable", "--now", *hop.units])
            self._remove([hop])
            return
        # Closed by somebody else, or by a run that was killed: back to that.
        if not enabled:
            self._run(["systemctl", "disable", "--now", hop.socket])
        if not before.fenced:
            self._run(["systemctl", "stop", hop.fence])

    def _load(self, hop: Hop) -> None:
        """Let new connections have what the files hold; those that are open go on."""
        if self._run(["systemctl", "--quiet", "is-active", hop.service])[0] == 0:
            self._must(hop, ["systemctl", "reload", hop.service], hop.service)
        deadline = time.monotonic() + _LOADING
        # Where it does not run, being asked starts it.
        while not self._tls.serves(*hop, hop.service):
            if time.monotonic() > deadline:
                raise HopError(
                    "port {0} of {1} does not serve its certificate: {2}".format(
                        hop.port, hop.name, self._log(hop.service) or "nobody answers there"
                    )
                )
            time.sleep(_PAUSE)

    def close(self, hops: t.Sequence[Hop]) -> None:
        """Close ports that nothing is to come in by any more, and remove what belongs to them.

        :raises HopError: naming the port that could not be closed
        """
        self.drain(hops)
        for hop in hops:
            code, output, errors = self._run(["systemctl", "disable", "--now", *hop.units])
            if self._run(["systemctl", "--quiet", "is-active", hop.socket])[0] == 0:
                raise HopError("port {0} could not be closed: {1}".format(hop.port, (errors or output).strip() or code))
        self._remove(hops)

    def _remove(self, hops: t.Sequence[Hop]) -> None:
        """Remove what belongs to ports that are closed."""
        for hop in hops:
            if self._is_fenced(hop):
                self._run([_NFT, "delete", *hop.table])
            paths = self._paths(hop)
            discard([path for own in paths for path in leftovers_of(own)])
            # The units at the end: by them a run after a killed one knows that there is a port to close.
            discard([self._mark(hop), *reversed(paths)])
        self.forget()
        self._run(["systemctl", "daemon-reload"])
        self._run(["systemctl", "--quiet", "reset-failed", *(unit for hop in hops for unit in hop.units)])

    def drain(self, hops: t.Sequence[Hop], seconds: float = _PATIENCE) -> None:
        """Wait until what is under way at these ports has ended; proxies that were reloaded begin nothing new there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._ports(_ESTABLISHED) & {hop.port for hop in hops}:
            time.sleep(_PAUSE)

    def _ports(self, state: str) -> t.Set[int]:
        """Return the ports of this host with connections in this state, from the kernel's tables."""
        ports = set()
        for table in _TABLES:
            for line in (read_text(os.path.join(self._base, table)) or "").splitlines()[1:]:
                words = line.split()
                if words[3] == state:
                    ports.add(int(words[1].rpartition(":")[2], 16))
        return ports

    def forget(self) -> None:
        """Let nftables.service go without the fences where there are none any more."""
        drop_in = os.path.join(self._units, _DROP_IN)
        if os.path.exists(drop_in) and not glob.glob(os.path.join(glob.escape(self._fences), "*.nft")):
            os.unlink(drop_in)

    def _rules(self, hop: Hop) -> str:
        return os.path.join(self._fences, "{0}-{1}.nft".format(*hop))

    def _paths(self, hop: Hop) -> t.List[str]:
        """Return the hop's own files, whether they are there or not."""
        return [*(os.path.join(self._units, unit) for unit in hop.units), self._rules(hop), *self._tls.files(*hop)]

    def _mark(self, hop: Hop) -> str:
        """Return the file that is there while the rules on disk are perhaps not those that are in force."""
        return os.path.join(self._base, _MARKS, ".fence-{0}-{1}".format(*hop))

    def _holds(self, hop: Hop) -> bool:
        # Not by the files: of one that is open somebody may have deleted them, and they are written anew. Where the
        # socket was stopped alone, the service still has the port.
        states = states_of(self._run, [hop.socket, hop.service])
        return any(state == "active" for state, _enabled in states.values())

    def _is_fenced(self, hop: Hop) -> bool:
        # In check mode on a new host the package is not there.
        return os.path.exists(_NFT) and self._run([_NFT, "list", *hop.table])[0] == 0

    def _must(self, hop: Hop, command: t.List[str], unit: str) -> None:
        code, output, errors = self._run(command)
        if code:
            said = self._log(unit) or (errors or output).strip()
            raise HopError("port {0} of {1} could not be opened: {2}".format(hop.port, hop.name, said))

    def _log(self, unit: str) -> str:
        # Not --unit: systemd tries a port in a child, whose words have the unit's name from systemd alone where the
        # child has ended before the journal looks where it ran.
        lines = ["_SYSTEMD_UNIT=" + unit, "+", "UNIT=" + unit, "_UID=0"]
        return self._run(["journalctl", *lines, "--lines=5", "--no-pager", "--output=cat"])[1].strip()


def _is_ours(path: str) -> bool:
    return (read_text(path) or "").startswith(_OURS)
