"""How the worker of a pool is started, by a person's command or by the supervisor."""

from __future__ import annotations

import socket
from pathlib import Path

from swarm.settings import Settings
from swarm.store.workers import PoolRecord, WorkerRegistry, worker_name
from swarm.wire.keys import SwarmKeys
from swarm_workers import processes
from swarm_workers.orders import PoolOrder


class Starter:
    """Starts workers on this host and writes down which. The caller holds the lock of the pool."""

    def __init__(self, settings: Settings, registry: WorkerRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._keys = SwarmKeys(settings.name)
        self._here = socket.gethostname()

    def start(self, order: PoolOrder, wanted: int, slot: int = 0) -> PoolRecord:
        """Start a worker; its heartbeat is still to come.

        A worker of this name that lost its record is found in the process table, and taken over.

        Raises
        ------
        OSError
            If no process can be started.
        StoreUnavailableError
            If Redis is away; then nothing runs that was not running.
        """
        worker = worker_name(order.pool, self._here, slot)
        if found := processes.find_worker(self._settings, worker):
            return self.note(order, wanted, slot, *found)
        self._registry.forget(worker)
        command = processes.worker_command(worker, wanted, self._settings.state_dir, self._keys.role_queue(order.role))
        pid, started_s = processes.spawn(command, order.environment(self._settings), self.log(order.pool))
        try:
            return self.note(order, wanted, slot, pid, started_s)
        except BaseException:
            # Nothing half started stays behind, also when the user interrupts.
            processes.terminate(pid, started_s, 0.0)
            raise

    def sleep(self, order: PoolOrder, slot: int) -> None:
        """Write down that a pool has no worker, because there is nothing to do."""
        self._registry.forget(worker_name(order.pool, self._here, slot))
        self.note(order, 0, slot, 0, 0.0)

    def note(self, order: PoolOrder, wanted: int, slot: int, pid: int, started_s: float) -> PoolRecord:
        """Write down which process serves a pool."""
        record = PoolRecord(
            pool=order.pool,
            host=self._here,
            pid=pid,
            started_s=started_s,
            concurrency=wanted,
            log=str(self.log(order.pool)),
            role=order.role,
            slot=slot,
            min_size=order.size.min,
            max_size=order.size.max,
            idle_s=float(order.size.idle_s),
        )
        self._registry.put_pool(record)
        return record

    def remove(self, worker: str) -> None:
        """Remove what is known of a worker that is gone."""
        self._registry.remove_pool(worker)
        self._registry.forget(worker)

    def log(self, pool: str) -> Path:
        """The log file of a pool's workers."""
        return self._settings.state_dir / "logs" / f"{self._settings.name}.{pool}.log"
