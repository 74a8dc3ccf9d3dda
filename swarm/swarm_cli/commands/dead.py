"""`swarm dead`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import click

from swarm.services.guard_tasks import GuardedTasks
from swarm.services.tasks import TaskView
from swarm_cli.commands.task import show_task
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, count, duration, jsonable, plain, print_json, table

_MOST = 10_000
_ids = click.argument("tasks", metavar="[ID]...", nargs=-1)
_all = click.option("--all", "is_all", is_flag=True, help=f"All of them, {_MOST:,} at most.")


@click.group("dead", short_help="List, show, replay and drop tasks that failed for good.")
def command() -> None:
    """List, show, replay and drop tasks that failed for good.

    They are kept as long as a receipt.
    """


@command.command("list")
@click.option("--limit", metavar="N", type=click.IntRange(1, _MOST), default=20, show_default=True, help="The last N.")
@swarm_option
@json_option
def list_dead(limit: int, name: str | None, as_json: bool) -> None:
    """List dead tasks, those that died last first, and why."""
    settings = cli_settings(name)
    with reachable(settings):
        dead = open_swarm(settings).tasks.dead(limit)
    if as_json:
        print_json({"swarm": settings.name, "tasks": [jsonable(view.as_dict()) for view in dead]})
    elif dead:
        _show(dead)
    else:
        console().print(f"Swarm {settings.name} has no dead tasks.")


@command.command("show")
@click.argument("task", metavar="ID")
@swarm_option
@json_option
def show(task: str, name: str | None, as_json: bool) -> None:
    """Show a dead task with all that is known of it."""
    settings = cli_settings(name)
    with reachable(settings):
        view = open_swarm(settings).tasks.find(task)
    show_task(view, as_json)


@command.command("replay")
@_ids
@_all
@swarm_option
@json_option
def replay(tasks: tuple[str, ...], is_all: bool, name: str | None, as_json: bool) -> None:
    """Let dead tasks wait again, with all their attempts and without their deadline."""
    _each(tasks, is_all, name, as_json, "replayed", lambda ledger, task: ledger.replay(task))


@command.command("drop")
@_ids
@_all
@swarm_option
@json_option
def drop(tasks: tuple[str, ...], is_all: bool, name: str | None, as_json: bool) -> None:
    """Forget dead tasks. This cannot be undone."""
    _each(tasks, is_all, name, as_json, "dropped", lambda ledger, task: ledger.drop(task))


def _each(
    tasks: Sequence[str],
    is_all: bool,
    name: str | None,
    as_json: bool,
    done: str,
    action: Callable[[GuardedTasks, str], object],
) -> None:
    if bool(tasks) == is_all:
        raise click.UsageError("give ids of tasks, or --all")
    settings = cli_settings(name)
    with reachable(settings):
        ledger = open_swarm(settings).tasks
        chosen = [view.id for view in ledger.dead(_MOST)] if is_all else list(tasks)
        for task in chosen:
            action(ledger, task)
    if as_json:
        print_json({"swarm": settings.name, done: chosen})
    else:
        console().print(f"{count(len(chosen), 'task')} {done}.")


def _show(dead: Sequence[TaskView]) -> None:
    made = table("task", "died", "why", right=["died"])
    now_s = time.time()
    for view in dead:
        age = f"{duration(max(0.0, now_s - view.status.ended))} ago"
        made.add_row(f"{view.id}\n{plain(view.record.text, 46)}".rstrip(), age, plain(view.status.why, 60))
    console().print(made)
