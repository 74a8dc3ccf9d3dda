"""The stack of one machine: Redis, a worker pool, its supervisor and the gateway, up and down.

`up` looks at what is there and starts only what is missing, so that it may be called at any time; `down` ends
what `up` started. Both hold one lock: of several at once each does its work after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from socket import gethostname
from typing import Any

from swarm.errors import RuntimeSetupError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm_cli.local import POOL
from swarm_cli.local.address import shown_url
from swarm_cli.local.gateway import GatewayProcess, end_gateway, find_gateway, start_gateway
from swarm_cli.local.redis_facts import read_facts, require_version
from swarm_cli.local.redis_server import RedisServer
from swarm_cli.local.statedir import LOCKS, check_state_dir, prepare_state_dir
from swarm_cli.local.supervisor import await_supervisor, end_supervisor, spawn_supervisor
from swarm_cli.local.workers import local_workers
from swarm_workers import processes
from swarm_workers.locks import file_lock
from swarm_workers.orders import OrderBook
from swarm_workers.pools import PoolManager, PoolSize, PoolState
from swarm_workers.poolstate import current
from swarm_workers.sole import supervisors

DEFAULT_CONCURRENCY = 2
_LOCK_TIMEOUT = 120.0
_REJOIN_TIMEOUT = 8.0
"""A pool without heartbeat may find back to a Redis that was away; after so long it is replaced."""
_STOP_TIMEOUT = 20.0
_STOP_TIMEOUT_WITHOUT_REDIS = 3.0
"""A worker cannot finish anything without Redis; its outcomes are safe in the stream."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """What runs now, and what this call did for it."""

    swarm: str
    state_dir: str
    redis_url: str
    """Without user and password."""
    redis_version: str
    redis_pid: int | None
    """None for an external one."""
    supervisor_pid: int
    gateway: GatewayProcess | None
    """None if none was asked for, or it cannot be started: the rest works without, and `gateway_fault` says why."""
    gateway_fault: str
    pool: PoolState
    done: tuple[str, ...]
    """What was started or mended; empty when all was well."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What `down` ended."""

    swarm: str
    state_dir: str
    supervisor: bool
    gateway: bool
    pools: tuple[str, ...]
    redis: bool
    kept_for: tuple[str, ...]
    """Swarms whose workers or supervisors still use the embedded Redis, which therefore runs on."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def up(
    settings: Settings, concurrency: int | None = None, tell: Tell = lambda _: None, *, gateway: bool = True
) -> StackState:
    """Have Redis, the pool `local`, a supervisor and the gateway run on this machine.

    Parameters
    ----------
    concurrency : the pool's size; None leaves a pool that is there as it is, and starts a new one with 2
    tell : is called with what is being done, for a progress line
    gateway : whether it is to run, too; one that runs is left alone

    Raises
    ------
    RuntimeSetupError, StoreUnavailableError
        If something cannot be started; what runs already stays.
    """
    prepare_state_dir(settings)
    with _locked(settings):
        tell("starting Redis")
        server, done = RedisServer(settings), []
        if server.start():
            done.append("started Redis")
        with connect(settings) as client:
            facts = read_facts(client)
        require_version(facts)
        # It loads while the workers do.
        spawned = spawn_supervisor(settings)
        pool, mended = _have_pool(settings, concurrency, tell)
        supervisor = await_supervisor(settings, spawned)
        mended += ["started the supervisor"] if spawned else []
        tell("starting the gateway")
        served, fault = _have_gateway(settings, mended) if gateway else (find_gateway(settings), "")
        return StackState(
            swarm=settings.name,
            state_dir=str(settings.state_dir),
            redis_url=shown_url(settings),
            redis_version=facts.version,
            redis_pid=None if server.is_external else server.state(),
            supervisor_pid=supervisor.pid,
            gateway=served,
            gateway_fault=fault,
            pool=pool,
            done=(*done, *mended),
        )


def down(settings: Settings, tell: Tell = lambda _: None) -> Ended:
    """End this swarm's supervisor and pools on this machine, then the embedded Redis if no other swarm uses it.

    The supervisor goes first: it would start again what ends. The pools stay ended until somebody starts them.
    Nothing is lost: outcomes wait in Redis's file. Where nothing runs, nothing happens.
    """
    pools: tuple[str, ...] = ()
    kept_for: set[str] = set()
    redis_ended = supervisor_ended = gateway_ended = False
    if check_state_dir(settings):
        with _locked(settings):
            supervisor_ended = end_supervisor(settings)
            gateway_ended = end_gateway(settings)
            pools = _stop_pools(settings, tell)
            server = RedisServer(settings)
            if not server.is_external:
                tell("stopping Redis")
                kept_for = {worker.swarm for worker in local_workers(settings)}
                kept_for |= {supervisor.swarm for supervisor in supervisors(settings)}
                redis_ended = not kept_for and server.stop()
    return Ended(
        swarm=settings.name,
        state_dir=str(settings.state_dir),
        supervisor=supervisor_ended,
        gateway=gateway_ended,
        pools=pools,
        redis=redis_ended,
        kept_for=tuple(sorted(kept_for)),
    )


def _have_gateway(settings: Settings, mended: list[str]) -> tuple[GatewayProcess | None, str]:
    """The gateway, or why there is none: its port may be taken, and the rest of the stack works without it."""
    try:
        gateway, is_new = start_gateway(settings)
    except RuntimeSetupError as error:
        return None, str(error).strip().splitlines()[-1]
    mended += ["started the gateway"] if is_new else []
    return gateway, ""


def _have_pool(settings: Settings, concurrency: int | None, tell: Tell) -> tuple[PoolState, list[str]]:
    with PoolManager(settings) as manager:
        before, order = _find(manager), manager.order(POOL)
        found = order.size if order else before.wanted if before else DEFAULT_CONCURRENCY
        size = concurrency or found
        tell("starting workers")
        if before is not None and before.status == "silent":
            _end_if_silent(manager, size)
        return (after := manager.start(POOL, size)), _mended(before, after)


def _find(manager: PoolManager) -> PoolState | None:
    return current([pool for pool in manager.list() if pool.pool == POOL and pool.host == gethostname()])


def _end_if_silent(manager: PoolManager, size: int | PoolSize) -> None:
    try:
        manager.start(POOL, size, timeout_s=_REJOIN_TIMEOUT)
    except RuntimeSetupError:
        # A process that runs and does not work helps nobody.
        manager.stop(POOL, timeout_s=_STOP_TIMEOUT_WITHOUT_REDIS)


def _mended(before: PoolState | None, after: PoolState) -> list[str]:
    if before is None:
        return [f"started pool {POOL}"]
    if before.pid != after.pid:
        return [f"replaced pool {POOL}, which was {before.status}"]
    if before.status != after.status:
        return [f"pool {POOL} works again, it was {before.status}"]
    if before.concurrency != after.concurrency:
        return [f"scaled pool {POOL} from {before.concurrency} to {after.concurrency}"]
    return []


def _stop_pools(settings: Settings, tell: Tell) -> tuple[str, ...]:
    """End the pools that were started under this state directory; names of those that ran."""
    workers = {worker.pid: worker for worker in local_workers(settings) if worker.swarm == settings.name}
    timeout_s = _STOP_TIMEOUT
    try:
        with PoolManager(settings) as manager:
            here = [pool for pool in manager.list() if pool.host == gethostname()]
            # A dead one is only a record; another's process on this host is none of our business.
            ours = {pool.pool for pool in here if pool.pid in workers or pool.status in ("dead", "asleep")}
            for pool in sorted(ours):
                tell(f"stopping pool {pool}")
                manager.stop(pool, timeout_s)
    except StoreUnavailableError:
        timeout_s = _STOP_TIMEOUT_WITHOUT_REDIS
    orders = OrderBook(settings)
    for pool in orders.pools():
        orders.remove(pool)
    for worker in workers.values():
        # Redis is away, or has no record of it.
        tell(f"stopping pool {worker.pool}")
        processes.terminate(worker.pid, worker.started_s, timeout_s)
    return tuple(sorted(worker.pool for worker in workers.values()))


def _locked(settings: Settings) -> AbstractContextManager[None]:
    return file_lock(settings.state_dir / LOCKS / "stack.lock", _LOCK_TIMEOUT, "bring the stack up or down")
