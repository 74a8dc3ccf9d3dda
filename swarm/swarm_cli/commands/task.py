"""`swarm task`, and how a task is shown."""

from __future__ import annotations

import json

import click
from rich.text import Text

from swarm.services.placement import Placement
from swarm.services.tasks import TaskView
from swarm.wire.task_records import TaskState
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, OK, ago, console, count, facts, jsonable, plain, print_json, table, working

_STYLES = {TaskState.SUCCEEDED: OK, TaskState.DEAD: BAD, TaskState.CANCELLED: NOTE}
_RESULT_WIDTH = 2_000
_FIGURES = ("expected quality", "evidence", "tasks before it", "score")


@click.command("task", short_help="Show a task: where it stands, and what came of it.")
@click.argument("task", metavar="ID")
@click.option("--wait", "wait_s", metavar="SECONDS", type=click.FloatRange(0.0, 86_400.0), help="Until it has ended.")
@click.option("--cancel", is_flag=True, help="Cancel it; one that runs stops when its worker notices.")
@click.option("--explain", is_flag=True, help="Who could have had it, if its agent was chosen by what was learned.")
@swarm_option
@json_option
def command(task: str, wait_s: float | None, cancel: bool, explain: bool, name: str | None, as_json: bool) -> None:
    """Show a task: where it stands, and what came of it."""
    settings = cli_settings(name)
    with reachable(settings):
        tasks = open_swarm(settings).tasks
        if cancel:
            tasks.cancel(task, "cancelled by swarm task")
        if wait_s is not None and not cancel:
            with working(f"waiting for {task}"):
                tasks.wait(task, wait_s)
        view = tasks.find(task)
    show_task(view, as_json)
    if explain and not as_json:
        show_placement(view)


def show_placement(view: TaskView) -> None:
    """The candidates for a task, best first."""
    if not view.record.placement:
        console().print("Its agent was not chosen by what was learned.")
        return
    placement = Placement.of(view.record.placement)
    made = table("candidate", *_FIGURES, right=_FIGURES)
    for one in placement.candidates:
        name = Text(one.agent, "bold" if one.agent == placement.agent else "")
        believed = "" if one.is_believed else " (not believed)"
        figures = f"{one.expected_quality:.3f}", f"{one.evidence:.2f}", str(one.load), f"{one.score:.3f}"
        made.add_row(name + believed, *figures)
    console().print(made)


def show_task(view: TaskView, as_json: bool) -> None:
    """A task with all that is known of it."""
    if as_json:
        print_json(jsonable(view.as_dict()))
        return
    record, status, grid = view.record, view.status, facts()
    grid.add_row("task", Text(view.id, "bold"))
    grid.add_row("state", Text(_state(view), _STYLES.get(view.state, "")))
    grid.add_row("role", f"{record.role}, for {record.agent}" if record.agent else record.role)
    if record.text:
        grid.add_row("text", plain(record.text, 300))
    if record.placement:
        grid.add_row("placed", plain(str(record.placement["why"]), 300))
    if record.payload:
        grid.add_row("payload", plain(json.dumps(jsonable(record.payload), ensure_ascii=False), 300))
    grid.add_row("submitted", f"{ago(status.submitted)}{f' by {record.submitter}' if record.submitter else ''}")
    if status.worker:
        grid.add_row("worker", plain(status.worker))
    if status.note or status.fraction:
        grid.add_row("progress", f"{status.fraction:.0%} {plain(status.note)}".rstrip())
    if status.ended:
        grid.add_row("ended", ago(status.ended))
    if status.why:
        grid.add_row("why", plain(status.why, 500))
    if view.state is TaskState.SUCCEEDED:
        shown = view.result if isinstance(view.result, str) else json.dumps(jsonable(view.result), ensure_ascii=False)
        grid.add_row("result", plain(shown, _RESULT_WIDTH))
    console().print(grid)


def _state(view: TaskView) -> str:
    status = view.status
    stopping = ", to be stopped" if status.is_cancelled and not view.has_ended else ""
    tried = f", {count(status.attempts, 'attempt')} of {view.record.max_attempts}" if status.attempts else ""
    again = f", replayed {count(status.replays, 'time')}" if status.replays else ""
    return f"{view.state.value}{stopping}{tried}{again}"
