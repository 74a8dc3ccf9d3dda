"""`swarm up`."""

from __future__ import annotations

from contextlib import nullcontext

import click
from rich.text import Text

from swarm_cli.local.reach import reachable
from swarm_cli.local.stack import StackState, up
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, console, count, facts, mark, print_json, working


@click.command("up", short_help="Start Redis, workers and gateway on this machine, or mend what is missing.")
@click.option(
    "-c",
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 256),
    help="Processes of the worker pool; 2 for a new one.",
)
@click.option("--gateway/--no-gateway", default=True, help="Whether to serve HTTP, too; with it by default.")
@swarm_option
@json_option
def command(concurrency: int | None, gateway: bool, name: str | None, as_json: bool) -> None:
    """Start Redis, workers and gateway on this machine, or mend what is missing.

    They go on in the background until `swarm down`. Whatever runs already is left alone.
    """
    settings = cli_settings(name)
    # What there is to say of a private Redis that does not start, `up` says itself.
    remedy = reachable(settings) if settings.redis_url else nullcontext()
    with remedy, working("looking at what runs") as line:
        state = up(settings, concurrency, line.update, gateway=gateway)
    if as_json:
        print_json(state.as_dict())
    else:
        _show(state)


def _show(state: StackState) -> None:
    out, grid, pool = console(), facts(), state.pool
    redis_kind = "external" if state.redis_pid is None else f"private, process {state.redis_pid}"
    grid.add_row("swarm", Text(state.swarm, "bold"))
    grid.add_row("Redis", f"{state.redis_version}, {redis_kind}")
    grid.add_row("", Text(state.redis_url, NOTE))
    grid.add_row("workers", f"pool {pool.pool}, {count(pool.concurrency, 'process', 'processes')}, process {pool.pid}")
    grid.add_row("", Text(pool.log, NOTE))
    grid.add_row("", f"supervisor, process {state.supervisor_pid}")
    grid.add_row("gateway", _gateway(state))
    out.print(grid)
    done = "; ".join(state.done) if state.done else "everything was running"
    out.print(Text.assemble("\n", mark(True), " ", f"{done[0].upper()}{done[1:]}."))
    out.print(Text("  Next: swarm demo, swarm status, swarm doctor. To stop: swarm down", NOTE))


def _gateway(state: StackState) -> Text:
    if state.gateway is not None:
        return Text(state.gateway.url, "bold")
    return Text(state.gateway_fault, BAD) if state.gateway_fault else Text("none was asked for", NOTE)
