"""`swarm workers run`."""

from __future__ import annotations

import signal
import threading

import click

from swarm.errors import RuntimeSetupError, StoreUnavailableError
from swarm.telemetry.logs import log_to_stderr
from swarm_cli.local import POOL
from swarm_cli.local.reach import reachable
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.options import cli_settings, swarm_option, timeout_option
from swarm_cli.pool_options import chosen_pool_option, pool_size, role_options, role_plan, size_options
from swarm_workers.pools import PoolManager
from swarm_workers.supervisor import Supervisor

START_TIMEOUT = 60.0


@click.command("run", short_help="Run a pool in the foreground, and drain it at the end: for a container.")
@chosen_pool_option
@size_options
@role_options
@swarm_option
@timeout_option(60.0)
def command(
    pool: str | None,
    concurrency: int | None,
    least: int | None,
    most: int | None,
    idle: float | None,
    role: str | None,
    handlers: tuple[str, ...],
    agent: str | None,
    name: str | None,
    timeout_s: float,
) -> None:
    """Run a pool in the foreground, and drain it at the end: for a container.

    As `swarm workers start` and `swarm workers supervise` in one. On SIGTERM the pool finishes what it has; what it has
    not finished after --timeout another one does again.
    """
    plan, size = role_plan(role, handlers, agent), pool_size(concurrency, least, most, idle)
    settings, chosen = cli_settings(name), pool or role or POOL
    prepare_state_dir(settings)
    log_to_stderr(settings, "swarm_workers")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with reachable(settings), PoolManager(settings) as manager:
        manager.start(chosen, size, START_TIMEOUT, plan)
        try:
            Supervisor(settings).run(stop)
        finally:
            _end(manager, chosen, timeout_s)


def _end(manager: PoolManager, pool: str, timeout_s: float) -> None:
    try:
        manager.drain(pool, timeout_s)
    except (RuntimeSetupError, StoreUnavailableError):
        # Not done in time, or Redis is away. It must not outlive this process: nobody would look after it.
        manager.stop(pool, 1.0)
