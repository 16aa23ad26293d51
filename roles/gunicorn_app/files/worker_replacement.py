# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""Replace a worker that has answered max_requests: first the new one serves, then the old one drains.

Gunicorn itself starts the new one when the old one has ended, and with the last worker drains all that answers:
requests would wait for its longest one. Nor does it keep several from leaving at the same time.

A worker tells the master how far it is by the length of the file that its heartbeats go to; both have it open.
"""

import os
import signal

SERVING = 1
SPENT = 2


def mark(worker, state):
    os.ftruncate(worker.tmp.fileno(), state)
    # Gunicorn reads the time of this file, which has just become another one.
    worker.notify()


def _state(worker):
    try:
        return os.fstat(worker.tmp.fileno()).st_size
    except (OSError, ValueError):
        # It has ended this moment.
        return 0


def pre_fork(arbiter, worker):
    """Tell a worker whether there are others: it matters when its own start fails."""
    worker.alone = not any(_state(other) for other in list(arbiter.WORKERS.values()))


class Replacements:
    """Stands before the arbiter's own `manage_workers`, which it calls once a second and when a worker has ended."""

    def __init__(self, arbiter):
        self._arbiter = arbiter
        self._manage = arbiter.manage_workers
        self._leaving = None
        self._told = False
        arbiter.manage_workers = self.manage_workers

    def manage_workers(self):
        workers = self._arbiter.WORKERS
        if self._leaving not in workers:
            spent = {pid: worker.age for pid, worker in list(workers.items()) if _state(worker) == SPENT}
            # One after the other, the oldest first: the rest serve on meanwhile.
            self._leaving = min(spent, key=spent.__getitem__, default=None)
            self._told = False
        if self._leaving is None:
            self._manage()
            return
        self._arbiter.num_workers += 1
        try:
            self._manage()
        finally:
            self._arbiter.num_workers -= 1
        serving = [pid for pid, worker in list(workers.items()) if pid != self._leaving and _state(worker)]
        if not self._told and len(serving) >= self._arbiter.num_workers:
            self._told = True
            self._arbiter.kill_worker(self._leaving, signal.SIGTERM)
