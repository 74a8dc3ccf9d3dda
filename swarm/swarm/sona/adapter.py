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
from swarm.sona.vectors import MAX_SQUARED_NORM, Vector, check_count, check_vector


class Adapter:
    """Micro tier and base tier over queries of shape (d,) or (n, d), already checked.

    Untrained tiers are skipped, so an untrained adapter returns its input byte for byte.
    """

    __slots__ = ("_trained_layers", "base", "micro", "trained_base", "trained_micro")

    trained_micro: tuple[LoraPair, ...]
    """The micro tier, or nothing while it is the identity."""
    trained_base: tuple[LoraPair, ...]
    """The layers of the base tier that are not the identity any more."""

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
        up, down, scale = self.micro.up, self.micro.down, self.micro.scale
        hidden, pulled = down.dot(x), up.dot(gradient_z)
        # |h g^T|^2 + |p x^T|^2, without the two products: a gradient for one query has rank one.
        squared = float(hidden.dot(hidden)) * float(gradient_z.dot(gradient_z))
        squared += float(pulled.dot(pulled)) * float(x.dot(x))
        norm = scale * math.sqrt(squared)
        if not 0.0 < norm < math.inf:
            # Nothing to do; and a gradient that left float32 must not reach the weights.
            return
        rate = np.float32(scale * lr * min(1.0, clip / norm))
        hidden *= rate
        pulled *= rate
        # Outer products by `dot`: one call of BLAS each is the quickest way.
        up -= hidden[:, None].dot(gradient_z[None])
        down -= pulled[:, None].dot(x[None])
        self.trained_micro = (self.micro,)

    def set_micro(self, pair: LoraPair) -> None:
        """Replace the micro tier."""
        self.micro = pair
        self._note_micro()

    def set_base(self, pairs: Sequence[LoraPair]) -> None:
        """Replace the base tier."""
        self.base = tuple(pairs)
        self._trained_layers = tuple(() if pair.is_untrained else (pair,) for pair in self.base)
        self.trained_base = tuple(pair for layer in self._trained_layers for pair in layer)

    def decay_micro(self, keep: float) -> None:
        """Shrink the micro tier: the base tier now knows what it knew."""
        self.micro.up *= np.float32(keep)
        self._note_micro()

    def _note_micro(self) -> None:
        self.trained_micro = () if self.micro.is_untrained else (self.micro,)

    @property
    def trained(self) -> tuple[LoraPair, ...]:
        """All pairs that are not the identity any more."""
        return (*self.trained_base, *self.trained_micro)

    def trained_layer(self, layer: int) -> tuple[LoraPair, ...]:
        """The pair of one layer of the base tier, or nothing while that is the identity."""
        if type(layer) is not int or not 0 <= layer < len(self.base):
            layer = check_count(layer, "layer", 0, len(self.base) - 1)
        return self._trained_layers[layer]

    def apply(self, x: Vector) -> Vector:
        """The queries bent by both tiers; see `bend`."""
        return bend(x, self.trained)


def delta_of(pairs: Sequence[LoraPair], x: Vector) -> Vector | None:
    """The sum of s B A x over `pairs`, or None without any; x of shape (d,) or (n, d)."""
    total: Vector | None = None
    for pair in pairs:
        part = pair.delta(x)
        total = part if total is None else total + part
    return total


def bend(x: Vector, pairs: Sequence[LoraPair]) -> Vector:
    """y = z |x| / |z| with z = x + sum s B A x, for (d,) or (n, d): the direction changes, the length does not.

    Without pairs, and in rows that no pair moves, x comes back byte for byte; always a new array.

    Raises
    ------
    BoundsError
        If `x` is not finite, or the weights have diverged.
    """
    if x.ndim == 2:
        return bent(x, delta_of(pairs, x))
    try:
        wanted = x.dot(x)
        if not wanted <= MAX_SQUARED_NORM:
            check_vector(x, len(x), "x")
        z = x
        for pair in pairs:
            # As `pair.delta`, but without its call: this is on the path of every query.
            hidden = pair.down.dot(x)
            if pair.scale != 1.0:
                hidden *= pair.scale
            z = z + hidden.dot(pair.up)
        if z is x:
            return x.copy()
        length = z.dot(z)
    except RuntimeWarning:
        # An overflow, where warnings are errors.
        check_vector(x, len(x), "x")
        length = np.float32(math.inf)
    if not length < math.inf:
        raise BoundsError("the adapted vector is not finite: the adapter's weights have diverged")
    if length == wanted or length == 0.0:
        return z
    # `dot` with a number is the quickest way to scale: BLAS, without the checks of a ufunc.
    scaled: Vector = z.dot((wanted / length) ** 0.5)
    return scaled


def bent(x: Vector, delta: Vector | None) -> Vector:
    """y = z |x| / |z| with z = x + delta, for (d,) or (n, d); x itself, copied, where delta is zero or None.

    Raises
    ------
    BoundsError
        If a vector is not finite afterwards.
    """
    if delta is None:
        return x.copy()
    z = x + delta
    lengths = np.einsum("...d,...d->...", z, z)
    if not np.isfinite(lengths).all():
        raise BoundsError("an adapted vector is not finite: the adapter's weights have diverged")
    wanted = np.einsum("...d,...d->...", x, x)
    z *= np.sqrt(wanted / np.where(lengths > 0.0, lengths, 1.0))[..., None]
    return np.where(delta.any(axis=-1, keepdims=True), z, x)
