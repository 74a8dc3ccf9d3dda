"""`swarm query`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swarm.services.hits import PatternHit
from swarm.settings import Settings
from swarm_cli import completion
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, console, count, duration, plain, print_json
from swarm_cli.show_code import show_code

_MOST_SOURCES = 5
_RESPONSE_LINES = 4
_NBSP = "\N{NO-BREAK SPACE}"


@click.command("query", short_help="Ask what the swarm knows for a task, and who learned it.")
@click.argument("text", required=False)
@click.option("--query", "question", metavar="TEXT", help="The same as TEXT.")
@click.option(
    "--name",
    "codebase",
    metavar="NAME",
    shell_complete=completion.agents,
    help="Ask for code, in what this agent has indexed (swarm index-codebase).",
)
@click.option("-k", metavar="N", type=click.IntRange(1, 1000), default=5, show_default=True, help="At most so many.")
@click.option(
    "--agent",
    "agents",
    metavar="NAME",
    shell_complete=completion.agents,
    multiple=True,
    help="Only what this agent learned; repeatable.",
)
@click.option(
    "--role",
    "roles",
    metavar="NAME",
    shell_complete=completion.roles,
    multiple=True,
    help="Only agents in this role; repeatable.",
)
@click.option(
    "--min-quality",
    metavar="Q",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    help="Only patterns with this mean quality or better.",
)
@click.option("--group-by", type=click.Choice(["agent"]), help="One list for each agent.")
@swarm_option
@json_option
def command(
    text: str | None,
    question: str | None,
    codebase: str | None,
    k: int,
    agents: tuple[str, ...],
    roles: tuple[str, ...],
    min_quality: float,
    group_by: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Ask what the swarm knows for a task like TEXT, and who learned it.

    Patterns come best first, each with the agents and the outcomes that it comes from. With --name it is code that
    is found, with its file, its lines and an id for swarm feedback.
    """
    asked = text if question is None else question
    if asked is None:
        raise click.UsageError("Missing argument 'TEXT'")
    if text is not None and question is not None:
        raise click.UsageError("give TEXT or --query, not both")
    settings = cli_settings(name)
    if codebase is not None:
        if agents or roles or min_quality or group_by:
            raise click.UsageError("--agent, --role, --min-quality and --group-by do not go with --name")
        _query_code(settings, codebase, asked, k, as_json)
        return
    only_agents, only_roles = list(agents) or None, list(roles) or None
    with reachable(settings):
        swarm = open_swarm(settings)
        if group_by is None:
            hits = swarm.query(asked, agents=only_agents, roles=only_roles, min_quality=min_quality, k=k)
            groups = {"": hits} if hits else {}
        else:
            groups = swarm.query(
                asked, agents=only_agents, roles=only_roles, min_quality=min_quality, k=k, group_by="agent"
            )
    if as_json:
        print_json(_as_json(settings.name, asked, groups, group_by))
    else:
        _show(groups)


def _query_code(settings: Settings, codebase: str, text: str, k: int, as_json: bool) -> None:
    # Loaded for this alone: every other query does without.
    from swarm.services.swarm import Swarm
    from swarm_agents.codebase import Codebase

    with reachable(settings):
        open_swarm(settings).require_operator("query --name")
        asked = Codebase(codebase, Swarm(settings))
        hits, is_complete = asked.query(text, k), asked.is_complete()
    if not is_complete:
        way_out = "run swarm index-codebase again to go on"
        click.echo(f"the index of {codebase} is unfinished, answers may be missing: {way_out}", err=True)
    if as_json:
        found = {"complete": is_complete, "hits": [hit.as_dict() for hit in hits]}
        print_json({"swarm": settings.name, "name": codebase, "text": text, **found})
    else:
        show_code(hits)


def _as_json(
    swarm: str, text: str, groups: Mapping[str, Sequence[PatternHit]], group_by: str | None
) -> dict[str, object]:
    lists = {agent: [hit.to_dict() for hit in hits] for agent, hits in groups.items()}
    found: dict[str, object] = {"hits": lists.get("", [])} if group_by is None else {"agents": lists}
    return {"swarm": swarm, "text": text, **found}


def _show(groups: Mapping[str, Sequence[PatternHit]]) -> None:
    out = console()
    if not groups:
        out.print("The swarm knows nothing for this yet.")
    for agent, hits in groups.items():
        if agent:
            out.print(Text(f"\n{agent}", "bold"))
        for position, hit in enumerate(hits, 1):
            out.print(_pattern(position, hit, out))


def _pattern(position: int, hit: PatternHit, out: Console) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(justify="right", style=NOTE, no_wrap=True, min_width=10)
    grid.add_column(overflow="fold")
    response = plain(hit.response or hit.action, _RESPONSE_LINES * (out.width - 12))
    grid.add_row(f"\n{position}", Text(f"\n{response}", "bold cyan"))
    grid.add_row("share", f"{100 * hit.share:.0f} % of the votes, similarity {hit.similarity:.2f}")
    grid.add_row("quality", f"{hit.expected_quality:.2f} ± {hit.quality_error:.2f}, {_evidence(hit)}")
    grid.add_row("learned by", _sources(hit))
    if hit.examples:
        example = max(hit.examples, key=lambda one: one.quality)
        grid.add_row("example", Text(f"“{plain(example.text, out.width - 14)}”"))
    grid.add_row("last", f"{duration(max(0.0, time.time() - hit.last_s))} ago")
    return grid


def _evidence(hit: PatternHit) -> str:
    against = f", {hit.failures:,.0f} nearby speak against it" if hit.failures >= 0.5 else ""
    return f"{count(round(hit.outcomes), 'outcome')}{against}"


def _sources(hit: PatternHit) -> Text:
    named = [f"{source.agent}{_NBSP}×{source.outcomes:,.0f}" for source in hit.sources[:_MOST_SOURCES]]
    hidden = len(hit.sources) - _MOST_SOURCES
    return Text(", ".join(named) + (f" and {count(hidden, 'more', 'more')}" if hidden > 0 else ""))
