"""The two tiers of an agent's adapter: a micro pair that moves at once, base pairs that move in the background.

z = x + sum_layers s_b B_l A_l x + s_m B_m A_m x,    y = z |x| / |z|
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from swarm.errors import BoundsError
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import MAX_SQUARED_NORM, Vector, check_count, check_vector, squared_length


class Adapter:
    """Micro tier and base tier over queries of shape (d,) or (n, d), already checked.

    Untrained tiers are skipped, so an untrained adapter returns its input byte for byte.
    """

    __slots__ = ("_base_trained", "_micro_trained", "base", "micro")

    def __init__(self, micro: LoraPair, base: Sequence[LoraPair]) -> None:
        self.set_micro(micro)
        self.set_base(base)

    @classmethod
    def initial(cls, config: SonaConfig, rng: np.random.Generator) -> Adapter:
        """The identity: random A, zero B in every pair."""
        micro = LoraPair.initial(config.micro_lora_rank, config.dim, 1.0, rng)
        base = [
            LoraPair.initial(config.base_lora_rank, config.dim, config.base_scale, rng)
            for _ in range(config.base_lora_layers)
        ]
        return cls(micro, base)

    def step_micro(self, x: Vector, gradient_z: Vector, lr: float, clip: float = 1.0) -> None:
        """One clipped step of gradient descent on both factors of the micro tier, in place.

        Parameters
        ----------
        x : of shape (d,); gradient_z : dL/dz of shape (d,)
        lr : learning rate; clip : largest norm of the joint gradient
        """
        up, down = self.micro.gradients(x[None, :], gradient_z[None, :])
        norm = math.sqrt(float(np.vdot(up, up)) + float(np.vdot(down, down)))
        if not 0.0 < norm < math.inf:
            # Nothing to do; and a gradient that left float32 must not reach the weights.
            return
        rate = np.float32(lr * min(1.0, clip / norm))
        self.micro.up -= rate * up
        self.micro.down -= rate * down
        self._micro_trained = True

    def set_micro(self, pair: LoraPair) -> None:
        """Replace the micro tier."""
        self.micro = pair
        self._micro_trained = not pair.is_untrained

    def set_base(self, pairs: Sequence[LoraPair]) -> None:
        """Replace the base tier."""
        self.base = tuple(pairs)
        self._base_trained = tuple(not pair.is_untrained for pair in pairs)

    def decay_micro(self, keep: float) -> None:
        """Shrink the micro tier: the base tier now knows what it knew."""
        self.micro.up *= np.float32(keep)
        self._micro_trained = not self.micro.is_untrained

    def micro_delta(self, x: Vector) -> Vector | None:
        """s_m B_m A_m x, or None while that is exactly zero."""
        return self.micro.delta(x) if self._micro_trained else None

    def layer_delta(self, layer: int, x: Vector) -> Vector | None:
        """The part of one layer of the base tier, or None while that is exactly zero."""
        if type(layer) is not int or not 0 <= layer < len(self.base):
            layer = check_count(layer, "layer", 0, len(self.base) - 1)
        return self.base[layer].delta(x) if self._base_trained[layer] else None

    def base_delta(self, x: Vector) -> Vector | None:
        """The base tier's part, of all its layers, or None while that is exactly zero."""
        total: Vector | None = None
        for pair, is_trained in zip(self.base, self._base_trained, strict=True):
            if is_trained:
                part = pair.delta(x)
                total = part if total is None else total + part
        return total

    def delta(self, x: Vector) -> Vector | None:
        """Both tiers together, or None while untrained."""
        base, micro = self.base_delta(x), self.micro_delta(x)
        if base is None or micro is None:
            return micro if base is None else base
        return base + micro

    def apply(self, x: Vector) -> Vector:
        """The adapted queries, of the shape and the lengths of `x`; always a new array.

        Raises
        ------
        BoundsError
            If the result is not finite.
        """
        return finish(x, self.delta(x))


def finish(x: Vector, delta: Vector | None) -> Vector:
    """y = (x + delta) |x| / |x + delta| for (d,) or (n, d): the direction changes, the length does not.

    With None for a delta of zero, and in rows where it is zero, x comes back byte for byte; always a new array.

    Raises
    ------
    BoundsError
        If `x` is not finite, or the adapter's weights have diverged.
    """
    if x.ndim == 2:
        return _finish_rows(x, delta)
    wanted = squared_length(x)
    if not wanted <= MAX_SQUARED_NORM:
        check_vector(x, len(x), "x")
    if delta is None:
        return x.copy()
    z: Vector = x + delta
    length = squared_length(z)
    if not length < math.inf:
        raise BoundsError("the adapted vector is not finite: the adapter's weights have diverged")
    if length != wanted and length > 0.0:
        z *= np.float32(math.sqrt(wanted / length))
    return z


def _finish_rows(x: Vector, delta: Vector | None) -> Vector:
    if delta is None:
        return x.copy()
    z = x + delta
    lengths = np.einsum("nd,nd->n", z, z)
    if not np.isfinite(lengths).all():
        raise BoundsError("an adapted vector is not finite: the adapter's weights have diverged")
    wanted = np.einsum("nd,nd->n", x, x)
    z *= np.sqrt(wanted / np.where(lengths > 0.0, lengths, 1.0))[:, None]
    untouched = ~delta.any(axis=1)
    z[untouched] = x[untouched]
    return z
