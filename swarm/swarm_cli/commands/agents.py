"""`swarm agents`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from swarm.services.history import Version
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm_agents.factory import MadeAgent, made_agent, made_from, register_template
from swarm_cli import completion
from swarm_cli.assignments import assignments
from swarm_cli.commands.status import agents_table
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import by_option, cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, OK, console, count, duration, facts, period, plain, print_json, table

_CAUSE_WIDTH = 18


@click.group("agents", short_help="Make agents, see them and their versions, and roll them back.")
def command() -> None:
    """Make agents, see them and their versions, and roll them back."""


@command.command("create")
@click.argument("agent", metavar="NAME")
@click.option("--template", metavar="TEMPLATE", required=True, help="One of `swarm templates list`, or a .toml file.")
@click.option("--domain", metavar="DOMAIN", help="Narrow it to a field: a domain of `swarm templates list`.")
@click.option("--role", metavar="ROLE", help="Instead of the template's.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="A value instead of the template's.")
@click.option("--replace", is_flag=True, help="Change an agent that is registered otherwise; what it learned stays.")
@swarm_option
@json_option
def create(
    agent: str,
    template: str,
    domain: str | None,
    role: str | None,
    changes: Sequence[str],
    replace: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Make an agent from a template: its learning settings, its role, its retention and its redaction.

    KEY is a setting of the engine (base_lora_rank=24), half_life or ttl (a period: 30d, or off), or redact (names of
    rules, with commas).
    """
    settings = cli_settings(name)
    wanted = made_from(template, domain, role, assignments(changes))
    with reachable(settings):
        swarm = Swarm(settings)
        known = swarm.agents.registration(agent)
        made = register_template(swarm, agent, wanted, replaces=replace)
    if as_json:
        print_json({"swarm": settings.name, **made.as_dict()})
        return
    _show_made(made)
    if dropped := sorted(set(known.policy.redact if known else ()) - set(made.policy.redact)):
        console().print(Text(f"It no longer redacts {', '.join(dropped)}.", BAD))


@command.command("show")
@click.argument("agent", metavar="NAME", shell_complete=completion.agents)
@swarm_option
@json_option
def show(agent: str, name: str | None, as_json: bool) -> None:
    """Show what an agent was made from: template, learning settings, retention, redaction."""
    settings = cli_settings(name)
    with reachable(settings):
        made = made_agent(Swarm(settings), agent)
    if as_json:
        print_json({"swarm": settings.name, **made.as_dict()})
    else:
        _show_made(made)


def _show_made(made: MadeAgent) -> None:
    origin = f"is made from template {made.template}" if made.template else "is made from no template"
    console().print(f"Agent {made.name} of role {made.role} {origin}.")
    grid = facts()
    differs = made.config.as_dict().items() - SonaConfig(dim=made.config.dim).as_dict().items()
    grid.add_row("differs in", ", ".join(f"{key} {value:g}" for key, value in sorted(differs)) or "nothing")
    grid.add_row("half-life", period(made.policy.half_life_s))
    grid.add_row("time to live", period(made.policy.ttl_s))
    grid.add_row("redacts", ", ".join(made.policy.redact) or "nothing")
    console().print(grid)


@command.command("list")
@swarm_option
@json_option
def list_agents(name: str | None, as_json: bool) -> None:
    """List the agents: role, generation, and what became of their outcomes."""
    settings = cli_settings(name)
    with reachable(settings):
        status = open_swarm(settings).status()
    if as_json:
        print_json({"swarm": status.name, "agents": [asdict(agent) for agent in status.agents]})
    elif status.agents:
        console().print(agents_table(status.agents))
    else:
        console().print(f"Swarm {status.name} has no agents yet. `swarm demo` shows some at work.")


