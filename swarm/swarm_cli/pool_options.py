"""Options that say what a pool is: its name, its size, whose tasks it does, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from swarm_cli.local import POOL
from swarm_cli.worker_agents import FACTORY
from swarm_workers.plan import RolePlan
from swarm_workers.pools import MAX_CONCURRENCY, PoolSize
from swarm_workers.size import DEFAULT_IDLE, MAX_IDLE, MIN_IDLE

F = TypeVar("F", bound=Callable[..., Any])


def chosen_pool_option(function: F) -> F:
    """`--pool NAME`, of a pool that is to be."""
    return click.option("--pool", metavar="NAME", help=f"The worker pool; by default the role, or {POOL}.")(function)


def size_options(function: F) -> F:
    """`-c N`, or `--min N --max N --idle SECONDS`."""
    options = (
        click.option("-c", "--concurrency", metavar="N", type=click.IntRange(1, MAX_CONCURRENCY), help="Processes."),
        click.option(
            "--min",
            "least",
            metavar="N",
            type=click.IntRange(0, MAX_CONCURRENCY),
            help="Instead of -c, the least processes; 0 lets a pool with nothing to do end, and come back.",
        ),
        click.option(
            "--max",
            "most",
            metavar="N",
            type=click.IntRange(1, MAX_CONCURRENCY),
            help="The most processes; a supervisor chooses by what waits.",
        ),
        click.option(
            "--idle",
            metavar="SECONDS",
            type=click.FloatRange(MIN_IDLE, MAX_IDLE),
            help=f"With --min 0: end after so long without work.  [default: {DEFAULT_IDLE:g}]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def pool_size(concurrency: int | None, least: int | None, most: int | None, idle: float | None) -> PoolSize:
    """The size that these options say.

    Raises
    ------
    click.UsageError
        If they do not go together.
    """
    if (concurrency is None) == (most is None):
        raise click.UsageError("give the processes: -c N, or bounds with --min N --max N")
    if concurrency is not None and (least, idle) != (None, None):
        raise click.UsageError("--min and --idle go with --max")
    if idle is not None and least != 0:
        raise click.UsageError("--idle goes with --min 0")
    if concurrency is not None:
        return PoolSize.fixed(concurrency)
    assert most is not None
    return PoolSize(min=1 if least is None else least, max=most, idle_s=idle or DEFAULT_IDLE)


def role_options(function: F) -> F:
    """`--role NAME --handlers MODULE --agent NAME`."""
    options = (
        click.option("--role", metavar="NAME", help="Do the tasks of this role, by the functions in --handlers."),
        click.option(
            "--handlers",
            metavar="MODULE",
            multiple=True,
            help="A module with handlers, on the Python path; repeatable.",
        ),
        click.option(
            "--agent", metavar="NAME", help="Who does the tasks that name no agent; by default called like the role."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def role_plan(role: str | None, handlers: tuple[str, ...], agent: str | None) -> RolePlan | None:
    """What these options say the pool does; None is the background.

    Raises
    ------
    click.UsageError
        If they do not go together.
    """
    if role is None:
        if handlers or agent:
            raise click.UsageError("--handlers and --agent go with --role")
        return None
    if not handlers:
        raise click.UsageError("--role needs --handlers, the modules with the functions that do its tasks")
    return RolePlan(role=role, handlers=handlers, agent=agent or "", factory=FACTORY)
