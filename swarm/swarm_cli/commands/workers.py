"""`swarm workers`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from socket import gethostname

import click
from rich.text import Text

from swarm.errors import UnknownIdError
from swarm_cli import completion
from swarm_cli.commands.run_pool import command as run
from swarm_cli.commands.supervise import command as supervise
from swarm_cli.local import POOL
from swarm_cli.local.reach import reachable
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.options import cli_settings, json_option, pool_option, swarm_option, timeout_option
from swarm_cli.output import NOTE, console, count, mark, print_json, working
from swarm_cli.pool_options import chosen_pool_option, pool_size, role_options, role_plan, size_options
from swarm_cli.pools_table import show_pools
from swarm_workers.pools import PoolManager, PoolState


@click.group("workers", short_help="Start, list, scale, restart, drain and stop worker pools.")
def command() -> None:
    """Start, list, scale, restart, drain and stop worker pools, and look after them.

    A pool is one Celery worker on one host. Pools of this host are changed; those of every host are listed.
    """


command.add_command(run)
command.add_command(supervise)


@command.command("start")
@chosen_pool_option
@size_options
@role_options
@swarm_option
@timeout_option(30.0)
@json_option
def start(
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
    as_json: bool,
) -> None:
    """Start a pool on this host, and wait until it works.

    Without a role it does the swarm's background work. With one it does the tasks that `swarm submit` puts on the
    role's queue, each with the hooks of an agent around it. Handlers are loaded from the modules that are named here
    and from no others.

    What is started here is wanted until it is drained or stopped: the supervisor of this host brings it back.
    """
    plan, size = role_plan(role, handlers, agent), pool_size(concurrency, least, most, idle)
    settings, chosen = cli_settings(name), pool or role or POOL
    prepare_state_dir(settings)
    with reachable(settings), PoolManager(settings) as manager, working(f"starting pool {chosen}"):
        state = manager.start(chosen, size, timeout_s, plan)
    _report(state, as_json)


@command.command("list")
@click.option("--check", is_flag=True, help="Exit with 1 unless this host has pools and all of them work, or sleep.")
@swarm_option
@json_option
def list_pools(check: bool, name: str | None, as_json: bool) -> None:
    """List the pools of every host, from their heartbeats."""
    settings = cli_settings(name)
    with reachable(settings), PoolManager(settings) as manager:
        pools, supervisors = manager.list(), manager.supervisors()
    if as_json:
        found = {"pools": list(map(asdict, pools)), "supervisors": list(map(asdict, supervisors))}
        print_json({"swarm": settings.name, **found})
    elif pools:
        show_pools(console(), pools, supervisors)
    else:
        console().print(f"Swarm {settings.name} has no worker pools. Start one: swarm up, or swarm workers start")
    here = [pool.status for pool in pools if pool.host == gethostname()]
    if check and (not here or not {"running", "draining", "asleep"}.issuperset(here)):
        sys.exit(1)


@command.command("scale")
@pool_option
@size_options
@swarm_option
@timeout_option(30.0)
@json_option
def scale(
    pool: str,
    concurrency: int | None,
    least: int | None,
    most: int | None,
    idle: float | None,
    name: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Give a pool another number of processes, or other bounds."""
    settings, size = cli_settings(name), pool_size(concurrency, least, most, idle)
    with reachable(settings), PoolManager(settings) as manager, working(f"scaling pool {pool}"):
        state = manager.scale(pool, size, timeout_s)
    _report(state, as_json)


@command.command("restart")
@click.option("--pool", metavar="NAME", shell_complete=completion.pools, help="The worker pool.")
@click.option("--all", "every", is_flag=True, help="Every pool of this host, one after the other.")
@swarm_option
@timeout_option(300.0)
@json_option
def restart(pool: str | None, every: bool, name: str | None, timeout_s: float, as_json: bool) -> None:
    """Replace workers by new ones, which read the handlers anew.

    The new worker takes tasks before the old one stops taking them, and the old one finishes what it has: the role is
    never without a worker, and no task is lost or done twice. If the new one does not come up, the old one goes on.
    """
    if (pool is None) != every:
        raise click.UsageError("say which pool: --pool NAME, or --all")
    settings = cli_settings(name)
    with reachable(settings), PoolManager(settings) as manager, working("restarting") as line:
        names = [pool] if pool else sorted({state.pool for state in manager.list() if state.host == gethostname()})
        if not names:
            raise UnknownIdError(f"swarm {settings.name} has no pools on this host")
        states = []
        for chosen in names:
            line.update(f"restarting pool {chosen}")
            states.append(manager.restart(chosen, timeout_s))
    if as_json:
        print_json({"swarm": settings.name, "pools": list(map(asdict, states))})
        return
    for state in states:
        _report(state, False)


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
    which = f": {size}, process {state.pid}" if state.pid else ""
    console().print(Text.assemble(mark(True), " ", f"Pool {state.pool} is {state.status}{which}."))
    console().print(Text(f"  {state.log}", NOTE))
    if state.care is None and state.min_size != state.max_size:
        console().print(
            Text("  No supervisor runs here to choose the size: swarm workers supervise, or swarm up", NOTE)
        )


def _report_end(swarm: str, pool: str, ended: bool, as_json: bool) -> None:
    if as_json:
        print_json({"swarm": swarm, "pool": pool, "ended_by_itself": ended})
    else:
        how = "has ended" if ended else "did not end in time and was killed; another does its work again"
        console().print(Text.assemble(mark(True), " ", f"Pool {pool} {how}."))
