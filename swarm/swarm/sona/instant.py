"""Loop A: one step of the micro tier for one outcome, in the caller, without I/O."""

from __future__ import annotations

import math

import numpy as np

from swarm.sona.adapter import Adapter, delta_of
from swarm.sona.config import SonaConfig
from swarm.sona.patterns import Patterns
from swarm.sona.ranking import BACKGROUND
from swarm.sona.vectors import Vector

CANDIDATES = 256
_TINY = 1e-30


def outcome_step(
    adapter: Adapter,
    index: Patterns,
    x: Vector,
    action: str,
    quality: float,
    config: SonaConfig,
    delta: Vector | None = None,
) -> bool:
    """Move the micro tier so that the outcome of `action` for the query `x` (d,) becomes likelier.

    What competes are the `CANDIDATES` nearest prototypes and that of the action itself. Returns False, and changes
    nothing, if that action never worked. `delta` (d,) is what base tiers add to the query, by default the adapter's.
    """
    y, length = _adapted(adapter, x, delta)
    near = index.contest(y, action, CANDIDATES)
    if near is None:
        return False
    prototypes, row = near
    adapter.step_micro(x, _gradient(y, length, quality, prototypes, row, config.temperature), config.micro_lora_lr)
    return True


def _gradient(y: Vector, length: float, quality: float, prototypes: Vector, row: int, tau: float) -> Vector:
    """dL/dz of shape (d,): `ranking.outcome_gradient` for one query, with as few calls as it takes."""
    e = prototypes.dot(y * np.float32(1.0 / tau))
    largest = max(float(e.max()), BACKGROUND / tau)
    e -= np.float32(largest)
    np.exp(e, out=e)
    own = float(e[row])
    e[row] = 0.0
    others = float(e.sum()) + math.exp(BACKGROUND / tau - largest)
    total = own + others
    # What all of g_z is divided by goes in here already: there are fewer prototypes than dimensions.
    unit = 1.0 / (tau * length)
    e *= np.float32(unit * (quality - (1.0 - quality) * own / max(others, _TINY)) / total)
    e[row] = unit * (own / total - quality)
    g: Vector = e.dot(prototypes)
    g -= y * y.dot(g)
    return g


def gradient_step(adapter: Adapter, x: Vector, gradient_y: Vector, config: SonaConfig) -> bool:
    """Move the micro tier down dL/dy, of shape (d,), for the query `x` (d,); False if the gradient is zero."""
    if not gradient_y.any():
        return False
    y, length = _adapted(adapter, x)
    # Through y = z / |z|: what lies along y would only change a length that does not count.
    gradient_z = (gradient_y - y * y.dot(gradient_y)) / np.float32(length)
    adapter.step_micro(x, gradient_z, config.micro_lora_lr)
    return True


def _adapted(adapter: Adapter, x: Vector, base: Vector | None = None) -> tuple[Vector, float]:
    """y of unit length, and |z|; `base` stands for what the adapter's own base tier adds."""
    delta = delta_of(adapter.trained if base is None else adapter.trained_micro, x)
    z = x if delta is None else x + delta
    if base is not None:
        z = z + base
    length = math.sqrt(z.dot(z))
    return z / np.float32(length), length
