# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""Uvicorn's worker for Gunicorn with the server of draining_server.py in it."""

import asyncio

import worker_replacement
from draining_server import DrainingServer, options
from systemd_notify import say_ready
from uvicorn_worker import UvicornWorker

#: Tells Gunicorn's master that no other worker will do better: it stops.
BOOT_ERROR = 3


class DrainingWorker(UvicornWorker):
    CONFIG_KWARGS = options()

    #: Whether no other worker serves; worker_replacement.py says so before the fork.
    alone = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Uvicorn would stop at this number; the master first starts the one that follows.
        self.config.limit_max_requests = None

    def _tell_serving(self):
        worker_replacement.mark(self, worker_replacement.SERVING)
        if self.alone:
            # The start of the service. Those that follow must not wait for systemd, which has nothing to learn.
            say_ready()

    async def _serve(self):
        self.config.app = self.wsgi
        server = DrainingServer(
            self.config,
            serving=self._tell_serving,
            spent=lambda: worker_replacement.mark(self, worker_replacement.SPENT),
            requests=self.max_requests if self.cfg.max_requests else None,
        )
        self._install_sigquit_handler()
        try:
            # Not Gunicorn's objects around them: uvloop would close their descriptors a second time.
            await server.serve(sockets=[listener.sock for listener in self.sockets])
        except SystemExit:
            if server.started:
                raise
        if server.started:
            return
        if self.alone:
            raise SystemExit(BOOT_ERROR)
        # A release that has started once starts again as a rule: what failed is a database that is away. The
        # others serve on, and the master tries again.
        await asyncio.sleep(1)
        raise SystemExit(1)
