"""Outcomes under load: senders in processes of their own, as fast as they can or at a given rate."""

from __future__ import annotations

import multiprocessing
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial

import numpy as np

from swarm.embed import HashedEmbedder
from swarm.errors import QueueFullError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.trajectory import Step, Trajectory
from swarm.store.connection import connect
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory

DIM = 256
BATCH = 100
SENDERS = 4
"""Each waits for its answer, so that two could not keep two cores and a Redis busy."""
_DISTINCT = 1_000
_READY_S = 3.0
"""Processes begin at one moment, so long after they were asked to."""

Sender = Callable[[Settings, float, float, int], list[float]]
"""Sends from one moment to another; seconds from when each batch was due to when it was accepted."""


def some_outcomes(agent: str, seed: int) -> list[Trajectory]:
    """Outcomes of three steps each, about 1,500 bytes as a record."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((_DISTINCT, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    steps = tuple(Step(reward=0.5, node=f"tool-{j}", latency_ms=1.0) for j in range(3))
    return [
        Trajectory(
            id=uuid.uuid4().hex,
            embedding=vector,
            quality=float(number % 4 > 0),
            action=f"use tool {number % 50}",
            response=f"use tool {number % 50}",
            text=f"decode document number {number} of a mailbox",
            task_type="CodeGen",
            agent=agent,
            at_s=time.time(),
            route="small",
            latency_ms=3.0,
            cost=0.01,
            steps=steps,
        )
        for number, vector in enumerate(vectors)
    ]


def send_raw(settings: Settings, begin: float, end: float, sender: int, batch: int = BATCH) -> list[float]:
    """The floor: XADD of the same bytes, in a pipeline of `batch`, with no receipt and no idempotency."""
    records = [encode_trajectory(outcome) for outcome in some_outcomes("raw", sender)]
    key = f"{{{settings.name}}}:raw-{sender}"
    waits: list[float] = []
    with connect(settings) as client:
        client.ping()
        time.sleep(max(0.0, begin - time.time()))
        position = 0
        while (started := time.time()) < end:
            pipeline = client.pipeline(transaction=False)
            for record in records[position : position + batch]:
                pipeline.xadd(key, {"r": record})
            pipeline.execute()
            waits.append(time.time() - started)
            position = (position + batch) % (_DISTINCT - batch + 1)
        client.unlink(key)
    return waits


def send_outcomes(
    settings: Settings, begin: float, end: float, sender: int, batch: int = BATCH, interval_s: float = 0.0
) -> list[float]:
    """Ours: `Swarm.record_many`, a batch at once, or one each `interval_s`; refused ones are sent again when told to.

    With an interval a batch that is late counts from when it was due, so that a slow service cannot hide its queue.
    """
    with connect(settings) as client, closing(Swarm(settings, client=client, embedder=HashedEmbedder(DIM))) as swarm:
        agent = f"sender-{sender}"
        swarm.register(agent, "sender")
        outcomes = some_outcomes(agent, sender)
        waits: list[float] = []
        time.sleep(max(0.0, begin - time.time()))
        due, position, number = begin, 0, 0
        while (now := time.time()) < end:
            if interval_s:
                time.sleep(max(0.0, due - now))
            else:
                due = now
            prefix = f"{uuid.uuid4().hex[:12]}-"
            chosen = outcomes[position : position + batch]
            while not _accepted(swarm, chosen, [f"{prefix}{n}" for n in range(batch)], end):
                pass
            waits.append(time.time() - due)
            due += interval_s
            position, number = (position + batch) % (_DISTINCT - batch + 1), number + 1
        return waits


def _accepted(swarm: Swarm, outcomes: Sequence[Trajectory], keys: Sequence[str], end: float) -> bool:
    try:
        # The keys make them different outcomes, though each trajectory comes again and again.
        swarm.record_many(outcomes, keys)
        return True
    except QueueFullError as error:
        time.sleep(min(error.retry_after_s, max(0.0, end - time.time())))
        return time.time() >= end


def at_once(sender: Sender, settings: Settings, seconds: float, senders: int = SENDERS) -> list[list[float]]:
    """What each of several senders found that ran at the same time for so many seconds."""
    _tidy(settings)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=senders, mp_context=context) as pool:
        list(pool.map(_warm, range(senders)))
        begin = time.time() + _READY_S
        return list(pool.map(partial(_run, sender, settings, begin, begin + seconds), range(senders)))


def _tidy(settings: Settings) -> None:
    """What an earlier measurement left must not be rewritten, or sent again, during this one."""
    shutil.rmtree(settings.state_dir / "sent", ignore_errors=True)
    with connect(settings) as client:
        erase_swarm(client, SwarmKeys(settings.name))


def _warm(_: int) -> None:
    # Each process of the pool takes one, and has loaded this module by the time that the senders begin.
    time.sleep(0.5)


def _run(sender: Sender, settings: Settings, begin: float, end: float, number: int) -> list[float]:
    return sender(settings, begin, end, number)


def consolidated(settings: Settings) -> int:
    """Outcomes of all senders that are in a committed generation."""
    with connect(settings) as client:
        keys = SwarmKeys(settings.name)
        found = [client.hget(keys.agent(f"sender-{number}").state, "processed") for number in range(SENDERS)]
    return sum(int(value or 0) for value in found)
