"""Worker pools by name: start, list, scale, drain, stop.

A pool is one Celery worker on one host, with a number of child processes. Nothing is remembered here: what is
reported comes from heartbeats, the broker and the process table, and a command waits until they show it.
"""

from __future__ import annotations

import builtins
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from swarm.errors import BoundsError, InputError, RuntimeSetupError, StoreUnavailableError, UnknownIdError
from swarm.settings import Settings
from swarm.store.connection import Client, connect, redis_errors
from swarm.store.workers import PoolRecord, WorkerRegistry, worker_name
from swarm.wire.keys import SwarmKeys, check_name
from swarm_workers import processes
from swarm_workers.app import create_app
from swarm_workers.broker import queue_key
from swarm_workers.control import WorkerControl
from swarm_workers.locks import file_lock
from swarm_workers.plan import RolePlan
from swarm_workers.poolstate import PoolState, pool_states

__all__ = ["MAX_CONCURRENCY", "PoolManager", "PoolState"]

MAX_CONCURRENCY = 256
_END_TIMEOUT = 10.0
"""A worker that has nothing to do ends within a few seconds."""
_POLL = 0.05


class PoolManager:
    """The pools of one swarm: it changes those of this host and sees those of every host.

    Every method raises `StoreUnavailableError` when Redis is away (`stop` works all the same), and
    `RuntimeSetupError` when what it asked for does not come about in time.
    """

    def __init__(self, settings: Settings, client: Client | None = None) -> None:
        self._settings = settings
        self._client = client or connect(settings)
        self._owns_client = client is None
        self._registry = WorkerRegistry(self._client, SwarmKeys(settings.name))
        self._keys = SwarmKeys(settings.name)
        self._app = create_app(settings)
        self._here = socket.gethostname()

    def close(self) -> None:
        """Close the connection that was not passed in; the pools go on."""
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> PoolManager:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, pool: str, concurrency: int, timeout_s: float = 30.0, plan: RolePlan | None = None) -> PoolState:
        """Have a pool of this size run on this host, and wait for its heartbeat.

        A pool that runs already is scaled if its size differs, one that drains takes tasks again, and the
        remains of one that died are replaced. With a plan it does the tasks of a role, else the background's.

        Raises
        ------
        InputError
            If the pool does the tasks of another role, or did until it died and no plan says how.
        """
        _check_concurrency(concurrency)
        deadline = time.monotonic() + timeout_s
        with self._locked(pool, timeout_s):
            state = self._find(pool)
            _check_role(pool, state, plan)
            if state is None or state.status == "dead":
                self._spawn(pool, concurrency, deadline, plan)
            elif state.status == "draining":
                self._resume(state, deadline)
            elif state.status == "silent":
                self._await_beat(pool, state.pid, state.started_s, self._log(pool), deadline)
            return self._resize(pool, concurrency, deadline)

    def list(self) -> builtins.list[PoolState]:
        """Every pool of the swarm on every host, as it is now, by name."""
        with redis_errors("read the length of the queue"):
            queued = self._client.llen(queue_key(self._settings))
        records, now_s = self._registry.pools(), time.time()
        return pool_states(records, self._registry.alive(now_s), int(queued), self._here, now_s)

    def scale(self, pool: str, concurrency: int, timeout_s: float = 30.0) -> PoolState:
        """Give a running pool of this host another size, and wait until its heartbeat shows it."""
        _check_concurrency(concurrency)
        with self._locked(pool, timeout_s):
            return self._resize(pool, concurrency, time.monotonic() + timeout_s)

    def drain(self, pool: str, timeout_s: float = 60.0) -> None:
        """Let a pool of this host finish what it has taken, and end it; others take the rest of the queue.

        When it is not done in time it is left as it is: it takes no more tasks, and can be drained again,
        started again or stopped.
        """
        state = self._known(pool)
        self._settle(state, time.monotonic() + timeout_s)
        processes.terminate(state.pid, state.started_s, _END_TIMEOUT)
        self._remove(pool)

    def stop(self, pool: str, timeout_s: float = 30.0) -> bool:
        """End a pool of this host: it may finish its tasks, after `timeout_s` it is killed.

        Returns whether it ended by itself. What a killed task did not commit is done again by another.
        """
        worker = worker_name(check_name(pool, "pool"), self._here)
        try:
            state = self._known(pool)
        except StoreUnavailableError:
            found = processes.find_worker(self._settings, worker)
            if found is None:
                raise
            # Its record stays in Redis, and will say that the pool is dead.
            pid, started_s = found
            return processes.terminate(pid, started_s, timeout_s)
        try:
            # Told to end with a task in its hands that has not begun, Celery may wait for it for ever.
            self._settle(state, time.monotonic() + timeout_s)
            patience = _END_TIMEOUT
        except (RuntimeSetupError, StoreUnavailableError):
            patience = 0.0
        ended = processes.terminate(state.pid, state.started_s, patience)
        self._remove(pool)
        return ended

    def _settle(self, state: PoolState, deadline: float) -> None:
        """Have a pool take no more tasks, and wait until it has finished those that it took."""
        if state.status == "running":
            self._control(state.pool, deadline - time.monotonic()).pause(self._queue(state))
        self._wait(lambda: self._is_idle(state.pool), deadline, f"pool {state.pool!r} to finish its tasks")

    def _find(self, pool: str) -> PoolState | None:
        worker = worker_name(check_name(pool, "pool"), self._here)
        return next((state for state in self.list() if state.worker == worker), None)

    def _known(self, pool: str) -> PoolState:
        state = self._find(pool)
        if state is None:
            elsewhere = [other.host for other in self.list() if other.pool == pool]
            where = f"it runs on {', '.join(elsewhere)}: ask there" if elsewhere else "nobody has started it"
            raise UnknownIdError(f"no pool {pool!r} on this host: {where}")
        return state

    def _spawn(self, pool: str, concurrency: int, deadline: float, plan: RolePlan | None) -> None:
        worker, log = worker_name(pool, self._here), self._log(pool)
        self._registry.forget(worker)
        role = plan.role if plan else ""
        queue = self._keys.role_queue(role)
        command = processes.worker_command(worker, concurrency, self._settings.state_dir, queue)
        pid, started_s = processes.spawn(command, processes.worker_environment(self._settings, plan), log)
        record = PoolRecord(
            pool=pool, host=self._here, pid=pid, started_s=started_s, concurrency=concurrency, log=str(log), role=role
        )
        try:
            self._registry.put_pool(record)
            self._await_beat(pool, pid, started_s, log, deadline)
        except BaseException:
            # Nothing half started stays behind, also when the user interrupts.
            processes.terminate(pid, started_s, 0.0)
            self._registry.remove_pool(worker)
            raise

    def _await_beat(self, pool: str, pid: int, started_s: float, log: Path, deadline: float) -> None:
        def beats() -> bool:
            beat = self._registry.last(worker_name(pool, self._here))
            if beat is not None and beat.pid == pid and beat.is_alive(time.time()):
                return True
            if not processes.is_running(pid, started_s):
                raise RuntimeSetupError(
                    f"the worker of pool {pool!r} has ended; the last of {log}:\n{processes.log_tail(log)}"
                )
            return False

        self._wait(beats, deadline, f"the heartbeat of pool {pool!r} (process {pid})", log)

    def _resume(self, state: PoolState, deadline: float) -> None:
        self._control(state.pool, deadline - time.monotonic()).resume(self._queue(state))
        self._wait(
            lambda: self._known(state.pool).status == "running", deadline, f"pool {state.pool!r} to take tasks again"
        )

    def _resize(self, pool: str, concurrency: int, deadline: float) -> PoolState:
        """Grow or shrink until the heartbeat shows the size; commands that got lost are sent again."""
        state = self._known(pool)
        self._registry.put_pool(self._record(state, concurrency))
        while state.concurrency != concurrency:
            if state.status != "running":
                raise RuntimeSetupError(f"pool {pool!r} is {state.status}: only a running pool can be scaled")
            self._send_resize(self._control(pool, deadline - time.monotonic()), concurrency - state.concurrency)
            state = self._next_beat(pool, deadline, f"pool {pool!r} to have {concurrency} processes")
        return self._known(pool)

    def _send_resize(self, control: WorkerControl, change: int) -> None:
        if change > 0:
            control.grow(change)
        while change < 0 and control.shrink():
            change += 1

    def _next_beat(self, pool: str, deadline: float, what: str) -> PoolState:
        now_s = time.time()
        self._wait(lambda: self._known(pool).beat_s > now_s, deadline, what)
        return self._known(pool)

    def _record(self, state: PoolState, concurrency: int) -> PoolRecord:
        return PoolRecord(
            pool=state.pool,
            host=state.host,
            pid=state.pid,
            started_s=state.started_s,
            concurrency=concurrency,
            log=state.log,
            role=state.role,
        )

    def _queue(self, state: PoolState) -> str:
        return self._keys.role_queue(state.role)

    def _is_idle(self, pool: str) -> bool:
        state = self._find(pool)
        return state is None or state.status == "dead" or (state.status == "draining" and state.reserved == 0)

    def _remove(self, pool: str) -> None:
        worker = worker_name(pool, self._here)
        self._registry.remove_pool(worker)
        self._registry.forget(worker)

    def _control(self, pool: str, timeout_s: float) -> WorkerControl:
        timeout_s = min(timeout_s, self._settings.socket_timeout)
        return WorkerControl(self._app, worker_name(pool, self._here), max(0.1, timeout_s))

    def _log(self, pool: str) -> Path:
        return self._settings.state_dir / "logs" / f"{self._settings.name}.{pool}.log"

    def _locked(self, pool: str, timeout_s: float) -> AbstractContextManager[None]:
        name = f"{self._settings.name}.{check_name(pool, 'pool')}.lock"
        return file_lock(self._settings.state_dir / "locks" / name, timeout_s, f"change pool {pool!r}")

    def _wait(self, condition: Callable[[], bool], deadline: float, what: str, log: Path | None = None) -> None:
        while not condition():
            if time.monotonic() > deadline:
                tail = f"; the last of {log}:\n{processes.log_tail(log)}" if log else ""
                raise RuntimeSetupError(f"waited in vain for {what}{tail}")
            time.sleep(_POLL)


def _check_role(pool: str, state: PoolState | None, plan: RolePlan | None) -> None:
    if state is None or (state.status == "dead" and plan is not None):
        return
    if plan is None and state.role and state.status == "dead":
        raise InputError(f"pool {pool!r} did the tasks of role {state.role}: give its role and its handlers again")
    if plan is not None and plan.role != state.role:
        what = f"the tasks of role {state.role}" if state.role else "the work of the background"
        raise InputError(f"pool {pool!r} does {what}: stop it first, or give another pool")


def _check_concurrency(concurrency: int) -> None:
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or not 1 <= concurrency <= MAX_CONCURRENCY:
        raise BoundsError(f"concurrency must be an integer in 1..{MAX_CONCURRENCY}, got {concurrency!r}")
