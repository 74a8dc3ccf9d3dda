"""`swarm status`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from swarm.services.status import AgentStatus, SwarmStatus
from swarm.sona.standing import Verdict
from swarm.store.workers import WorkerBeat
from swarm_cli.commands.tasks import tasks_table
from swarm_cli.guarded import open_swarm
from swarm_cli.local.address import shown_url
from swarm_cli.local.gateway import find_gateway
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, console, count, duration, facts, plain, print_json, table

MAX_SHOWN = 50
"""Of more agents only some are shown, unless all are asked for ..."""
FEW_SHOWN = 10
"""... and these are so many."""


@click.command("status", short_help="Show how the swarm stands, from what is stored.")
@swarm_option
@click.option("--all", "show_all", is_flag=True, help="Show every agent of a large swarm.")
@json_option
def command(name: str | None, show_all: bool, as_json: bool) -> None:
    """Show how the swarm stands: its agents, its bank, its workers, and what waits.

    Every figure is read from what is stored; nothing is remembered or estimated. Of more than 50 agents it shows those
    with losses and those for which most waits, and the sums of all.
    """
    settings = cli_settings(name)
    with reachable(settings):
        status = open_swarm(settings).status()
    if as_json:
        print_json(status.as_dict())
    else:
        gateway = find_gateway(settings)
        _show(status, shown_url(settings), gateway.url if gateway else "none on this machine", show_all=show_all)


def _show(status: SwarmStatus, url: str, gateway: str, *, show_all: bool) -> None:
    out, grid = console(), facts()
    grid.add_row("swarm", Text(status.name, "bold"))
    grid.add_row("embedder", status.embedder or "none yet: no agent has been here")
    grid.add_row("Redis", url)
    grid.add_row("gateway", gateway)
    grid.add_row("bank", _bank(status))
    grid.add_row("outcomes", _outcomes(status))
    grid.add_row("queue", f"{count(status.queue_depth, 'nudge')} for workers")
    out.print(grid)
    shown = status.agents if show_all else worst(status.agents)
    if status.agents:
        out.print("", agents_table(shown), sep="\n")
    if len(shown) < len(status.agents):
        out.print(Text(_rest(status.agents, len(shown)), NOTE))
    if status.tasks:
        out.print("", tasks_table(status.tasks), sep="\n")
    if status.workers:
        out.print("", _workers(status.workers), sep="\n")
        out.print(_supervision(status))
    else:
        style = BAD if status.pending else NOTE
        out.print(
            Text(
                f"\nNo worker is alive{': outcomes wait' if status.pending else ''}. "
                f"Start some with `swarm up --swarm {status.name}`.",
                style,
            )
        )


def worst(agents: Sequence[AgentStatus]) -> Sequence[AgentStatus]:
    """All agents of a small swarm; of a large one those with losses, then those for which most waits."""
    if len(agents) <= MAX_SHOWN:
        return agents
    return sorted(agents, key=lambda agent: (-agent.lost, -agent.pending, -agent.dead, agent.name))[:FEW_SHOWN]


def _rest(agents: Sequence[AgentStatus], shown: int) -> str:
    roles = len({agent.role for agent in agents})
    waiting = sum(agent.pending > 0 for agent in agents)
    silenced = sum(agent.verdict == Verdict.QUARANTINED for agent in agents)
    return (
        f"{shown} of {count(len(agents), 'agent')} in {count(roles, 'role')}, by what waits. Outcomes wait for "
        f"{count(waiting, 'agent')}, {silenced:,} in quarantine. `swarm status --all` shows every agent."
    )


def agents_table(agents: Sequence[AgentStatus]) -> Table:
    """One row for each agent, in the order given; what should be zero has a column only where it is not."""
    alarms = [name for name in ("dead", "lost") if any(getattr(agent, name) for agent in agents)]
    taken_back = [name for name in ("rewound", "refused") if any(getattr(agent, name) for agent in agents)]
    figures = ("gen.", "accepted", "learned", "waiting", "oldest", "open", *taken_back, *alarms)
    made = table("agent", "role", "trust", *figures, right=figures)
    # A name is there to be copied.
    made.columns[0].no_wrap = True
    for agent in agents:
        counts = (agent.generation, agent.accepted, agent.consolidated, agent.pending)
        made.add_row(
            agent.name,
            agent.role,
            Text(agent.verdict, BAD if agent.verdict == Verdict.QUARANTINED else ""),
            *(f"{n:,}" for n in counts),
            "" if agent.oldest_pending_s is None else duration(agent.oldest_pending_s),
            f"{agent.open:,}",
            *(f"{getattr(agent, name):,}" for name in taken_back),
            *(_alarm(getattr(agent, name)) for name in alarms),
        )
    return made


def _workers(beats: Sequence[WorkerBeat]) -> Table:
    figures = ("processes", "busy", "done", "heartbeat")
    roles = ["role"] if any(beat.role for beat in beats) else []
    made = table("worker", *roles, "state", *figures, right=figures)
    now_s = time.time()
    for beat in beats:
        state = Text(plain(beat.fault), BAD) if beat.fault else Text("running" if beat.consuming else "draining")
        age = f"{duration(max(0.0, now_s - beat.beat_s))} ago"
        made.add_row(
            beat.name,
            *(beat.role for _ in roles),
            state,
            f"{beat.concurrency:,}",
            f"{beat.active:,}",
            f"{beat.done:,}",
            age,
        )
    return made


def _supervision(status: SwarmStatus) -> Text:
    """Who looks after them, and how many pools are in trouble."""
    if not status.supervisors:
        return Text("\nNo supervisor is alive: a worker that dies stays dead (swarm up starts one).", NOTE)
    text = Text(f"\nSupervised on {', '.join(beat.host for beat in status.supervisors)}.", NOTE)
    failing = [pool.pool for beat in status.supervisors for pool in beat.pools if pool.failures]
    return text.append(f" Failing: {', '.join(failing)} (swarm workers list).", BAD) if failing else text


def _bank(status: SwarmStatus) -> str:
    behind = f", {count(status.unmerged_agents, 'agent')} to merge" if status.unmerged_agents else ""
    return f"{count(status.patterns, 'pattern')}, version {status.bank_version}{behind}"


def _outcomes(status: SwarmStatus) -> Text:
    accepted = sum(agent.accepted for agent in status.agents)
    learned = sum(agent.consolidated for agent in status.agents)
    text = Text(f"{accepted:,} accepted, {learned:,} learned, {status.pending:,} waiting, ")
    return text.append(f"{status.lost:,} lost", BAD if status.lost else "")


def _alarm(n: int) -> Text:
    return Text(f"{n:,}", BAD if n else NOTE)
