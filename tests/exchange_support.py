"""What the tests of exports share: two agents that have learned from texts, in a swarm that lives as long as needed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from swarm_support import EMBEDDER, a_registration, make_swarm, some_outcome

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.clusters import action_of
from swarm.store.connection import connect
from swarm.store.erase import erase_swarm

VERBS = ("parse", "read", "rename", "draw", "sort", "send")
THINGS = ("a date", "the log of yesterday", "a column of a table", "red circles")
TASKS = tuple(f"{verb} {thing}" for thing in THINGS for verb in VERBS)
ROUND = 120
AGENTS = ("ada", "bob")


@contextmanager
def another_swarm(redis_url: str, state_dir: Path, name: str = "") -> Iterator[tuple[Swarm, Background]]:
    """An empty swarm with its background work, which is erased afterwards."""
    settings = Settings(
        name=name or f"t-{uuid.uuid4().hex[:12]}",
        redis_url=redis_url,
        state_dir=state_dir,
        embedder=EMBEDDER,
        consolidate_delay=0.0,
    )
    with connect(settings) as client:
        swarm = make_swarm(settings, client)
        yield swarm, Background(settings, client)
        swarm.close()
        erase_swarm(client, swarm.keys)


def told(swarm: Swarm, agent: str, first: int, last: int) -> None:
    """Outcomes FIRST..LAST-1: each task by turns with a right and with a wrong response."""
    for number in range(first, last):
        task = TASKS[number % len(TASKS)]
        is_right = number % 3 != 2
        # What helps hangs on the verb alone, and that is what the adapter can learn.
        response = f"{'the way' if is_right else 'a wrong way'} to {task.split()[0]}"
        text = f"{task}, case {number // len(TASKS)} of {agent}"
        outcome = replace(
            some_outcome(number, agent),
            embedding=swarm.embed(text),
            text=text,
            response=response,
            action=action_of(response),
            quality=0.9 if is_right else 0.1,
            latency_ms=100.0 + number,
            cost=0.25,
        )
        swarm.record(outcome, f"{agent}-{number}")


def learn(swarm: Swarm, background: Background, rounds: int, start: int = 0) -> None:
    """Let both agents learn from outcomes of their own, `ROUND` of each in a round."""
    for one in range(start, start + rounds):
        for row, agent in enumerate(AGENTS):
            if swarm.agents.registration(agent) is None:
                swarm.register(agent, "coder", a_registration().config)
            told(swarm, agent, 10_000 * row + ROUND * one, 10_000 * row + ROUND * (one + 1))
            background.drain(0.0)
