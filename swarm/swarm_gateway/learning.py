"""Consolidation at once: workers are asked, and what came of it is looked up in what they committed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from anyio import to_thread
from fastapi import Request

from swarm.services.guard import GuardedSwarm
from swarm.services.swarm import Swarm
from swarm.services.turn import registered
from swarm_gateway.gateway import Gateway
from swarm_gateway.waiting import until_ended

LEARN_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an agent is with `wanted` outcomes: so many have been `processed`, and who finds them."""

    wanted: int
    processed: int
    generation: int
    merged_generation: int

    @property
    def has_ended(self) -> bool:
        """Whether a generation holds all of them, and the bank that generation."""
        return self.processed >= self.wanted and self.merged_generation >= self.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What became of it: so many outcomes were consolidated meanwhile, and the agent's generation by now.

    `update` says what became of new weights: promoted, refused, or "" when none were tried; `why` says more.
    """

    agent: str
    outcomes: int
    generation: int
    is_searchable: bool
    update: str
    why: str


async def learn_now(agent: str, asker: GuardedSwarm, request: Request, here: Gateway) -> Learned:
    """Have what an agent reported consolidated and merged now; waits for it for `LEARN_WAIT_S` at most.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    """
    first = await to_thread.run_sync(partial(_progress, here.swarm, agent))
    if first.processed < first.wanted:
        await to_thread.run_sync(partial(_ask_worker, here, agent))
    look = partial(_progress, here.swarm, agent, first.wanted)
    last = await until_ended(look, LEARN_WAIT_S, request, here, known=first)
    versions = await to_thread.run_sync(asker.history, agent)
    return Learned(
        agent=agent,
        outcomes=last.processed - first.processed,
        generation=last.generation,
        is_searchable=last.has_ended,
        update=versions[0].update if versions else "",
        why=versions[0].why if versions else "",
    )


def _progress(swarm: Swarm, agent: str, wanted: int | None = None) -> Progress:
    registered(agent, swarm.agents)
    state, merged = swarm.agents.state(agent), swarm.bank.merged([agent]).get(agent)
    return Progress(
        wanted=state.accepted if wanted is None else wanted,
        processed=state.processed,
        generation=state.generation,
        merged_generation=0 if merged is None else merged.generation,
    )


def _ask_worker(here: Gateway, agent: str) -> None:
    """Send the nudge that the sweep sends when the agent is due; the merge follows by itself."""
    # Celery is not needed for anything else here, and takes its time and memory.
    from swarm_workers.app import create_app
    from swarm_workers.dispatch import Dispatcher

    dispatch = Dispatcher(create_app(here.settings), here.settings.socket_timeout)
    try:
        dispatch("consolidate", agent)
    finally:
        dispatch.close()