@command.command("history")
@click.argument("agent", metavar="NAME", shell_complete=completion.agents)
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 2000), default=20, show_default=True, help="The newest N versions."
)
@swarm_option
@json_option
def history(agent: str, limit: int, name: str | None, as_json: bool) -> None:
    """List the versions of an agent, newest first, with their figures on held-out outcomes.

    Loss is the mean negative log-likelihood of outcomes that were kept from training, before and after; new weights
    that do not lower it are refused.
    """
    settings = cli_settings(name)
    with reachable(settings):
        versions = open_swarm(settings).history(agent)
    if as_json:
        shown = [version.as_dict() for version in versions[:limit]]
        print_json({"swarm": settings.name, "agent": agent, "versions": shown, "total": len(versions)})
    elif not versions:
        console().print(f"Agent {agent} has no versions yet: nothing of it was consolidated.")
    else:
        _show_history(versions, limit)


@command.command("rollback")
@click.argument("agent", metavar="NAME", shell_complete=completion.agents)
@click.argument("version", type=int)
@swarm_option
@json_option
def rollback(agent: str, version: int, name: str | None, as_json: bool) -> None:
    """Let an agent hold again what it held at VERSION, and rank as it did.

    This makes a new version, so it can be rolled back, too. Outcomes that were reported since are not learned again.
    Workers publish it with the next merge.
    """
    settings = cli_settings(name)
    with reachable(settings):
        done = open_swarm(settings).rollback(agent, version)
    if as_json:
        print_json({"swarm": settings.name, **done.as_dict()})
    else:
        console().print(
            f"Version {done.generation} of {agent} is what version {done.version} was: "
            f"{count(done.clusters, 'cluster')}."
        )


@command.command("quarantine")
@click.argument("agent", metavar="NAME")
@click.option("--release", "is_release", is_flag=True, help="Let it count again for what its reports have earned.")
@by_option
@swarm_option
@json_option
def quarantine(agent: str, is_release: bool, by: str, name: str | None, as_json: bool) -> None:
    """Keep what an agent learns, and let none of it count for the others, until it is released.

    Nothing is erased. Workers publish the bank without its part, or with it again, with the next merge.
    """
    settings = cli_settings(name)
    with reachable(settings):
        swarm = open_swarm(settings)
        done = swarm.release(agent, by=by) if is_release else swarm.quarantine(agent, by=by)
    if as_json:
        print_json({"swarm": settings.name, **done.as_dict()})
    elif done.silenced:
        console().print(f"Agent {agent} is in quarantine: what it learns is kept and does not count.")
    else:
        console().print(f"Agent {agent} is released: its feedback counts as {done.verdict}.")


def _show_history(versions: Sequence[Version], limit: int) -> None:
    out = console()
    out.print(_history_table(versions[:limit]))
    notes = ["● current, ↩ can be rolled back to"]
    if len(versions) > limit:
        notes.append(f"{len(versions) - limit:,} older ones with --limit {len(versions)}")
    out.print(Text("\n" + "; ".join(notes), NOTE))


def _history_table(versions: Sequence[Version]) -> Table:
    # What is mostly zero has a column only where it is not.
    extra = ["pruned"] if any(version.pruned for version in versions) else []
    figures = ("version", "age", "outcomes", "clusters", *extra, "loss", "after")
    made = table("", *figures[:2], "what", *figures[2:], "weights", right=figures)
    now_s = time.time()
    for version in versions:
        made.add_row(
            Text("●", OK) if version.is_current else Text("↩" if version.can_roll_back else "", NOTE),
            f"{version.version:,}",
            duration(max(0.0, now_s - version.at_s)),
            _what(version),
            f"{version.outcomes:,}" if version.outcomes else "",
            f"{version.clusters:,}",
            *(f"{version.pruned:,}" for _ in extra),
            *("" if loss is None else f"{loss:.3f}" for loss in (version.loss_before, version.loss_after)),
            Text(version.update, BAD if version.update == "refused" else ""),
        )
    return made


def _what(version: Version) -> str:
    if version.kind == "rollback":
        return f"rollback to {version.parent}"
    cause = plain(version.cause, _CAUSE_WIDTH)
    return f"{version.kind}\n{cause}" if cause else version.kind
