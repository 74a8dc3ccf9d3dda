"""What became of everything that `bench_chaos` sent: counted from what Redis holds, against the senders' journals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.chaos_journal import Sent
from swarm.errors import UnknownIdError
from swarm.services.swarm import Swarm
from swarm.services.tasks import TaskView
from swarm.store.reply import to_entries
from swarm.wire.task_records import TaskState

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Sums over outcomes and tasks. `lost` and `doubled` must be 0."""

    sent: int
    """Under so many keys something was tried to be sent."""
    accepted: int
    """So many of them have a receipt."""
    effects: int
    """Outcomes that are learned, and tasks that have ended with the right result."""
    lost: int
    """Accepted, and without effect."""
    doubled: int
    """With more than one effect."""
    unreported: int
    """Tasks that succeeded, and whose outcome no agent reported: their hooks failed open."""


def account(swarm: Swarm, outcomes: Mapping[str, Sent], tasks: Mapping[str, Sent]) -> Account:
    """Count what is there; nothing may be under way any more.

    Parameters
    ----------
    outcomes, tasks : what the agents, and the submitters, say of themselves
    """
    places = {agent: Counter(_keys(swarm, agent)) for agent in swarm.roles()}
    learned = {agent: round(sum(cluster.n for cluster in swarm.agents.clusters(agent))) for agent in places}
    dead = {agent: state.dead for agent, state in swarm.agents.states(list(places)).items()}
    # Every entry of a stream is in one cluster of its agent, or was unusable: less is a loss, more an effect too many.
    gaps = [sum(places[agent].values()) - learned[agent] - dead[agent] for agent in places]
    reported = Counter[str]()
    for counted in places.values():
        reported.update(counted)
    submitted = {task for sent in tasks.values() for task in sent.accepted}
    views = {task: _view(swarm, task) for sent in tasks.values() for task in sent.tried}
    ended = {task for task, view in views.items() if view is not None and _is_right(view)}
    accepted = {key for sent in outcomes.values() for key in sent.accepted}
    return Account(
        sent=sum(len(sent.tried) for sent in (*outcomes.values(), *tasks.values())),
        accepted=len(accepted) + len(submitted),
        effects=sum(learned.values()) + len(ended),
        lost=len(accepted - reported.keys()) + len(submitted - ended) + sum(max(0, gap) for gap in gaps),
        doubled=sum(n - 1 for n in reported.values()) + sum(max(0, -gap) for gap in gaps),
        unreported=len(ended - reported.keys()),
    )


def _keys(swarm: Swarm, agent: str) -> Iterator[str]:
    """The idempotency key of every entry of an agent's stream."""
    stream, after = swarm.keys.agent(agent).stream, "-"
    while entries := to_entries(swarm.client.xrange(stream, min=after, max="+", count=_PAGE)):
        for _, fields in entries:
            yield fields[b"k"].decode()
        after = f"({entries[-1][0]}"


def _view(swarm: Swarm, task: str) -> TaskView | None:
    try:
        return swarm.tasks.find(task)
    except UnknownIdError:
        return None


def _is_right(view: TaskView) -> bool:
    return view.state is TaskState.SUCCEEDED and view.result == 2 * view.record.payload["n"]
