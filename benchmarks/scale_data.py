"""A large bank of made-up patterns: clustered unit vectors, six actions a centre, a quarter failures, with their texts.

The same for one size whoever asks, a page at a time, so that no process must hold it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from swarm.sona.clusters import Cluster, Exemplar, Tally
from swarm.sona.vectors import Vector, unit_rows
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_cluster

DIM = 256
NOISE = 1.0
"""Length of what is added to a centre: a pattern has cosine .71 with its centre, .5 with others of it."""
PER_CENTRE = 400
ACTIONS = 6
"""Of a centre. The first is tried most often; one pattern in seven is about an action from elsewhere."""
_PAGE = 10_000
_WRITTEN = 1_000


def agents_of(n: int) -> int:
    """How many agents a bank of `n` patterns comes from."""
    return max(40, min(10_000, n // 100))


def filters_of(n: int) -> dict[str, list[str] | None]:
    """Agents that made about so many of the rows; a quarter of the rows is of two agents."""
    agents = agents_of(n)
    tenth, few = max(1, round(0.08 * agents)), max(1, round(0.004 * agents))
    return {
        "all": None,
        "10pct": [f"agent-{number}" for number in range(tenth)],
        "0.5pct": [f"agent-{number}" for number in range(few)],
    }


def queries(n: int, count: int) -> Vector:
    """Queries like the patterns of a bank of `n`, of shape (count, DIM)."""
    rng = np.random.default_rng(99)
    centres = _centres(n)
    # One by one: the first are the same, however many are asked for.
    return np.concatenate([_near(centres[rng.integers(len(centres), size=1)], rng) for _ in range(count)])


def patterns(n: int) -> Iterator[Cluster]:
    """The patterns of a bank of `n`."""
    centres, rng = _centres(n), np.random.default_rng(1)
    for start in range(0, n, _PAGE):
        yield from _page(centres, rng, start, min(_PAGE, n - start), agents_of(n))


def fill(client: Client, keys: SwarmKeys, n: int) -> None:
    """Write the patterns as the bank of a swarm that was merged once."""
    pipeline = client.pipeline(transaction=False)
    for number, pattern in enumerate(patterns(n), 1):
        pipeline.hset(keys.bank, pattern.id, encode_cluster(pattern))
        if number % _WRITTEN == 0:
            pipeline.execute()
    pipeline.execute()


def _centres(n: int) -> Vector:
    rng = np.random.default_rng(0)
    return unit_rows(rng.standard_normal((max(8, n // PER_CENTRE), DIM)).astype(np.float32))


def _near(centres: Vector, rng: np.random.Generator) -> Vector:
    noise = NOISE / np.sqrt(DIM) * rng.standard_normal(centres.shape)
    return unit_rows((centres + noise).astype(np.float32))


def _page(centres: Vector, rng: np.random.Generator, start: int, size: int, agents: int) -> Iterator[Cluster]:
    places = rng.integers(len(centres), size=size)
    vectors = _near(centres[places], rng).astype(np.float64)
    outcomes, worked = rng.integers(1, 9, size=size), rng.random(size) >= 0.25
    actions = ACTIONS * places + np.minimum(rng.integers(ACTIONS, size=size), rng.integers(ACTIONS, size=size))
    strayed = rng.random(size) < 0.15
    actions[strayed] = rng.integers(ACTIONS * len(centres), size=int(strayed.sum()))
    owners = rng.integers(agents, size=(size, 2))
    hashes = rng.integers(2**62, size=(size, 3))
    for row in range(size):
        n = float(outcomes[row])
        quality = n if worked[row] else 0.0
        names = [f"agent-{owner}" for owner in owners[row, : 2 if row % 4 == 0 else 1].tolist()]
        parts = len(set(names))
        at_s = 1.79e9 + start + row
        asked = f"rename column {hashes[row, 0] % 9999} of table {places[row]} in the report of week {row % 52}"
        yield Cluster(
            id=f"{hashes[row, 0]:016x}",
            action=f"{int(actions[row]) * 2654435761:016x}",
            positive=bool(worked[row]),
            response=f"plan {actions[row]}: rename the column, then refresh the views that read from it",
            sum_embedding=0.9 * n * vectors[row],
            n=n,
            sum_quality=quality,
            sum_quality2=quality,
            agents={name: Tally(n=n / parts, sum_quality=quality / parts) for name in names},
            task_types={"CodeGen": n},
            exemplars=(
                Exemplar(
                    text=asked,
                    quality=float(worked[row]),
                    agent=names[0],
                    trajectory_id=f"{hashes[row, 1]:016x}{hashes[row, 2]:016x}",
                    at_s=at_s,
                ),
            ),
            first_s=at_s,
            last_s=at_s + 1.5,
            label="rename · column · table",
            confirmed=bool(row % 10),
        )
