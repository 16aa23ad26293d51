# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host needs before an application can be released there."""

from __future__ import annotations

import pwd

from ansible_collections.asgi.deploy.plugins.module_utils.call import Call, Result
from ansible_collections.asgi.deploy.plugins.module_utils.hops import Hops
from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages

#: By the comment the user is known as ours: a name that somebody else has is refused.
COMMENT = "asgi.deploy application"


def prepare_applications(call: Call) -> Result:
    """Do the work of the module gunicorn_host.

    :raises ValueError: for a user that could not be made
    """
    missing = [name for name in call.params["users"] if not is_there(name)]
    for name in [] if call.check_mode else missing:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell=/usr/sbin/nologin"]
        command += ["--home-dir=/var/lib/" + name, "--comment=" + COMMENT, name]
        code, output, errors = call.run(command)
        if code:
            raise ValueError("useradd failed: " + (errors or output).strip())
    diff = [{"before": "", "after": "".join("user {0}\n".format(name) for name in missing)}] if missing else []
    return {
        "changed": bool(missing),
        "diff": diff,
        "install": absent_packages(call.run, call.params["packages"]),
        "hops": ["{0}:{1}".format(*hop) for hop in Hops(call.run).there()],
    }


def is_there(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
