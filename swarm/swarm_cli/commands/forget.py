"""`swarm forget`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
from rich.text import Text

from swarm.services.forget_report import Forgetting
from swarm.services.swarm import Swarm
from swarm.wire.retention_records import Tombstone
from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import by_option, cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, console, count, duration, plain, print_json, table, working


@click.command("forget", short_help="Erase a pattern, a trajectory or an agent for good.")
@click.option("--pattern", metavar="ID", help="A pattern of the bank, with the outcomes that it comes from.")
@click.option("--trajectory", metavar="ID", help="All outcomes of this trajectory, also those yet to be reported.")
@click.option(
    "--agent",
    metavar="NAME",
    shell_complete=completion.agents,
    help="All of this agent; with --trajectory, only that one of its.",
)
@click.option("--list", "is_list", is_flag=True, help="List what was forgotten.")
@by_option
@swarm_option
@json_option
def command(
    pattern: str | None,
    trajectory: str | None,
    agent: str | None,
    is_list: bool,
    by: str,
    name: str | None,
    as_json: bool,
) -> None:
    """Erase a pattern, a trajectory or an agent for good.

    As `swarm rewind`, and nothing of its content is stored any more; what arrives of it later is refused. Backups and
    records of tasks are not touched. This cannot be undone. One that was interrupted is run again.
    """
    given = [value for value in (pattern, trajectory or agent) if value]
    if len(given) != (0 if is_list else 1):
        raise click.UsageError("give --pattern, --trajectory (and perhaps --agent), --agent, or --list")
    settings = cli_settings(name)
    with reachable(settings):
        swarm = Swarm(settings)
        if is_list:
            _list(swarm.tombstones(), settings.name, as_json)
            return
        with working("erasing it, and learning the rest again"):
            done = swarm.forget(pattern=pattern, trajectory=trajectory, agent=agent, by=by)
    if as_json:
        print_json({"swarm": settings.name, **done.as_dict()})
    else:
        _show(done)


def _show(done: Forgetting) -> None:
    out = console()
    out.print(
        f"Forgot {done.kind} {plain(done.id, 40)}: {count(done.outcomes, 'outcome')} taken back, "
        f"{done.erased:,} erased, {count(done.traces, 'other record')}."
    )
    if done.lost:
        out.print(Text(f"{count(done.lost, 'other outcome')} had to go, too: the stream holds them no more.", BAD))
    for dependent in done.dependents:
        what = f"were kept: {dependent.why}" if dependent.why else f"were trained again, version {dependent.generation}"
        out.print(Text(f"{dependent.agent}: its weights learned from it and {what}.", BAD if dependent.why else ""))
    out.print(f"The bank holds {count(done.patterns, 'pattern')}, version {done.bank_version}.")


def _list(stones: Sequence[Tombstone], name: str, as_json: bool) -> None:
    if as_json:
        print_json({"swarm": name, "tombstones": [stone.as_dict() for stone in stones]})
    elif not stones:
        console().print(f"Swarm {name} has forgotten nothing.")
    else:
        made = table("kind", "id", "agent", "age", "by", "", right=["age"])
        now_s = time.time()
        for stone in stones:
            state = Text("") if stone.is_done else Text("interrupted: run it again", BAD)
            age = duration(max(0.0, now_s - stone.at_s))
            made.add_row(stone.kind, plain(stone.id, 40), stone.agent, age, plain(stone.by, 12), state)
        console().print(made)
