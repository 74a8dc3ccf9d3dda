"""`swarm receipt`: what became of anything that was accepted, by its id."""

from __future__ import annotations

import click
from rich.text import Text

from swarm.services.find import ConsolidationReceipt, Found, MergeReceipt
from swarm.services.guard import GuardedSwarm
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.tasks import TaskView
from swarm_cli.commands.task import show_task
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, OK, ago, console, count, facts, jsonable, plain, print_json, working

_STYLES = {ReceiptState.SEARCHABLE: OK, ReceiptState.DEAD: BAD, ReceiptState.QUARANTINED: BAD}


@click.command("receipt", short_help="Say what became of an outcome, a task, a consolidation or a merge.")
@click.argument("receipt_id", metavar="ID")
@click.option(
    "--wait", "wait_s", metavar="SECONDS", type=click.FloatRange(0.0, 86_400.0), help="Until it has come to an end."
)
@swarm_option
@json_option
def command(receipt_id: str, wait_s: float | None, name: str | None, as_json: bool) -> None:
    """Say what became of an outcome, a task, a consolidation or a merge.

    ID is outcome/AGENT/KEY, consolidation/AGENT/GENERATION, merge/VERSION, or the id of a task.
    """
    settings = cli_settings(name)
    with reachable(settings):
        swarm = open_swarm(settings)
        found = swarm.find(receipt_id)
        if wait_s is not None:
            with working(f"waiting for {receipt_id}"):
                found = _awaited(swarm, found, wait_s)
    if isinstance(found, TaskView):
        show_task(found, as_json)
    elif as_json:
        print_json(jsonable(found.as_dict()))
    elif isinstance(found, Receipt):
        _show_outcome(found)
    elif isinstance(found, ConsolidationReceipt):
        _show_consolidation(found)
    else:
        _show_merge(found)


def _awaited(swarm: GuardedSwarm, found: Found, wait_s: float) -> Found:
    if isinstance(found, TaskView):
        swarm.tasks.wait(found.id, wait_s)
        return swarm.tasks.find(found.id)
    if isinstance(found, Receipt):
        return swarm.find(swarm.wait(found, wait_s).id)
    return found


def _show_outcome(receipt: Receipt) -> None:
    grid = facts()
    grid.add_row("outcome", Text(plain(receipt.idempotency_key), "bold"))
    grid.add_row("agent", receipt.agent)
    grid.add_row("state", Text(receipt.state.value, _STYLES.get(receipt.state, "")))
    if receipt.reason:
        grid.add_row("why", plain(receipt.reason, 500))
    if receipt.generation:
        grid.add_row("in", f"consolidation/{receipt.agent}/{receipt.generation}")
    grid.add_row("place", receipt.stream_id)
    console().print(grid)


def _show_consolidation(receipt: ConsolidationReceipt) -> None:
    version, grid = receipt.version, facts()
    grid.add_row("generation", Text(f"{version.version} of {receipt.agent}", "bold"))
    grid.add_row("state", Text(receipt.state, OK if receipt.is_searchable else ""))
    grid.add_row("made", ago(version.at_s))
    grid.add_row("of", f"{count(version.outcomes, 'outcome')}, {count(version.clusters, 'cluster')} after it")
    if version.update:
        grid.add_row("weights", f"{version.update}{f': {plain(version.why)}' if version.why else ''}")
    console().print(grid)


def _show_merge(receipt: MergeReceipt) -> None:
    grid = facts()
    grid.add_row("merge", Text(receipt.version, "bold"))
    grid.add_row("state", Text(receipt.state, OK))
    grid.add_row("made", ago(receipt.at_s))
    grid.add_row("changed", f"{count(receipt.put, 'pattern')} written, {receipt.removed:,} removed")
    console().print(grid)
