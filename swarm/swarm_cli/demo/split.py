"""Who meets what: seeds for the library agent, a stream of tasks dealt to the agents, and what is held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.errors import BoundsError, InputError
from swarm_cli.demo.corpus import Corpus
from swarm_cli.demo.request import Request

SEEDS_PER_LABEL = 5
HELD_OUT_SHARE = 0.2
KEPT_AWAY_SHARE = 1 / 6
DEFAULT_TASKS = 9_600
"""Default length of the stream in whole passes; a single longer pass is cut at `MAX_DEFAULT_TASKS`."""
MAX_DEFAULT_TASKS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A request that comes to one of the agents."""

    agent_index: int
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The input of one run, the same for the same corpus, number of agents, seed and number of tasks."""

    labels: tuple[str, ...]
    """What the stream asks for, sorted; held-out requests of other labels have no answer to be found."""
    seeds: tuple[Request, ...]
    """What everybody knows before the stream: a few examples of every label."""
    stream: tuple[Task, ...]
    own_share_tasks: int
    """So many tasks at the beginning of the stream go only to the agents that own their labels."""
    held_out: tuple[Request, ...]
    kept_away: tuple[frozenset[str], ...]
    """By agent: the labels that it does not meet in the whole stream, so that only others can teach it these."""

    def unseen_labels(self, agent_index: int, tasks_done: int | None = None) -> frozenset[str]:
        """Labels that the agent has not met in the first `tasks_done` tasks of the stream (None: in all)."""
        met = {task.request.label for task in self.stream[:tasks_done] if task.agent_index == agent_index}
        return frozenset(self.labels) - met


def make_split(corpus: Corpus, agents: int, seed: int, tasks: int | None = None) -> Split:
    """Deal a corpus to `agents` agents.

    The stream repeats all training requests, shuffled anew in every pass, and is cut at `tasks`. In its first
    third (first half if one pass is enough) a request goes to an agent that owns its label; after that it goes
    to any agent except those from whom the label is kept away.

    Parameters
    ----------
    corpus : Corpus
        Without a held-out part of its own, a fifth of each label is held out.
    agents : int
        How many agents, at least 1.
    seed : int
        Not negative; decides everything that is random.
    tasks : int, optional
        Length of the stream, at least 1; by default as many whole passes as fit into `DEFAULT_TASKS`.

    Raises
    ------
    BoundsError
        If a number is out of its bounds.
    InputError
        If there is nothing to hold out.
    """
    for name, value, lowest in (("agents", agents, 1), ("seed", seed, 0), ("tasks", 1 if tasks is None else tasks, 1)):
        if value < lowest:
            raise BoundsError(f"{name} must be at least {lowest}, got {value}")
    rng = np.random.default_rng(seed)
    requests, held_out = corpus.requests, corpus.held_out
    if held_out is None:
        requests, held_out = _hold_out(_by_label(requests, rng))
    if not held_out:
        raise InputError(f"{corpus.name}: nothing can be held out, no label has two requests")
    seeds, train = _take_seeds(_by_label(requests, rng))
    labels = corpus.labels
    owners, kept_away = _deal(labels, agents, rng)
    passes = _passes(train, _stream_length(len(train), tasks), rng)
    own_share = len(passes) // (3 if len(passes) > len(train) else 2)
    return Split(
        labels=labels,
        seeds=seeds,
        stream=_assign(passes, own_share, owners, kept_away, rng),
        own_share_tasks=own_share,
        held_out=held_out,
        kept_away=kept_away,
    )


def _by_label(requests: Sequence[Request], rng: np.random.Generator) -> dict[str, list[Request]]:
    """Requests of each label in random order; labels sorted."""
    groups: dict[str, list[Request]] = defaultdict(list)
    for position in rng.permutation(len(requests)):
        groups[requests[position].label].append(requests[position])
    return dict(sorted(groups.items()))


def _hold_out(groups: dict[str, list[Request]]) -> tuple[tuple[Request, ...], tuple[Request, ...]]:
    """(to learn from, held out); a label with a single request keeps it."""
    train: list[Request] = []
    held_out: list[Request] = []
    for requests in groups.values():
        count = min(max(1, round(HELD_OUT_SHARE * len(requests))), len(requests) - 1)
        held_out += requests[:count]
        train += requests[count:]
    return tuple(train), tuple(held_out)


def _take_seeds(groups: dict[str, list[Request]]) -> tuple[tuple[Request, ...], tuple[Request, ...]]:
    """(seeds, the rest)."""
    seeds = [request for requests in groups.values() for request in requests[:SEEDS_PER_LABEL]]
    rest = [request for requests in groups.values() for request in requests[SEEDS_PER_LABEL:]]
    # A corpus so small that the seeds are all of it still has a stream: the seeds come again as tasks.
    return tuple(seeds), tuple(rest or seeds)


def _deal(
    labels: tuple[str, ...], agents: int, rng: np.random.Generator
) -> tuple[dict[str, list[int]], tuple[frozenset[str], ...]]:
    """(owners of each label, labels kept away from each agent): round robin after a shuffle.

    With more agents than labels a label has several owners. The owners of a label always meet it, so nothing
    is kept away from all; the others' sixths begin at evenly spaced places of the shuffled labels.
    """
    order = [labels[position] for position in rng.permutation(len(labels))]
    owners: dict[str, list[int]] = {label: [] for label in order}
    for turn in range(max(agents, len(order))):
        owners[order[turn % len(order)]].append(turn % agents)
    count = round(KEPT_AWAY_SHARE * len(order))
    kept_away = []
    for agent in range(agents):
        start = agent * len(order) // agents
        others = [label for label in order[start:] + order[:start] if agent not in owners[label]]
        kept_away.append(frozenset(others[:count]))
    return owners, tuple(kept_away)


def _stream_length(train: int, tasks: int | None) -> int:
    if tasks is not None:
        return tasks
    return min(max(1, DEFAULT_TASKS // train) * train, MAX_DEFAULT_TASKS)


def _passes(train: tuple[Request, ...], length: int, rng: np.random.Generator) -> list[Request]:
    stream: list[Request] = []
    while len(stream) < length:
        stream += [train[position] for position in rng.permutation(len(train))]
    return stream[:length]


def _assign(
    requests: list[Request],
    own_share: int,
    owners: dict[str, list[int]],
    kept_away: tuple[frozenset[str], ...],
    rng: np.random.Generator,
) -> tuple[Task, ...]:
    everyone = range(len(kept_away))
    welcome = {label: [agent for agent in everyone if label not in kept_away[agent]] for label in owners}
    stream = []
    for position, request in enumerate(requests):
        candidates = owners[request.label] if position < own_share else welcome[request.label]
        stream.append(Task(agent_index=candidates[rng.integers(len(candidates))], request=request))
    return tuple(stream)
