"""The steps that the commands on pools are made of: each sends something, and waits until it shows."""

from __future__ import annotations

import builtins
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from celery import Celery

from swarm.errors import RuntimeSetupError, UnknownIdError
from swarm.settings import Settings
from swarm.store.connection import Client, redis_errors
from swarm.store.supervisors import SupervisorBeat, SupervisorRegistry
from swarm.store.workers import PoolRecord, WorkerRegistry
from swarm.wire.keys import SwarmKeys, check_name
from swarm_workers import processes
from swarm_workers.broker import queue_key
from swarm_workers.control import WorkerControl
from swarm_workers.orders import PoolOrder
from swarm_workers.poolstate import PoolState, current, pool_states
from swarm_workers.size import PoolSize
from swarm_workers.starter import Starter

END_TIMEOUT = 10.0
"""A worker that has nothing to do ends within a few seconds."""
_CONTROL_TIMEOUT = 2.0
_POLL = 0.05


class PoolSteps:
    """Looks at the pools of every host, and works on those of this one.

    Every method raises `StoreUnavailableError` when Redis is away, and those that have a deadline (by the monotonic
    clock) raise `RuntimeSetupError` when what they wait for does not come about by then.
    """

    def __init__(self, settings: Settings, client: Client, app: Celery) -> None:
        self._settings = settings
        self._client = client
        self._app = app
        self._keys = SwarmKeys(settings.name)
        self._registry = WorkerRegistry(client, self._keys)
        self._supervisors = SupervisorRegistry(client, self._keys)
        self.starter = Starter(settings, self._registry)
        self.here = socket.gethostname()

    def list(self) -> builtins.list[PoolState]:
        """Every worker of every host, by name."""
        with redis_errors("read the length of the queue"):
            queued = self._client.llen(queue_key(self._settings))
        records, now_s = self._registry.pools(), time.time()
        beats, supervisors = self._registry.alive(now_s), self._supervisors.alive(now_s)
        return pool_states(records, beats, int(queued), self.here, now_s, supervisors)

    def supervisors(self) -> builtins.list[SupervisorBeat]:
        """The supervisors that are alive, by host."""
        return self._supervisors.alive(time.time())

    def workers(self, pool: str) -> builtins.list[PoolState]:
        """The workers of a pool of this host."""
        check_name(pool, "pool")
        return [state for state in self.list() if state.pool == pool and state.host == self.here]

    def known(self, pool: str) -> PoolState:
        """The worker that serves a pool of this host.

        Raises
        ------
        UnknownIdError
            If there is none; the message says where it runs.
        """
        check_name(pool, "pool")
        states = self.list()
        found = current([state for state in states if state.pool == pool and state.host == self.here])
        if found is None:
            elsewhere = [state.host for state in states if state.pool == pool]
            where = (
                f"it runs on {', '.join(elsewhere)}: ask there"
                if elsewhere
                else "nobody has started it, see swarm workers list"
            )
            raise UnknownIdError(f"no pool {pool!r} on this host: {where}")
        return found

    def start(self, order: PoolOrder, wanted: int, slot: int, deadline: float) -> None:
        """Start a worker and wait for its heartbeat; if it does not come, nothing stays behind."""
        record = self.starter.start(order, wanted, slot)
        try:
            self.await_beat(record, deadline)
        except BaseException:
            processes.terminate(record.pid, record.started_s, 0.0)
            self._registry.remove_pool(record.worker)
            raise

    def await_beat(self, worker: PoolRecord | PoolState, deadline: float) -> None:
        """Wait for the heartbeat of a worker that was started."""
        pid, log = worker.pid, self.starter.log(worker.pool)

        def beats() -> bool:
            beat = self._registry.last(worker.worker)
            if beat is not None and beat.pid == pid and beat.is_alive(time.time()):
                return True
            if not processes.is_running(pid, worker.started_s):
                raise RuntimeSetupError(
                    f"the worker of pool {worker.pool!r} has ended; the last of {log}:\n{processes.log_tail(log)}"
                )
            return False

        self._wait(beats, deadline, f"the heartbeat of pool {worker.pool!r} (process {pid})", log)

    def resume(self, state: PoolState, deadline: float) -> bool:
        """Have a draining worker take tasks again; False if it has ended instead."""

        def status() -> str:
            return next((found.status for found in self.workers(state.pool) if found.pid == state.pid), "dead")

        if processes.is_running(state.pid, state.started_s):
            self.control(state, deadline - time.monotonic()).resume(self._queue(state))
        self._wait(lambda: status() in ("running", "dead"), deadline, f"pool {state.pool!r} to take tasks again")
        return status() == "running"

    def resize(self, state: PoolState, size: PoolSize, wanted: int, deadline: float) -> None:
        """Grow or shrink until the heartbeat shows the size; commands that got lost are sent again."""
        self._registry.put_pool(_record(state, size, wanted))
        while state.concurrency != wanted:
            if state.status != "running":
                raise RuntimeSetupError(f"pool {state.pool!r} is {state.status}: only a running pool can be scaled")
            self.control(state, deadline - time.monotonic()).resize(wanted)
            state = self._next_beat(state, deadline, f"pool {state.pool!r} to have {wanted} processes")

    def settle(self, state: PoolState, deadline: float) -> None:
        """Have a worker take no more tasks, and wait until it has finished those that it took."""
        if state.status == "running":
            self.control(state, deadline - time.monotonic()).pause(self._queue(state))

        def is_idle() -> bool:
            found = next((one for one in self.workers(state.pool) if one.pid == state.pid), None)
            if found is None or found.status in ("dead", "asleep"):
                return True
            return found.status == "draining" and found.reserved == 0

        self._wait(is_idle, deadline, f"pool {state.pool!r} to finish its tasks")

    def end(self, state: PoolState, timeout_s: float = END_TIMEOUT) -> bool:
        """End a worker and remove what is known of it; whether it ended by itself, see `processes.terminate`."""
        ended = state.status == "asleep" or processes.terminate(state.pid, state.started_s, timeout_s)
        self.starter.remove(state.worker)
        return ended

    def pause(self, state: PoolState) -> bool:
        """Tell a worker to take no more tasks; whether it has answered that it obeys."""
        return self.control(state, _CONTROL_TIMEOUT).pause(self._queue(state))

    def unpause(self, state: PoolState) -> bool:
        """Tell a worker to take tasks again; whether it has answered that it obeys."""
        return self.control(state, _CONTROL_TIMEOUT).resume(self._queue(state))

    def control(self, state: PoolState, timeout_s: float) -> WorkerControl:
        """Remote control of a worker."""
        return WorkerControl(self._app, state.worker, max(0.1, min(timeout_s, self._settings.socket_timeout)))

    def _queue(self, state: PoolState) -> str:
        return self._keys.role_queue(state.role)

    def _next_beat(self, state: PoolState, deadline: float, what: str) -> PoolState:
        now_s = time.time()
        self._wait(lambda: self.known(state.pool).beat_s > now_s, deadline, what)
        return self.known(state.pool)

    def _wait(self, condition: Callable[[], bool], deadline: float, what: str, log: Path | None = None) -> None:
        while not condition():
            if time.monotonic() > deadline:
                tail = f"; the last of {log}:\n{processes.log_tail(log)}" if log else ""
                raise RuntimeSetupError(f"waited in vain for {what}{tail}")
            time.sleep(_POLL)


def _record(state: PoolState, size: PoolSize, wanted: int) -> PoolRecord:
    record = PoolRecord(
        pool=state.pool,
        host=state.host,
        pid=state.pid,
        started_s=state.started_s,
        concurrency=wanted,
        log=state.log,
        role=state.role,
        slot=state.slot,
    )
    return replace(record, min_size=size.min, max_size=size.max, idle_s=float(size.idle_s))
