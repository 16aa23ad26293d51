# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of the module nginx_tree: what is due, in which order, and what the module says of it."""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call, Result
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import Entry, adoption_notice, find_served
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_folders import (
    due_folders,
    heal_logs,
    make_folders,
    worker_user,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Generations, Refusal, id_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_sandbox import sandbox_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_switch import (
    files_with_marks,
    go_back,
    load_and_confirm,
    try_to_go_back,
)
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_transaction import HIDDEN, NginxTransaction
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders


def expect(generations: Generations, expected: t.Sequence[str]) -> t.Optional[str]:
    """Return the name of the live generation.

    :param expected: names or ids, one of which has to be live; ``any`` is all of them, and an empty list asks for none
    :raises Refusal: where it is another one, before anything has changed
    """
    live = generations.live()
    if not expected:
        return live
    if live is None:
        raise Refusal("this host has no generation of nginx's configuration yet: asgi.deploy.site makes its first one")
    if not {"any", live, id_of(live)} & set(expected):
        raise Refusal(
            "another run has put the generation {0} live, and {1} was to be it; nothing was changed here".format(
                live, " or ".join(expected)
            )
        )
    return live


def put_live(call: Call, generations: Generations) -> Result:
    """Put the tree of the parameters live.

    :raises Refusal: with the reason; what was live before is live still
    """
    # Before the first change: what is there of somebody else's is not written over.
    generations.refuse_foreign()
    worker_user()
    nginx = Nginx(call.run, call.params["status_port"], sandbox_of(call.params.get("drop_in")))
    transaction = NginxTransaction(call.params, nginx, generations, Entry(call.params["entry"], generations.home))
    result: Result = {"generation": transaction.generation, "reloaded": False, "diff": transaction.diff()}
    _say_what_was_found(call, transaction, result)
    differs = transaction.differs()
    pending = differs or nginx.served_generation() != transaction.generation or bool(transaction.unserved())
    if call.check_mode:
        result["changed"] = _check(call, transaction, differs) or pending
    else:
        result.update(_apply(call, transaction, differs, pending))
    return result


def _check(call: Call, transaction: NginxTransaction, differs: bool) -> bool:
    """Prove the tree without a change to the host. Returns whether anything beside the tree would change."""
    if differs or transaction.tls.absent():
        transaction.check()
    else:
        transaction.test_live()
    return bool(
        transaction.tls.stale()
        or due_folders(call.params["folders"])
        or heal_logs(change=False)
        or not transaction.nginx.starts_at_boot()
    )


def _apply(call: Call, transaction: NginxTransaction, differs: bool, pending: bool) -> Result:
    changed = make_folders(call.params["folders"])
    # Only what nginx could not open at all: a pair that is served stays as it is until the tree is proven.
    pairs_made = transaction.tls.ensure(transaction.tls.absent())
    # Before nginx is asked: it neither starts nor tests a configuration without the folder of its logs.
    changed = heal_logs() or changed
    if differs:
        transaction.apply()
    elif transaction.is_unconfirmed():
        transaction.test_live()
        transaction.apply_again()
        pending = True
    else:
        transaction.test_live()
        # What a run that was killed after its confirmation has left to do.
        transaction.generations.prune(transaction.keep)
        if pending or pairs_made:
            transaction.load_or_refuse()
    stale = transaction.tls.stale()
    pairs_renewed = transaction.tls.ensure(stale)
    if pairs_renewed:
        transaction.load_or_refuse()
    removed = transaction.tls.remove_foreign(transaction.kept_folders)
    # The new log files.
    changed = heal_logs() or changed
    changed = _start_at_boot(transaction.nginx) or changed
    reloaded = pending or pairs_made or pairs_renewed
    return {"reloaded": reloaded, "changed": bool(changed or stale or removed or reloaded)}


def _start_at_boot(nginx: Nginx) -> bool:
    if nginx.starts_at_boot():
        return False
    problem = nginx.start_at_boot()
    if problem:
        raise Refusal("nginx serves the configuration, and will not start at boot: " + problem)
    return True


def _say_what_was_found(call: Call, transaction: NginxTransaction, result: Result) -> None:
    """The first run on a hand-made nginx; later ones find a file of ours."""
    if not transaction.entry.is_foreign():
        return
    listing = transaction.nginx.listing(transaction.entry.path)
    found = find_served(call.run, listing, transaction.files, transaction.entry)
    notice = adoption_notice(call.params["host"], found, transaction.entry)
    if notice:
        result["found"] = [{"path": one.path, "names": one.names} for one in found]
        call.warn(notice)


def put_back(call: Call, generations: Generations) -> Result:
    """Put an old generation of the host live.

    :raises Refusal: with the reason; what was live before is live still
    """
    generations.refuse_foreign()
    worker_user()
    try:
        name = generations.find(call.params["back_to"])
    except Refusal as error:
        raise Refusal("nginx_proxy_generation: " + str(error)) from None
    nginx = Nginx(call.run, generations.status_port(name), sandbox_of(call.params.get("drop_in")))
    tls = TlsFolders(call.params["tls_dir"], [])
    result: Result = {"generation": id_of(name), "diff": difference(generations, name)}
    if call.check_mode:
        try_to_go_back(generations, nginx, tls, name)
        changed = generations.live() != name or nginx.served_generation() != id_of(name)
    else:
        changed = go_back(generations, nginx, tls, name, lambda generation: load_and_confirm(nginx, generation))
    result.update(changed=changed, reloaded=changed and not call.check_mode)
    return result


def difference(generations: Generations, name: str) -> t.List[t.Dict[str, str]]:
    """Return Ansible's diff between the live generation and another; of password files only that they are there."""
    sides = []
    for one in (generations.live(), name):
        files, private = files_with_marks(generations, one) if one else ({}, {})
        paths = {**files, **dict.fromkeys(private, HIDDEN)}
        sides.append({generations.current + "/" + path: text for path, text in paths.items()})
    return diff_of(sides[0], sides[1])
