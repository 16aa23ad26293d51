# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn_app_settings: which of Gunicorn's settings a user may set, and how a value is written."""

from __future__ import annotations

import difflib
import math
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field, item

_PATH = "gunicorn_app_settings"

# The settings of Gunicorn 23 to 27 by what becomes of them here.
# fmt: off
_FREE = frozenset(
    [
        "asgi_disconnect_grace_period", "asgi_lifespan", "asgi_loop", "backlog", "casefold_http_method",
        "default_proc_name", "dirty_apps", "dirty_graceful_timeout", "dirty_threads", "dirty_timeout", "dirty_workers",
        "dogstatsd_tags", "enable_backlog_metric", "forwarder_headers", "header_map", "http2_cleartext",
        "http2_initial_window_size", "http2_max_concurrent_streams", "http2_max_frame_size",
        "http2_max_header_list_size", "http_parser", "http_protocols", "permit_obsolete_folding",
        "permit_unconventional_http_method", "permit_unconventional_http_version", "proc_name", "pythonpath",
        "root_path", "secure_scheme_headers", "sendfile", "statsd_host", "statsd_prefix", "strip_header_spaces",
        "threads", "tmp_upload_dir", "websocket_max_message_size", "worker_connections",
    ]
)
_HOOKS = frozenset(
    [
        "child_exit", "dirty_post_fork", "dirty_worker_exit", "dirty_worker_init", "nworkers_changed",
        "on_dirty_starting", "on_exit", "on_reload", "on_starting", "post_fork", "post_request", "post_worker_init",
        "pre_exec", "pre_fork", "pre_request", "ssl_context", "when_ready", "worker_abort", "worker_exit", "worker_int",
    ]
)
#: The variable of the role that says the same.
_VARIABLES = {
    "accesslog": "access_log",
    "graceful_timeout": "timeout",
    "keepalive": "keepalive",
    "limit_request_field_size": "limit_request_field_size",
    "limit_request_fields": "limit_request_fields",
    "limit_request_line": "limit_request_line",
    "loglevel": "log_level",
    "max_requests": "max_requests",
    "max_requests_jitter": "max_requests_jitter",
    "preload_app": "preload",
    "raw_env": "env",
    "timeout": "timeout",
    "workers": "workers",
    "wsgi_app": "module",
}
_REASONS = {
    "the slot's unit of systemd sets it": [
        "bind", "chdir", "config", "daemon", "enable_stdio_inheritance", "group", "initgroups", "pidfile", "reuse_port",
        "umask", "user",
    ],
    "the release is proven with the role's own value": [
        "control_socket", "control_socket_disable", "control_socket_mode", "forwarded_allow_ips", "worker_class",
        "worker_tmp_dir",
    ],
    "gunicorn_app_log_level, gunicorn_app_log_format and gunicorn_app_access_log say what reaches the journal": [
        "access_log_format", "capture_output", "disable_redirect_access_to_syslog", "errorlog", "logconfig",
        "logconfig_dict", "logconfig_json", "logger_class", "syslog", "syslog_addr", "syslog_facility", "syslog_prefix",
    ],
    "a release never changes": ["reload", "reload_engine", "reload_extra_files"],
    "the process would not serve": ["check_config", "print_config", "spew"],
    "nginx speaks plain HTTP to the socket, and ends TLS itself": [
        "ca_certs", "cert_reqs", "certfile", "ciphers", "do_handshake_on_connect", "keyfile", "protocol",
        "proxy_allow_ips", "proxy_protocol", "ssl_version", "suppress_ragged_eofs", "uwsgi_allow_ips",
    ],
    "gunicorn_app_module names the application": ["paste", "raw_paste_global_conf"],
}
# fmt: on

_REFUSED = {
    **{name: f"no hook here; code belongs in the application, or its lifespan ({name})" for name in _HOOKS},
    **{name: f"gunicorn_app_{variable} instead" for name, variable in _VARIABLES.items()},
    **{name: f"settings without {name}: {reason}" for reason, names in _REASONS.items() for name in names},
}

_VALUES = "a string, a number, true, false, null, or lists and dictionaries of these"
_DEEPEST = 20


def normalise_settings(given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the settings in a stable order.

    :raises Refused: for one that is unknown, that this role sets, or that would break the slot
    """
    for name, value in given.items():
        path = field(_PATH, name)
        if name in _REFUSED:
            raise Refused(path, value, _REFUSED[name])
        if name not in _FREE:
            near = difflib.get_close_matches(str(name), _FREE | _REFUSED.keys(), n=1)
            hint = f", such as {near[0]}" if near else ""
            raise Refused(path, value, f"a setting of Gunicorn by its name in the configuration file{hint}")
        _value(path, value)
    return dict(sorted(given.items()))


def settings_text(settings: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """Return each setting's name and its value as Python source, on one line whatever the text holds."""
    return [(name, repr(value)) for name, value in settings.items()]


def _value(path: str, value: t.Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise Refused(path, value, f"a value of at most {_DEEPEST} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(path, value, "a number that Python's source can hold")
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise Refused(field(path, key), inner, "a key that is a string (quote it)")
            _value(field(path, key), inner, depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _value(item(path, index), inner, depth + 1)
    elif value is not None and not isinstance(value, (str, int, float)):
        raise Refused(path, value, _VALUES)
