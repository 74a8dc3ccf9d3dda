"""`swarm rewind`."""

from __future__ import annotations

import click
from rich.text import Text

from swarm.services.rewind_report import Dependent, Rewind, RewoundAgent
from swarm_cli import completion
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, console, count, print_json, working


@click.command("rewind", short_help="Take out all that came from one trajectory, or from one agent.")
@click.option("--trajectory", metavar="ID", help="All outcomes of this trajectory.")
@click.option(
    "--agent",
    metavar="NAME",
    shell_complete=completion.agents,
    help="Everything of this agent; with --trajectory, only that one of its.",
)
@click.option("--retrain/--no-retrain", default=True, help="Train adapters again that learned from it.  [default: on]")
@swarm_option
@json_option
def command(trajectory: str | None, agent: str | None, retrain: bool, name: str | None, as_json: bool) -> None:
    """Take out all that came from one trajectory, or from one agent.

    The agent goes back to its last version without it and learns the rest again; the bank is published without it,
    and the versions that held it cannot be rolled back to any more. This cannot be undone.
    """
    if not trajectory and not agent:
        raise click.UsageError("give --trajectory, --agent or both")
    settings = cli_settings(name)
    with reachable(settings), working("taking it out, and learning the rest again"):
        done = open_swarm(settings).rewind(trajectory, agent=agent, retrain=retrain)
    if as_json:
        print_json({"swarm": settings.name, **done.as_dict()})
    else:
        _show(done)


def _show(done: Rewind) -> None:
    out = console()
    for agent in done.agents:
        out.print(Text(_line(agent)))
        if agent.lost:
            out.print(
                Text(f"  {count(agent.lost, 'other outcome')} had to go, too: the stream holds them no more.", BAD)
            )
        for version in agent.unrepeated:
            out.print(Text(f"  What version {version} brought came from no outcome, and is gone, too.", BAD))
    for dependent in done.dependents:
        out.print(Text(_dependent(dependent), BAD if dependent.why else ""))
    out.print(f"The bank holds {count(done.patterns, 'pattern')}, version {done.bank_version}.")


def _line(agent: RewoundAgent) -> str:
    if not agent.outcomes:
        return f"{agent.agent}: was taken back already, in version {agent.generation}."
    taken = f"{agent.agent}: {count(agent.outcomes, 'outcome')} taken back"
    if not agent.generation:
        return f"{taken} before anything was learned from it."
    if not agent.base and not agent.replayed:
        return f"{taken}; version {agent.generation} is empty."
    return f"{taken}; version {agent.generation} is version {agent.base} and {agent.replayed:,} learned again."


def _dependent(dependent: Dependent) -> str:
    if dependent.why:
        return f"{dependent.agent}: its weights learned from it and were kept: {dependent.why}."
    return f"{dependent.agent}: its weights learned from it and were trained again, version {dependent.generation}."
