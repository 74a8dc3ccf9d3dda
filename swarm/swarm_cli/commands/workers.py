"""`swarm workers`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from swarm_cli.local.reach import reachable
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.options import cli_settings, json_option, pool_option, swarm_option, timeout_option
from swarm_cli.output import BAD, NOTE, OK, console, count, duration, mark, plain, print_json, table, working
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
@pool_option
@_concurrency
@swarm_option
@timeout_option(30.0)
@json_option
def start(pool: str, concurrency: int, name: str | None, timeout_s: float, as_json: bool) -> None:
    """Start a pool on this host, and wait until it works."""
    settings = cli_settings(name)
    prepare_state_dir(settings)
    with reachable(settings), PoolManager(settings) as manager, working(f"starting pool {pool}"):
        state = manager.start(pool, concurrency, timeout_s)
    _report(state, as_json)


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
    made: Table = table("pool", "host", "state", *figures, right=figures)
    now_s = time.time()
    for pool in pools:
        size = f"{pool.concurrency}" if pool.concurrency == pool.wanted else f"{pool.concurrency} of {pool.wanted}"
        beat = f"{duration(max(0.0, now_s - pool.beat_s))} ago" if pool.beat_s else "none"
        made.add_row(
            pool.pool,
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
