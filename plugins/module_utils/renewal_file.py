# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""certbot's renewal files: settings read and changed in place, with everything else as it was.

certbot writes them with ConfigObj, which a host need not have: of its syntax this knows what certbot uses.

Runs inside modules and, copied beside them, inside the program asgi-deploy-certificates: only the standard
library, and nothing of Ansible.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, write_file

#: Where certbot has them, one for each lineage.
FOLDER = "/etc/letsencrypt/renewal"

TOP = ""
PARAMS = "renewalparams"
_MAP = "webroot_map"

_SECTION = re.compile(r"\s*(\[+)\s*(.*?)\s*(\]+)\s*(#.*)?$")
_VALUE = r""""[^"]*"|'[^']*'|.*?"""
_SETTING = re.compile(r"(\s*)([^\s#\[=][^=]*?)(\s*=\s*)(" + _VALUE + r")(\s*|\s+#.*)$")


def path_of(name: str) -> str:
    """Return the renewal file of the lineage ``name``."""
    return os.path.join(FOLDER, name + ".conf")


class RenewalFile:
    """A renewal file; one that is not there is empty."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.before = read_text(path)
        self._lines = (self.before or "").splitlines()

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self._lines)

    def get(self, key: str) -> t.Optional[str]:
        """Return a setting of certbot's, of whichever section but the map of webroots, or None."""
        for _number, section, name, value in self._settings():
            if name == key and section != _MAP:
                return _unquoted(value)
        return None

    def set(self, key: str, value: str, section: t.Optional[str] = PARAMS) -> None:
        """:param section: ``renewalparams``, or None for the settings before it"""
        section = section or TOP
        for number, place, name, _value in self._settings():
            if name == key and place == section:
                # A function, because a value may hold what would be a reference to a group.
                self._lines[number] = _SETTING.sub(lambda match: self._replaced(match, value), self._lines[number])
                return
        self._lines.insert(self._end_of(section), "{0} = {1}".format(key, _quoted(value)))

    def remove(self, key: str) -> None:
        gone = [number for number, section, name, _value in self._settings() if name == key and section != _MAP]
        for number in reversed(gone):
            del self._lines[number]

    def params(self) -> t.List[str]:
        """Return the names of the settings in ``renewalparams``."""
        return [name for _number, section, name, _value in self._settings() if section == PARAMS]

    def webroots(self) -> t.Dict[str, str]:
        """Return certbot's map of host names to the folders that their challenges are written to."""
        return {name: _unquoted(value) for _number, section, name, value in self._settings() if section == _MAP}

    def set_webroots(self, webroots: t.Mapping[str, str]) -> None:
        """Replace the map; without one, its section goes."""
        sections = self._sections()
        if webroots == self.webroots() and (webroots or _MAP not in sections):
            return
        self._lines = [line for number, line in enumerate(self._lines) if sections[number] != _MAP]
        if webroots:
            if PARAMS not in sections:
                self._lines.append("[{0}]".format(PARAMS))
            self._lines.insert(self._end_of(PARAMS), "[[{0}]]".format(_MAP))
            place = self._end_of(_MAP)
            self._lines[place:place] = ["{0} = {1}".format(name, _quoted(path)) for name, path in webroots.items()]

    def is_changed(self) -> bool:
        return self.text != (self.before or "") and bool(self._lines)

    def write(self) -> bool:
        """Write what differs. Returns whether anything did."""
        if not self.is_changed():
            return False
        mode = os.stat(self.path).st_mode & 0o777 if os.path.exists(self.path) else 0o644
        write_file(self.path, self.text, mode)
        self.before = self.text
        return True

    @staticmethod
    def _replaced(match: t.Match[str], value: str) -> str:
        return match[1] + match[2] + match[3] + _quoted(value) + match[5].rstrip()

    def _sections(self) -> t.List[str]:
        """Return for each line the section that it belongs to; its head does."""
        section, found = TOP, []
        for line in self._lines:
            match = _SECTION.match(line)
            section = match[2] if match else section
            found.append(section)
        return found

    def _settings(self) -> t.Iterator[t.Tuple[int, str, str, str]]:
        sections = self._sections()
        for number, line in enumerate(list(self._lines)):
            match = None if _SECTION.match(line) else _SETTING.match(line)
            if match:
                yield number, sections[number], match[2], match[4]

    def _end_of(self, section: str) -> int:
        """Return the line before which another setting of ``section`` belongs; the section is made where absent."""
        sections = self._sections()
        numbers = [number for number, place, _name, _value in self._settings() if place == section]
        if numbers:
            return numbers[-1] + 1
        if section == TOP:
            return 0
        if section not in sections:
            self._lines.append("[{0}]".format(section))
            return len(self._lines)
        return sections.index(section) + 1


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _quoted(value: str) -> str:
    """Return the value as ConfigObj reads it; a comma at the end makes a list of one, as certbot's webroot_path is."""
    plain = value.rstrip(",")
    if re.search(r"[,#\"']", plain) or plain != plain.strip():
        quote = "'" if '"' in plain else '"'
        return quote + plain + quote + value[len(plain) :]
    return value
