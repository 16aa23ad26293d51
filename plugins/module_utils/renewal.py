# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate has to be renewed, and when its end is so near that renewals must have failed.

Runs inside modules and, copied beside them, inside the program asgi-deploy-certificates: only the standard library,
and nothing of Ansible.
"""

from __future__ import annotations

import time
import typing as t

_DAY = 86400
_HOUR = 3600

#: Certificates that live shorter are renewed at half of their life: a third of it is too few tries.
_SHORT = 10 * _DAY


def renew_before(lifetime: float) -> float:
    """Return how many seconds before its end a certificate that lives ``lifetime`` seconds is renewed.

    The rule of certbot from 4.1 on. What Debian has takes 30 days whatever the lifetime, unless it is told.
    """
    return lifetime / 2 if lifetime < _SHORT else lifetime / 3


def alarm_before(lifetime: float) -> float:
    """Return how many seconds before its end somebody has to look: half of the tries have failed."""
    return renew_before(lifetime) / 2


def soon_over(name: str, begins: float, ends: float, now: float) -> t.Optional[str]:
    """Return a warning of the end of a certificate that the user renews, or None while there is time.

    From 30 days before the end on; of one that lives shorter than 90 days from when certbot would renew it.

    :param name: what it is, and where: begins the sentence
    :param begins: ``ends``, ``now``: seconds since the epoch
    """
    left = ends - now
    if not 0 < left < min(30 * _DAY, renew_before(ends - begins)):
        return None
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ends))
    days = "{0:.0f} days".format(left // _DAY) if left >= 2 * _DAY else "{0:.0f} hours".format(left // _HOUR)
    return "{0} expires on {1}, in {2}, and nothing here renews it".format(name, when, days)


def interval(seconds: float) -> str:
    """Return ``seconds`` as certbot's ``renew_before_expiry`` has them."""
    # Rounded, because CAs take the last second off: a third of 90 days is 720 hours, and not 719.
    if seconds >= 10 * _HOUR:
        return "{0:.0f} hours".format(seconds / _HOUR)
    # For trials: no CA gives certificates as short as these.
    return "{0:.0f} seconds".format(seconds)
