"""The supervisor of a host: one process that keeps the pools of one swarm as they were ordered.

It trusts no pid alone. What a worker does is read from heartbeats of its consumer loop, from the queue and from the
ledger of tasks, and what was not seen, because Redis was away or this process frozen, is held against nobody.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import psutil

from swarm.errors import DamagedRecordError, RuntimeSetupError, StoreUnavailableError, SwarmError
from swarm.services.resend import Resender
from swarm.settings import Settings
from swarm.store.connection import Client, connect, redis_errors
from swarm.store.supervisors import SupervisorBeat, SupervisorRegistry
from swarm.wire.keys import SwarmKeys
from swarm_workers import processes
from swarm_workers.app import create_app
from swarm_workers.backlog import Backlog
from swarm_workers.backoff import Backoff
from swarm_workers.guard import Guard
from swarm_workers.keeper import Keeper
from swarm_workers.limits import Limits
from swarm_workers.locks import lock_if_free
from swarm_workers.orders import OrderBook, PoolOrder
from swarm_workers.pools import pool_lock_path
from swarm_workers.scaling import Demand
from swarm_workers.sole import lock_path, sole_supervisor
from swarm_workers.steps import PoolSteps

logger = logging.getLogger(__name__)
BEAT_INTERVAL = 1.0
INHERIT_INTERVAL = 5.0
"""Between two looks for what senders of this host left behind that died before Redis had it for sure."""
REDIS_TIMEOUT = 2.0
_STALL = 5.0
"""After so long between two looks this process, or the whole machine, was frozen."""


class Supervisor:
    """Keeps what the orders of this host say.

    Parameters
    ----------
    revive_redis : starts a Redis of this host again if it died, and answers whether it did; it may raise `SwarmError`
    keep : starts what else is to run on this host again if it died, likewise
    """

    def __init__(
        self,
        settings: Settings,
        limits: Limits | None = None,
        revive_redis: Callable[[], bool] = lambda: False,
        client: Client | None = None,
        keep: Callable[[], bool] = lambda: False,
    ) -> None:
        quick = settings.model_copy(update={"socket_timeout": min(REDIS_TIMEOUT, settings.socket_timeout)})
        self._settings = quick
        self._limits = limits or Limits()
        self._revive_redis = revive_redis
        self._keep_else, self._keeping = keep, Backoff(self._limits.settled_s, self._limits.forget_s)
        self._client = client or connect(quick)
        self._keys = SwarmKeys(settings.name)
        self._steps = PoolSteps(quick, self._client, create_app(quick))
        self._registry = SupervisorRegistry(self._client, self._keys)
        self._backlog = Backlog(quick, self._client)
        self._orders = OrderBook(settings)
        self._keepers: dict[str, Keeper] = {}
        self._guards: dict[str, Guard] = {}
        self._reviving = Backoff(self._limits.settled_s, self._limits.forget_s)
        self._sent = Resender(quick)
        self._inheriting, self._inherited_at = Guard("sending what was left behind"), -INHERIT_INTERVAL
        self._is_away = False
        self._looked_at = time.monotonic()
        self._beat_at = -BEAT_INTERVAL
        self._started_s = psutil.Process().create_time()

    def run(self, stop: threading.Event) -> None:
        """Look after the pools until `stop` is set, or the state directory is gone; the workers go on.

        Raises
        ------
        RuntimeSetupError
            If another one does so for this swarm on this host.
        """
        with sole_supervisor(self._settings):
            self._refuse_a_second()
            logger.info("supervisor of swarm %s on %s", self._settings.name, self._steps.here)
            guard = Guard("supervision")
            while not stop.is_set() and lock_path(self._settings).exists():
                guard.run(self.tick)
                stop.wait(self._limits.tick_s)
            guard.run(lambda: self._registry.forget(self._steps.here))
        logger.info("supervisor ends, the workers go on")

    def tick(self) -> None:
        """Look once at everything, and do what is due."""
        now = time.monotonic()
        if now - self._looked_at > _STALL:
            self._forgive(now)
        self._keep_what_else_runs(now)
        try:
            self._look(now)
        except StoreUnavailableError as error:
            self._do_without_redis(error, now)
        self._looked_at = time.monotonic()

    def _look(self, now: float) -> None:
        states = self._steps.list()
        if self._is_away:
            logger.warning("Redis is back")
            self._is_away = False
            self._forgive(now)
        self._reviving.ran_well(now)
        if not any(state.beat_s for state in states):
            self._backlog.tend_tasks()
        orders = self._read_orders()
        demand = self._backlog.read({order.role for order in orders if not order.size.is_fixed})
        if now - self._inherited_at >= INHERIT_INTERVAL:
            self._inherited_at = now
            self._inheriting.run(self._sent.look_at_what_was_left)
        for order in orders:
            guard = self._guards.setdefault(order.pool, Guard(f"care of pool {order.pool}"))
            guard.run(lambda order=order: self._keep(order.pool, demand.get(order.role, Demand()), now))  # type: ignore[misc]
        self._beat(now)

    def _keep(self, pool: str, demand: Demand, now: float) -> None:
        with lock_if_free(pool_lock_path(self._settings, pool)) as is_free:
            # Somebody's command changes the pool just now, or has ended it since the orders were read.
            if is_free and (order := self._orders.read(pool)) is not None:
                states, queued = self._steps.workers(pool), self._queued(order.role)
                self._keepers[pool].tend(order, states, queued, demand, now)
            elif pool in self._keepers:
                self._keepers[pool].forgive(now)

    def _queued(self, role: str) -> int:
        with redis_errors("read the length of a queue"):
            return int(self._client.llen(self._keys.broker_prefix + self._keys.role_queue(role)))

    def _read_orders(self) -> list[PoolOrder]:
        names = self._orders.pools()
        for gone in self._keepers.keys() - set(names):
            del self._keepers[gone]
            self._guards.pop(gone, None)
        return [order for name in names if (order := self._read_order(name)) is not None]

    def _read_order(self, pool: str) -> PoolOrder | None:
        if pool not in self._keepers:
            self._keepers[pool] = Keeper(self._steps, pool, self._limits)
        try:
            return self._orders.read(pool)
        except DamagedRecordError as error:
            self._keepers[pool].refuse(str(error))
            return None

    def _beat(self, now: float) -> None:
        if now - self._beat_at < BEAT_INTERVAL:
            return
        self._beat_at = now
        self._registry.beat(
            SupervisorBeat(
                host=self._steps.here,
                pid=os.getpid(),
                started_s=self._started_s,
                beat_s=time.time(),
                pools=tuple(
                    keeper.report(now, self._guards[pool].fault if pool in self._guards else "")
                    for pool, keeper in sorted(self._keepers.items())
                ),
            )
        )

    def _do_without_redis(self, error: StoreUnavailableError, now: float) -> None:
        if not self._is_away:
            logger.warning("Redis is away: %s", error)
            self._is_away = True
        if now < self._reviving.next_at:
            return
        try:
            if self._revive_redis():
                logger.warning("Redis had died, and was started again")
                self._reviving.failed(time.monotonic())
        except SwarmError as problem:
            pause = self._reviving.failed(time.monotonic())
            logger.error("Redis cannot be started, next try in %g s: %s", pause, problem)

    def _keep_what_else_runs(self, now: float) -> None:
        if now < self._keeping.next_at:
            return
        self._keeping.ran_well(now)
        try:
            if self._keep_else():
                logger.warning("the gateway had died, and was started again")
                self._keeping.failed(time.monotonic())
        except SwarmError as problem:
            pause = self._keeping.failed(time.monotonic())
            logger.error("the gateway cannot be started, next try in %g s: %s", pause, problem)

    def _forgive(self, now: float) -> None:
        for keeper in self._keepers.values():
            keeper.forgive(now)

    def _refuse_a_second(self) -> None:
        """Two state directories have two locks; Redis knows of both."""
        try:
            beats = self._registry.alive(time.time())
        except StoreUnavailableError:
            return
        for beat in beats:
            mine = beat.pid == os.getpid()
            if beat.host == self._steps.here and not mine and processes.is_running(beat.pid, beat.started_s):
                raise RuntimeSetupError(
                    f"a supervisor of swarm {self._settings.name} runs on this host already: process {beat.pid}, "
                    "with another state directory"
                )
