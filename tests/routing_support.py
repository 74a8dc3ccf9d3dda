"""What the tests of the router share: made-up tasks of two kinds, which two routes are good at."""

from __future__ import annotations

import numpy as np

from swarm.sona.routing.model import RouteEstimate
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector, unit

DIM = 32


def expected(
    quality: float,
    *,
    error: float = 0.05,
    cost: float | None = 1.0,
    latency_ms: float | None = 100.0,
    outcomes: float = 10.0,
) -> RouteEstimate:
    return RouteEstimate(quality=quality, quality_error=error, cost=cost, latency_ms=latency_ms, outcomes=outcomes)


def some_task(number: int) -> tuple[Vector, str]:
    """Embedding and text of a task; odd ones are long lists of figures, even ones short questions."""
    rng = np.random.default_rng(number)
    text = "Which city is it?" if number % 2 == 0 else "Add " + ", ".join(map(str, range(20 + number % 7))) + "."
    return unit(rng.standard_normal(DIM).astype(np.float32)), text


def routed(number: int, route: str, *, agent: str = "coder-1", quality: float | None = None) -> Trajectory:
    """The outcome of a task on a route: `talker` is good at short questions, `counter` at lists of figures."""
    embedding, text = some_task(number)
    fits = (route == "talker") == (number % 2 == 0)
    return Trajectory(
        id=f"{agent}-{route}-{number}",
        embedding=embedding,
        quality=(1.0 if fits else 0.0) if quality is None else quality,
        route=route,
        cost=0.02 if route == "counter" else 0.01,
        latency_ms=200.0 if route == "counter" else 100.0,
        text=text,
        agent=agent,
        at_s=1000.0 + number,
    )
