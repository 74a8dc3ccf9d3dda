"""`swarm workers`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from swarm_cli.local import POOL
from swarm_cli.local.reach import reachable
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.options import cli_settings, json_option, pool_option, swarm_option, timeout_option
from swarm_cli.output import BAD, NOTE, OK, console, count, duration, mark, plain, print_json, table, working
from swarm_cli.worker_agents import FACTORY
from swarm_workers.plan import RolePlan
from swarm_workers.pools import MAX_CONCURRENCY, PoolManager, PoolState

_STYLES = {"running": OK, "draining": "yellow", "silent": BAD, "dead": BAD}
_concurrency = click.option(
    "-c", "--concurrency", metavar="N", type=click.IntRange(1, MAX_CONCURRENCY), required=True, help="Processes."
)


@click.group("workers", short_help="Start, list, scale, drain and stop worker pools.")
def command() -> None:
    """Start, list, scale, drain and stop worker pools.

    A pool is one Celery worker on one host. Pools of this host are changed; those of every host are listed.
    """


@command.command("start")
@click.option("--pool", metavar="NAME", help=f"The worker pool; by default the role, or {POOL}.")
@_concurrency
@click.option("--role", metavar="NAME", help="Do the tasks of this role, by the functions in --handlers.")
@click.option(
    "--handlers", metavar="MODULE", multiple=True, help="A module with handlers, on the Python path; repeatable."
)
@click.option("--agent", metavar="NAME", help="Who does the tasks that name no agent; by default called like the role.")
@swarm_option
@timeout_option(30.0)
@json_option
def start(
    pool: str | None,
    concurrency: int,
    role: str | None,
    handlers: tuple[str, ...],
    agent: str | None,
    name: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Start a pool on this host, and wait until it works.

    Without a role it does the swarm's background work. With one it does the tasks that `swarm submit` puts on the
    role's queue, each with the hooks of an agent around it. Handlers are loaded from the modules that are named here
    and from no others.
    """
    plan = _plan(role, handlers, agent)
    settings, chosen = cli_settings(name), pool or role or POOL
    prepare_state_dir(settings)
    with reachable(settings), PoolManager(settings) as manager, working(f"starting pool {chosen}"):
        state = manager.start(chosen, concurrency, timeout_s, plan)
    _report(state, as_json)


def _plan(role: str | None, handlers: tuple[str, ...], agent: str | None) -> RolePlan | None:
    if role is None:
        if handlers or agent:
            raise click.UsageError("--handlers and --agent go with --role")
        return None
    if not handlers:
        raise click.UsageError("--role needs --handlers, the modules with the functions that do its tasks")
    return RolePlan(role=role, handlers=handlers, agent=agent or "", factory=FACTORY)


@command.command("list")
@swarm_option
@json_option
def list_pools(name: str | None, as_json: bool) -> None:
    """List the pools of every host, from their heartbeats."""
    settings = cli_settings(name)
    with reachable(settings), PoolManager(settings) as manager:
        pools = manager.list()
    if as_json:
        print_json({"swarm": settings.name, "pools": [asdict(pool) for pool in pools]})
    elif pools:
        _show(pools)
    else:
        console().print(f"Swarm {settings.name} has no worker pools. Start one: swarm up, or swarm workers start")


@command.command("scale")
@pool_option
@_concurrency
@swarm_option
@timeout_option(30.0)
@json_option
def scale(pool: str, concurrency: int, name: str | None, timeout_s: float, as_json: bool) -> None:
    """Give a running pool another number of processes."""
    settings = cli_settings(name)
    with reachable(settings), PoolManager(settings) as manager, working(f"scaling pool {pool}"):
        state = manager.scale(pool, concurrency, timeout_s)
    _report(state, as_json)


@command.command("drain")
@pool_option
@swarm_option
@timeout_option(60.0)
@json_option
def drain(pool: str, name: str | None, timeout_s: float, as_json: bool) -> None:
    """Let a pool finish what it has taken, and end it."""
    settings = cli_settings(name)
    with reachable(settings), PoolManager(settings) as manager, working(f"draining pool {pool}"):
        manager.drain(pool, timeout_s)
    _report_end(settings.name, pool, True, as_json)


@command.command("stop")
@pool_option
@swarm_option
@timeout_option(30.0)
@json_option
def stop(pool: str, name: str | None, timeout_s: float, as_json: bool) -> None:
    """End a pool; what it has not finished by the timeout is done again by another."""
    settings = cli_settings(name)
    with reachable(settings), PoolManager(settings) as manager, working(f"stopping pool {pool}"):
        ended = manager.stop(pool, timeout_s)
    _report_end(settings.name, pool, ended, as_json)


def _report(state: PoolState, as_json: bool) -> None:
    if as_json:
        print_json(asdict(state))
        return
    size = count(state.concurrency, "process", "processes")
    console().print(
        Text.assemble(mark(True), " ", f"Pool {state.pool} is {state.status}: {size}, process {state.pid}.")
    )
    console().print(Text(f"  {state.log}", NOTE))


def _report_end(swarm: str, pool: str, ended: bool, as_json: bool) -> None:
    if as_json:
        print_json({"swarm": swarm, "pool": pool, "ended_by_itself": ended})
    else:
        how = "has ended" if ended else "did not end in time and was killed; another does its work again"
        console().print(Text.assemble(mark(True), " ", f"Pool {pool} {how}."))


def _show(pools: Sequence[PoolState]) -> None:
    figures = ("processes", "busy", "taken", "done", "heartbeat", "up for")
    roles = ["role"] if any(pool.role for pool in pools) else []
    made: Table = table("pool", *roles, "host", "state", *figures, right=figures)
    now_s = time.time()
    for pool in pools:
        size = f"{pool.concurrency}" if pool.concurrency == pool.wanted else f"{pool.concurrency} of {pool.wanted}"
        beat = f"{duration(max(0.0, now_s - pool.beat_s))} ago" if pool.beat_s else "none"
        made.add_row(
            pool.pool,
            *(pool.role for _ in roles),
            pool.host,
            Text(pool.status, _STYLES[pool.status]),
            *(size, f"{pool.active:,}", f"{pool.reserved:,}", f"{pool.done:,}", beat),
            duration(max(0.0, now_s - pool.started_s)) if pool.status != "dead" else "",
        )
    out = console()
    out.print(made)
    for pool in pools:
        if pool.fault:
            out.print(Text(f"{pool.worker}: {plain(pool.fault)}", BAD))
    out.print(Text(f"\n{count(pools[0].queued, 'message')} in the queue.", NOTE))
