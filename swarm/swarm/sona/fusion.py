"""Fusing the adapters of several agents into one: the weighted average of what they do, not of their factors.

What a pair does is Delta W = s B A, and B, A are known only up to an invertible r x r matrix between them. So
averaging A and B separately mixes directions that have nothing to do with one another; averaging Delta W is exact.
It has the rank of all parts together, and is truncated to the best one of rank r (Eckart & Young 1936):

    sum_i w_i s_i B_i A_i = U V^T          U (d, R): the stacked B_i,  V (d, R): the stacked w_i s_i A_i^T
    U = Q_u R_u,  V = Q_v R_v              so that Delta W = Q_u (R_u R_v^T) Q_v^T, and only the core is decomposed
    R_u R_v^T = P S T^T                    B = Q_u P sqrt(S / s),  A = sqrt(S / s) T^T Q_v^T

No matrix of shape (d, d) is formed while the parts have fewer ranks together than d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarm.errors import BoundsError, InputError, ShapeError
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Doubles, check_count, check_number

MAX_RANK = 1024
_MAX_WEIGHT = 1e15
_NEGLIGIBLE = 1e-7
"""Singular values this small beside the largest one are rounding: float32 holds no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """The fused pairs, one per layer, and `lost`: what the truncation to their rank left out.

    `lost` is |average - fused| / |average| in the Frobenius norm over all layers, in [0, 1]; 0 without anything
    to lose.
    """

    pairs: tuple[LoraPair, ...]
    lost: float


def fuse_adapters(
    parts: Sequence[tuple[float, Sequence[LoraPair]]],
    rank: int,
    rng: np.random.Generator,
    *,
    layers: int = 1,
    scale: float = 1.0,
) -> Fusion:
    """The average of Delta W over the parts, truncated to `rank`.

    Only the proportions of the weights count. An untrained part counts as zero: it shrinks the average. The order of
    the parts changes rounding only.

    Parameters
    ----------
    parts : (weight >= 0, pairs of one agent) each; the pairs' own scales are in what is averaged
    rank : r of each fused pair
    rng : draws `down` for ranks that the average does not need, with `up` zero, so that training can use them
    layers : pairs of the result. All layers read the same query and their sum is what counts: layer l averages the
        layers l, l + layers, ... of a part, and nothing where it has none
    scale : s of the fused pairs, > 0

    Returns
    -------
    Fusion
        Singular values are split evenly between both factors.

    Raises
    ------
    InputError
        Without a part of positive weight.
    BoundsError
        If a weight, the rank or the scale is out of bounds.
    ShapeError
        If the pairs are of several dimensions.
    """
    check_count(rank, "rank", 1, MAX_RANK)
    check_count(layers, "layers", 1, MAX_RANK)
    if not check_number(scale, "scale", 0.0, _MAX_WEIGHT) > 0.0:
        raise BoundsError("scale must be above 0, got 0")
    weights = [check_number(weight, f"weight of part {i}", 0.0, _MAX_WEIGHT) for i, (weight, _) in enumerate(parts)]
    total = math.fsum(weights)
    dims = {pair.down.shape[1] for _, pairs in parts for pair in pairs}
    if not total > 0.0 or not dims:
        raise InputError(f"parts must hold one of positive weight, got {len(parts)} with the sum {total:g}")
    if len(dims) > 1:
        raise ShapeError(f"parts must be of one dimension, got {sorted(dims)}")
    dim = dims.pop()
    fused, lost, whole = [], 0.0, 0.0
    for layer in range(layers):
        weighted = [
            (weight / total, pair)
            for weight, (_, pairs) in zip(weights, parts, strict=True)
            for pair in pairs[layer::layers]
            if weight > 0.0 and not pair.is_untrained
        ]
        up, values, down = _decompose(weighted, dim)
        fused.append(_balanced(up, values, down, rank, scale, rng))
        lost += float(np.square(values[rank:]).sum())
        whole += float(np.square(values).sum())
    return Fusion(pairs=tuple(fused), lost=math.sqrt(lost / whole) if whole > 0.0 else 0.0)


def fusion_weights(outcomes: Sequence[float], gains: Sequence[float | None]) -> list[float]:
    """How much each agent's adapter counts: its outcomes, times what its gate measured that it gained.

    Parameters
    ----------
    outcomes : how many outcomes each adapter has learned from
    gains : loss on held-out outcomes before minus after, in nats; None where nobody recorded it, which counts as the
        mean of those that are recorded. One that gained nothing counts nothing.

    >>> fusion_weights([100, 100, 50], [0.25, None, 0.75])
    [25.0, 50.0, 37.5]
    >>> fusion_weights([100, 50], [None, None])
    [100.0, 50.0]
    """
    known = [max(0.0, gain) for gain in gains if gain is not None]
    mean = math.fsum(known) / len(known) if known else 1.0
    return [n * (mean if gain is None else max(0.0, gain)) for n, gain in zip(outcomes, gains, strict=True)]


def _decompose(weighted: Sequence[tuple[float, LoraPair]], dim: int) -> tuple[Doubles, Doubles, Doubles]:
    """Singular value decomposition of sum w s B A: U (d, k), values (k,) from the largest, V^T (k, d)."""
    if not weighted:
        return np.empty((dim, 0)), np.empty(0), np.empty((0, dim))
    ups = np.concatenate([pair.up for _, pair in weighted]).astype(np.float64)  # (R, d)
    downs = np.concatenate([weight * pair.scale * pair.down.astype(np.float64) for weight, pair in weighted])
    up_basis, up_core = np.linalg.qr(ups.T)
    down_basis, down_core = np.linalg.qr(downs.T)
    left, values, right = np.linalg.svd(up_core.dot(down_core.T), full_matrices=False)
    return up_basis.dot(left), values, right.dot(down_basis.T)


def _balanced(
    up: Doubles, values: Doubles, down: Doubles, rank: int, scale: float, rng: np.random.Generator
) -> LoraPair:
    needed = int((values[:rank] > _NEGLIGIBLE * values[:1]).sum())
    pair = LoraPair.initial(rank, len(up), scale, rng)
    share = np.sqrt(values[:needed] / scale)[:, None]
    pair.up[:needed] = share * up.T[:needed]
    pair.down[:needed] = share * down[:needed]
    return pair
