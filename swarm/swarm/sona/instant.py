"""Loop A: one step of the micro tier for one outcome, in the caller, without I/O."""

from __future__ import annotations

import numpy as np

from swarm.sona.adapter import Adapter, delta_of
from swarm.sona.config import SonaConfig
from swarm.sona.index import PatternIndex
from swarm.sona.ranking import outcome_gradient
from swarm.sona.vectors import Vector

CANDIDATES = 64


def outcome_step(
    adapter: Adapter, index: PatternIndex, x: Vector, action: str, quality: float, config: SonaConfig
) -> bool:
    """Move the micro tier so that the outcome of `action` for the query `x` (d,) becomes likelier.

    The clusters that compete are the nearest `CANDIDATES` of successes and all those of the action itself.
    Returns False, and changes nothing, if no cluster of successes is about that action.
    """
    y, length = _adapted(adapter, x)
    near = index.contest(y, action, CANDIDATES)
    if near is None:
        return False
    code = near.codes[action]
    gradient, _ = outcome_gradient(
        y[None, :],
        np.array([length], dtype=np.float32),
        np.array([quality], dtype=np.float32),
        near.centroids,
        near.log_evidence,
        near.actions,
        np.array([code], dtype=np.intp),
        config.temperature,
    )
    adapter.step_micro(x, gradient[0], config.micro_lora_lr)
    return True


def gradient_step(adapter: Adapter, x: Vector, gradient_y: Vector, config: SonaConfig) -> bool:
    """Move the micro tier down dL/dy, of shape (d,), for the query `x` (d,); False if the gradient is zero."""
    if not gradient_y.any():
        return False
    y, length = _adapted(adapter, x)
    # Through y = z / |z|: what lies along y would only change a length that does not count.
    gradient_z = (gradient_y - y * y.dot(gradient_y)) / np.float32(length)
    adapter.step_micro(x, gradient_z, config.micro_lora_lr)
    return True


def _adapted(adapter: Adapter, x: Vector) -> tuple[Vector, float]:
    """y of unit length, and |z|."""
    delta = delta_of(adapter.trained, x)
    z = x if delta is None else x + delta
    length = float(np.sqrt(z.dot(z)))
    return z / np.float32(length), length
