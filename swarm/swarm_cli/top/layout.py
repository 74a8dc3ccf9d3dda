"""How `swarm top` looks: pure functions from a state and its rates to what rich draws."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swarm.services.status import AgentStatus, SwarmStatus
from swarm.sona.standing import Verdict
from swarm.store.supervisors import PoolReport
from swarm.store.tasks import RoleCounts
from swarm.store.workers import WorkerBeat, worker_name
from swarm_cli.demo.layout import sparkline
from swarm_cli.output import BAD, NOTE, OK, count, duration, plain, table
from swarm_cli.top.gateway import GatewayLook
from swarm_cli.top.pace import SAMPLES, Pace

_LINES_AROUND = 9
"""Header, the four lines of figures, and the blank ones."""
_TRUST = {Verdict.QUARANTINED.value: BAD, Verdict.PROBATION.value: "yellow", Verdict.TRUSTED.value: OK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Everything that one picture shows."""

    status: SwarmStatus
    pace: Pace
    at_s: float
    """When it was so, in seconds since the epoch."""
    redis_url: str
    """Without user and password."""
    height: int | None
    """Lines of the terminal; None shows every row."""
    alarm: str = ""
    """Why there is no newer state; empty when there is."""
    gateway: GatewayLook | None = None
    hint: str = ""


def render(frame: Frame) -> RenderableType:
    """The picture: figures of the swarm, then the pools, the roles with tasks, and as many agents as there is room."""
    status = frame.status
    parts: list[RenderableType] = [_header(frame), _figures(frame), ""]
    pools = _pools(status, frame.at_s)
    tasks = _tasks(status.tasks)
    used = _LINES_AROUND + sum(made.row_count + 3 for made in (pools, tasks) if made.row_count)
    parts += [part for made in (pools, tasks) if made.row_count for part in (made, "")]
    if not status.workers:
        parts += [Text(f"No worker is alive: swarm up --swarm {status.name}", BAD if status.pending else NOTE), ""]
        used += 2
    parts.append(_agents(frame, None if frame.height is None else max(1, frame.height - used - 2)))
    return Group(*parts)


def _header(frame: Frame) -> Table:
    header = Table.grid(expand=True)
    header.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    header.add_column(justify="right", no_wrap=True)
    embedder = frame.status.embedder or "no embedder yet"
    title = Text.assemble((f"swarm {frame.status.name}", "bold"), (f"  {embedder} · {frame.redis_url}", NOTE))
    header.add_row(title, Text(time.strftime("%H:%M:%S", time.localtime(frame.at_s)), NOTE))
    header.add_row(Text(frame.alarm, BAD) if frame.alarm else _gateway(frame.gateway), Text(frame.hint, NOTE))
    return header


def _gateway(gateway: GatewayLook | None) -> Text:
    if gateway is None:
        return Text("no gateway on this machine", NOTE)
    return Text(str(gateway), BAD if gateway.fault else NOTE)


def _figures(frame: Frame) -> Table:
    status, rates, recent = frame.status, frame.pace.rates, frame.pace.recent
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=NOTE, no_wrap=True, min_width=8)
    for _ in range(2):
        grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True, width=SAMPLES)
    grid.add_column(overflow="fold")
    accepted = sum(agent.accepted for agent in status.agents)
    learned = sum(agent.consolidated for agent in status.agents)
    done = sum(tasks.succeeded for tasks in status.tasks)
    for name, what, total, rest in (
        ("accepted", "accepted", accepted, _waiting(status)),
        ("learned", "consolidated", learned, Text(_bank(status))),
        ("tasks", "succeeded", done, _queues(status)),
    ):
        rate = None if rates is None else getattr(rates, what)
        past = [getattr(one, what) for one in recent]
        curve = Text(sparkline(past, max(past, default=0.0)).rjust(SAMPLES), "green" if any(past) else NOTE)
        grid.add_row(name, Text(f"{total:,}", "bold"), _rate(rate), curve, rest)
    return grid


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-/s"
    return f"{rate:,.0f}/s" if rate >= 100.0 or rate == 0.0 else f"{rate:.1f}/s"


def _waiting(status: SwarmStatus) -> Text:
    oldest = max((agent.oldest_pending_s or 0.0 for agent in status.agents), default=0.0)
    text = Text(f"{status.pending:,} waiting" + (f", {duration(oldest)}" if status.pending else ""))
    return text.append(f", {status.lost:,} lost", BAD) if status.lost else text


def _bank(status: SwarmStatus) -> str:
    behind = f", {count(status.unmerged_agents, 'agent')} to merge" if status.unmerged_agents else ""
    return f"{count(status.patterns, 'pattern')}{behind}"


