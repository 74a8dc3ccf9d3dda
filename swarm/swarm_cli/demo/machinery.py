"""What the demo runs on: Redis, a pool of workers, an empty swarm; kept running, whatever dies meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TypeVar

from swarm.errors import StoreUnavailableError, SwarmError, UnknownIdError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.erase import erase_swarm
from swarm_cli.local.redis_server import RedisServer
from swarm_cli.local.statedir import LOCKS, prepare_state_dir
from swarm_workers.locks import file_lock
from swarm_workers.pools import PoolManager

SWARM = "sona-demo"
"""The demo's own swarm; each run begins by erasing it."""
POOL = "demo"
CONCURRENCY = 2
_LOCK_TIMEOUT_S = 1.0
_OUTAGE_TIMEOUT_S = 60.0
_WATCH_S = 2.0

T = TypeVar("T")


class Machinery:
    """A context: the pool ends with the demo, Redis goes on running.

    If Redis or the workers die in between they are started again. Nothing is lost by that: outcomes wait in the
    agents' spools and in Redis's file.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._watched_at = time.monotonic()
        self.swarm = Swarm(settings)

    def __enter__(self) -> Machinery:
        prepare_state_dir(self._settings)
        lock = self._settings.state_dir / LOCKS / "demo.lock"
        self._stack.enter_context(file_lock(lock, _LOCK_TIMEOUT_S, "run a second demo at once"))
        RedisServer(self._settings).start()
        self._pools = self._stack.enter_context(PoolManager(self._settings))
        # The pool of a demo that was killed would work on with what is erased now.
        self._stop_pool()
        erase_swarm(self.swarm.client, self.swarm.keys)
        self._stack.callback(self._stop_pool)
        self._pools.start(POOL, CONCURRENCY)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def steadily(self, read: Callable[[], T]) -> T:
        """What `read` answers, as soon as Redis answers; a Redis of ours that died is started again."""
        deadline = time.monotonic() + _OUTAGE_TIMEOUT_S
        while True:
            try:
                return read()
            except StoreUnavailableError:
                if time.monotonic() > deadline:
                    raise
                RedisServer(self._settings).start()
                time.sleep(0.05)

    def watch(self) -> None:
        """Start the pool again if it died; looks every two seconds."""
        if time.monotonic() - self._watched_at < _WATCH_S:
            return
        self._watched_at = time.monotonic()
        with suppress(StoreUnavailableError):
            found = [state.status for state in self._pools.list() if state.pool == POOL]
            if not found:
                raise SwarmError("the demo's workers were stopped (swarm down?): run it again")
            if "dead" in found:
                self._pools.start(POOL, CONCURRENCY)

    def _stop_pool(self) -> None:
        with suppress(UnknownIdError, StoreUnavailableError):
            self._pools.stop(POOL)
