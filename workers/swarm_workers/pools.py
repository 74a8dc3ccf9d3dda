"""Worker pools by name: start, list, scale, restart, drain, stop.

A pool is one Celery worker on one host, with a number of child processes. What is reported comes from heartbeats, the
broker and the process table, and a command waits until they show it. What a host is to run is in its orders, for the
supervisor; a pool that a person ends has none any more.
"""

from __future__ import annotations

import builtins
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from swarm.errors import InputError, RuntimeSetupError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.supervisors import SupervisorBeat
from swarm.store.workers import worker_name
from swarm.wire.keys import check_name
from swarm_workers import processes
from swarm_workers.app import create_app
from swarm_workers.locks import file_lock
from swarm_workers.orders import OrderBook, PoolOrder, make_order
from swarm_workers.plan import RolePlan
from swarm_workers.poolstate import PoolState, current
from swarm_workers.size import MAX_CONCURRENCY, PoolSize, as_size
from swarm_workers.steps import END_TIMEOUT, PoolSteps

__all__ = ["MAX_CONCURRENCY", "PoolManager", "PoolSize", "PoolState", "pool_lock_path"]

_WITHDRAW_TIMEOUT = 2.0
MAX_SLOTS = 8
"""So many workers of one pool may be on their way out at once."""


class PoolManager:
    """The pools of one swarm: it changes those of this host and sees those of every host.

    Every method raises `StoreUnavailableError` when Redis is away (`stop` works all the same), and
    `RuntimeSetupError` when what it asked for does not come about in time.
    """

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        self._settings = settings
        self._client = client or connect(settings)
        self._owns_client = client is None
        self._orders = OrderBook(settings)
        self._steps = PoolSteps(settings, self._client, create_app(settings))

    def close(self) -> None:
        """Close the connection that was not passed in; the pools go on."""
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> PoolManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(
        self, pool: str, size: int | PoolSize, timeout_s: float = 30.0, plan: RolePlan | None = None
    ) -> PoolState:
        """Have a pool of this size run on this host, and wait for its heartbeat.

        A pool that runs already is scaled if its size differs, one that drains takes tasks again, and the
        remains of one that died are replaced. With a plan it does the tasks of a role, else the background's.
        Between two bounds it begins with the smallest size that works; a supervisor does the rest.

        Raises
        ------
        InputError
            If the pool does the tasks of another role, or did until it died and nobody knows how.
        """
        bounds, deadline = as_size(size), time.monotonic() + timeout_s
        with self._locked(pool, timeout_s):
            before, state = self._orders.read(pool), current(self._steps.workers(pool))
            _check_role(pool, state, plan, before)
            order = self._new_order(pool, bounds, plan, before)
            if state is not None and state.role != order.role:
                # It runs, and how it does its tasks nobody has said here: it is left to those who know.
                self._steps.resize(state, bounds, bounds.clamp(max(1, state.wanted)), deadline)
                return self._steps.known(pool)
            self._orders.write(order)
            try:
                return self._have(order, state, deadline)
            except BaseException:
                self._orders.remove(pool) if before is None else self._orders.write(before)
                raise

    def list(self) -> builtins.list[PoolState]:
        """Every worker of every pool of the swarm on every host, as it is now, by name."""
        return self._steps.list()

    def supervisors(self) -> builtins.list[SupervisorBeat]:
        """The supervisors of the swarm that are alive, by host."""
        return self._steps.supervisors()

    def order(self, pool: str) -> PoolOrder | None:
        """What was asked for of a pool of this host; None if nothing was."""
        return self._orders.read(pool)

    def scale(self, pool: str, size: int | PoolSize, timeout_s: float = 30.0) -> PoolState:
        """Give a pool of this host another size or other bounds, and wait until its heartbeat shows it."""
        bounds, deadline = as_size(size), time.monotonic() + timeout_s
        with self._locked(pool, timeout_s):
            state, before = self._steps.known(pool), self._orders.read(pool)
            if state.status == "asleep" and before is not None:
                order = replace(before, size=bounds)
                self._orders.write(order)
                return self._have(order, state, deadline)
            self._steps.resize(state, bounds, bounds.clamp(max(1, state.wanted)), deadline)
            if before is not None:
                self._orders.write(replace(before, size=bounds))
            return self._steps.known(pool)

    def restart(self, pool: str, timeout_s: float = 300.0) -> PoolState:
        """Replace the worker of a pool of this host by a new one, which has read the handlers anew.

        The new one takes tasks before the old one stops taking them, and the old one ends when it has finished its
        own; if the new one does not come up, the old one goes on. A pool that sleeps is as new when it wakes up.
        """
        deadline = time.monotonic() + timeout_s
        with self._locked(pool, timeout_s):
            before, order = self._steps.known(pool), self._orders.read(pool)
            if order is None:
                raise InputError(f"pool {pool!r} was not started on this host to stay: start it first")
            if before.status != "asleep":
                old = self._steps.workers(pool)
                wanted = order.size.clamp(max(1, before.wanted))
                self._steps.start(order, wanted, _free_slot(old), deadline)
                for state in old:
                    self._retire(state, deadline)
            return self._steps.known(pool)

    def drain(self, pool: str, timeout_s: float = 60.0) -> None:
        """Let a pool of this host finish what it has taken, and end it; others take the rest of the queue.

        When it is not done in time it is left as it is: it takes no more tasks, and can be drained again,
        started again or stopped.
        """
        self._steps.known(pool)
        self._withdraw(pool)
        deadline = time.monotonic() + timeout_s
        for state in self._steps.workers(pool):
            self._steps.settle(state, deadline)
            self._steps.end(state)

    def stop(self, pool: str, timeout_s: float = 30.0) -> bool:
        """End a pool of this host: it may finish its tasks, after `timeout_s` it is killed.

        Returns whether it ended by itself. What a killed task did not commit is done again by another.
        """
        was_ordered = self._withdraw(check_name(pool, "pool"))
        try:
            states = self._steps.workers(pool)
            if not states and not was_ordered:
                self._steps.known(pool)
        except StoreUnavailableError:
            return self._stop_unseen(pool, timeout_s, was_ordered)
        deadline = time.monotonic() + timeout_s
        ended = [self._stop(state, deadline) for state in states]
        return all(ended)

    def _stop(self, state: PoolState, deadline: float) -> bool:
        try:
            # Told to end with a task in its hands that has not begun, Celery may wait for it for ever.
            self._steps.settle(state, deadline)
            patience = END_TIMEOUT
        except (RuntimeSetupError, StoreUnavailableError):
            patience = 0.0
        return self._steps.end(state, patience)

    def _stop_unseen(self, pool: str, timeout_s: float, was_ordered: bool) -> bool:
        """End the workers of a pool while Redis, which knows them, is away."""
        names = [worker_name(pool, self._steps.here, slot) for slot in range(MAX_SLOTS)]
        found = [process for name in names if (process := processes.find_worker(self._settings, name))]
        if not found and not was_ordered:
            raise StoreUnavailableError(f"Redis is away, and no process of pool {pool!r} is in sight")
        # Their records stay in Redis, and will say that the pool is dead.
        ended = [processes.terminate(pid, started_s, timeout_s) for pid, started_s in found]
        return all(ended)

    def _withdraw(self, pool: str) -> bool:
        """Remove the order for a pool, so that no supervisor starts it again; whether there was one."""
        # A supervisor reads the order and starts a worker under this lock: whoever has it knows all that runs.
        # Another command may hold it for long, and notices by itself that its worker ends.
        with suppress(RuntimeSetupError), self._locked(pool, _WITHDRAW_TIMEOUT):
            return self._orders.remove(pool)
        return self._orders.remove(pool)

    def _have(self, order: PoolOrder, state: PoolState | None, deadline: float) -> PoolState:
        """Have the worker of a pool run and take tasks, whatever it does at present."""
        if state is not None and state.status == "silent":
            self._steps.await_beat(state, deadline)
        if state is not None and state.status == "draining" and not self._steps.resume(state, deadline):
            self._steps.starter.remove(state.worker)
            state = None
        if state is None or state.status in ("dead", "asleep"):
            wanted = order.size.clamp(1)
            slot = state.slot if state else 0
            self._steps.start(order, max(1, wanted), slot, deadline)
        running = self._steps.known(order.pool)
        self._steps.resize(running, order.size, max(1, order.size.clamp(running.wanted)), deadline)
        return self._steps.known(order.pool)

    def _retire(self, state: PoolState, deadline: float) -> None:
        if state.status == "silent":
            self._steps.end(state, 0.0)
            return
        try:
            self._steps.settle(state, deadline)
        except RuntimeSetupError as error:
            raise RuntimeSetupError(
                f"the new worker of pool {state.pool!r} runs; the old one (process {state.pid}) takes no more tasks, "
                f"but has not finished those that it has: a supervisor ends it then, `swarm workers stop` ends both"
            ) from error
        self._steps.end(state)

    def _new_order(self, pool: str, size: PoolSize, plan: RolePlan | None, before: PoolOrder | None) -> PoolOrder:
        if plan is None and before is not None and before.plan is not None:
            # Only its size is said anew; where its handlers are, this command may not know.
            return replace(before, size=size)
        return make_order(self._settings, pool, size, plan)

    def _locked(self, pool: str, timeout_s: float) -> AbstractContextManager[None]:
        return file_lock(pool_lock_path(self._settings, pool), timeout_s, f"change pool {pool!r}")


def pool_lock_path(settings: Settings, pool: str) -> Path:
    """The lock file of a pool of this host; who changes the pool holds it."""
    return settings.state_dir / "locks" / f"{settings.name}.{check_name(pool, 'pool')}.lock"


def _free_slot(states: builtins.list[PoolState]) -> int:
    taken = {state.slot for state in states if state.status != "dead"}
    free = [slot for slot in range(MAX_SLOTS) if slot not in taken]
    if not free:
        raise RuntimeSetupError(f"{len(taken)} workers of pool {states[0].pool!r} have not finished yet: wait for them")
    return free[0]


def _check_role(pool: str, state: PoolState | None, plan: RolePlan | None, order: PoolOrder | None) -> None:
    if state is None or (state.status in ("dead", "asleep") and plan is not None):
        return
    if plan is None and state.role and state.status == "dead" and order is None:
        raise InputError(f"pool {pool!r} did the tasks of role {state.role}: give its role and its handlers again")
    if plan is not None and plan.role != state.role:
        what = f"the tasks of role {state.role}" if state.role else "the work of the background"
        raise InputError(f"pool {pool!r} does {what}: stop it first, or give another pool")