def _queues(status: SwarmStatus) -> Text:
    waiting = sum(tasks.waiting + tasks.retrying for tasks in status.tasks)
    running, dead = (sum(getattr(tasks, name) for tasks in status.tasks) for name in ("running", "dead"))
    text = Text(f"{waiting:,} waiting, {running:,} running")
    return text.append(f", {dead:,} dead", BAD) if dead else text


def _pools(status: SwarmStatus, at_s: float) -> Table:
    """One row for each worker that beats, and for each pool that a supervisor wants and that has none."""
    figures = ("processes", "busy", "done", "heartbeat")
    made = table("pool", "state", *figures, "supervisor", right=figures)
    care = {worker_name(report.pool, beat.host): report for beat in status.supervisors for report in beat.pools}
    hosts = {beat.host for beat in status.supervisors}
    for beat in status.workers:
        report = care.pop(worker_name(beat.pool, beat.host), None)
        made.add_row(
            beat.name,
            _worker_state(beat),
            f"{beat.concurrency:,}" + (f"→{report.wanted}" if report and report.wanted != beat.concurrency else ""),
            f"{beat.active:,}",
            f"{beat.done:,}",
            duration(max(0.0, at_s - beat.beat_s)),
            _care(report) if beat.host in hosts else Text("none: who dies stays dead", BAD),
        )
    for name, report in care.items():
        state = Text("failing", BAD) if report.failures else Text("asleep" if not report.wanted else "starting", NOTE)
        made.add_row(name, state, f"0→{report.wanted}" if report.wanted else "0", "", "", "", _care(report))
    return made


def _worker_state(beat: WorkerBeat) -> Text:
    if beat.fault:
        return Text(plain(beat.fault, 40), BAD)
    return Text("running", OK) if beat.consuming else Text("draining", "yellow")


def _care(report: PoolReport | None) -> Text:
    if report is None:
        return Text("")
    if report.failures:
        return Text(f"failed {count(report.failures, 'time')}: {plain(report.fault, 40)}", BAD)
    return Text(plain(report.why, 40), NOTE)


def _tasks(roles: Sequence[RoleCounts]) -> Table:
    figures = ("waiting", "oldest", "retrying", "running", "succeeded", "dead")
    made = table("tasks of", *figures, right=figures)
    for role in roles:
        made.add_row(
            role.role,
            f"{role.waiting:,}",
            "" if role.oldest_waiting_s is None else duration(role.oldest_waiting_s),
            *(f"{getattr(role, name):,}" for name in figures[2:-1]),
            Text(f"{role.dead:,}", BAD if role.dead else ""),
        )
    return made


def _agents(frame: Frame, rows: int | None) -> RenderableType:
    agents = frame.status.agents
    if not agents:
        return Text("No agents yet. `swarm demo` shows some at work.", NOTE)
    figures = ("gen.", "accepted", "per s", "learned", "waiting", "oldest")
    alarms = [name for name in ("dead", "lost") if any(getattr(agent, name) for agent in agents)]
    made = table("agent", "role", "trust", *figures, *alarms, right=(*figures, *alarms))
    rows = len(agents) if rows is None or len(agents) <= rows else max(1, rows - 1)
    for agent in _busiest(agents, frame.pace)[:rows]:
        made.add_row(*_agent(agent, frame.pace), *(_alarm(getattr(agent, name)) for name in alarms))
    hidden = len(agents) - rows
    return Group(made, Text(f"… {hidden:,} more: swarm status --all", NOTE)) if hidden > 0 else made


def _busiest(agents: Sequence[AgentStatus], pace: Pace) -> list[AgentStatus]:
    """Who loses something first, then who reports most."""
    return sorted(agents, key=lambda agent: (-agent.lost, -pace.of_agent(agent.name), -agent.pending, agent.name))


def _agent(agent: AgentStatus, pace: Pace) -> Iterable[str | Text]:
    rate = pace.of_agent(agent.name)
    return (
        agent.name,
        agent.role,
        Text(agent.verdict, _TRUST.get(agent.verdict, "")),
        f"{agent.generation:,}",
        f"{agent.accepted:,}",
        f"{rate:,.1f}" if rate else "",
        f"{agent.consolidated:,}",
        Text(f"{agent.pending:,}", "" if agent.pending else NOTE),
        "" if agent.oldest_pending_s is None else duration(agent.oldest_pending_s),
    )


def _alarm(n: int) -> Text:
    return Text(f"{n:,}", BAD if n else NOTE)
