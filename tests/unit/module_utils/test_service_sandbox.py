# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hook takes over from a slot's unit."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.service_sandbox import properties

UNIT = """\
[Unit]
Description=notes (blue slot)
StartLimitBurst=5

[Service]
Type=notify
User=notes
UMask=0027
WorkingDirectory=/opt/notes/slots/blue/release/app
Environment=A=1
Environment=B=2=3
EnvironmentFile=/opt/notes/slots/blue/environment
ExecStart=/opt/notes/slots/blue/release/venv/bin/gunicorn notes.main:app
Restart=always
MemoryMax=512M

# Sandbox
# No capability, and =none can be gained.
CapabilityBoundingSet=
NoNewPrivileges=yes
; ProtectHome=no
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# End of the sandbox

KillMode=mixed

[Install]
WantedBy=multi-user.target
"""

FOUND = [
    "User=notes",
    "UMask=0027",
    "WorkingDirectory=/opt/notes/slots/blue/release/app",
    "Environment=A=1",
    "Environment=B=2=3",
    "EnvironmentFile=/opt/notes/slots/blue/environment",
    "MemoryMax=512M",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
]


def test_the_sandbox_and_what_surrounds_the_code_and_nothing_else() -> None:
    assert properties(UNIT) == FOUND


@pytest.mark.parametrize("text", ["", "[Service]\nType=notify\n# Sandbox\n# End of the sandbox\n"])
def test_a_unit_without_any(text: str) -> None:
    assert properties(text) == []
