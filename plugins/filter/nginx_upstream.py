# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: nginx_upstream
author: The asgi.deploy authors (@asgi)
version_added: 0.1.0
short_description: The text of one nginx upstream block
description:
  - Checks a dictionary that describes an upstream and prints it as nginx configuration.
  - What it prints loads without a warning on nginx 1.22 (Debian 12) and 1.26 (Debian 13), if names resolve.
  - Whatever nginx refuses, or accepts in silence and does harm with, fails with one line that names the
    field, the value and what is accepted. Unknown keys, and those of nginx's commercial edition, are refused
    by name.
options:
  _input:
    description: The upstream.
    type: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the block, for C(proxy_pass http://name).
          - At most 128 letters, digits, V(_), V(.) and V(-), beginning with a letter, a digit or V(_).
          - The block's shared memory zone is called C(upstream_) and the name.
        type: str
        required: true
      servers:
        description:
          - The servers, each an address or a dictionary with V(address) and options.
          - An address is V(host:port), V([IPv6]:port) or V(unix:/absolute/path).
          - The options are V(weight) (an integer of 1 or more), V(max_fails) (0 or more), V(fail_timeout) (a
            time in V(s), V(m), V(h) or V(d)), V(max_conns) (0 or more, 0 for no limit), V(backup) and V(down)
            (booleans).
          - Refused are the same server twice, all servers V(down), and only V(backup) servers.
        type: list
        elements: raw
        required: true
      method:
        description:
          - How requests are shared out. V(backup) servers need V(round_robin) or V(least_conn).
        type: str
        choices: [round_robin, least_conn, ip_hash, hash, random]
        default: round_robin
      hash_key:
        description:
          - What is hashed, a text with at least one nginx variable, such as V($request_uri).
          - Required with O(_input.method=hash), refused with every other method.
        type: str
      consistent:
        description:
          - Whether a changed list of servers moves few keys only (ketama). Only with O(_input.method=hash).
        type: bool
        default: false
      two:
        description:
          - Whether the less busy of two random servers is taken. Only with O(_input.method=random).
        type: bool
        default: false
      keepalive:
        description:
          - Idle connections to the servers that each nginx worker keeps, 1 or more.
          - Too few of them cost a third of the requests per second.
        type: int
        default: 64
      keepalive_timeout:
        description:
          - How long an idle connection is kept, a time in V(ms), V(s), V(m), V(h) or V(d).
          - Keep it below the application server's own, or a request meets a connection that was just closed.
        type: str
        default: 60s
      keepalive_requests:
        description: After how many requests a connection is closed, 1 or more.
        type: int
        default: 1000
      zone_size:
        description:
          - The size of the shared memory zone, in V(k) or V(m), at least V(32k).
          - The default is V(64k) for every 30 servers, because nginx stops when they do not fit.
        type: str
"""

EXAMPLES = r"""
- name: One application behind a unix socket
  ansible.builtin.copy:
    content: "{{ {'name': 'shop', 'servers': ['unix:/run/shop/current.sock']} | asgi.deploy.nginx_upstream }}"
    dest: /etc/nginx/conf.d/shop.conf
    mode: "0644"
# upstream shop {
#     zone upstream_shop 64k;
#     server unix:/run/shop/current.sock;
#     keepalive 64;
#     keepalive_timeout 60s;
#     keepalive_requests 1000;
# }

- name: Three hosts, one of them for emergencies
  ansible.builtin.debug:
    msg: "{{ upstream | asgi.deploy.nginx_upstream }}"
  vars:
    upstream:
      name: shop
      method: least_conn
      servers:
        - app1.internal:8000
        - address: app2.internal:8000
          weight: 2
          max_fails: 1
          fail_timeout: 5s
        - address: "[2001:db8::3]:8000"
          backup: true
"""

RETURN = r"""
_value:
  description: The C(upstream) block, ending with a newline.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.asgi.deploy.plugins.plugin_utils.upstream import normalise_upstream, render_upstream
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import arguments


def nginx_upstream(*args: t.Any, **kwargs: t.Any) -> str:
    """Return the text of an ``upstream`` block."""
    try:
        return render_upstream(normalise_upstream(arguments(("upstream",), args, kwargs)["upstream"]))
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"nginx_upstream": nginx_upstream}
