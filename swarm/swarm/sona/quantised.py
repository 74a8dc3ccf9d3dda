"""Adapters in 8 or 4 bits: every group of a factor's row as small whole numbers with one scale.

    s = max |a| / (2^(b-1) - 1) over the group,    q = round(a / s),    a ≈ s q      (symmetric, to nearest)

as in Dettmers et al. 2023, "QLoRA", equation 1, but with evenly spaced levels. Two codes of 4 bits share a byte. What
is adapted is computed from the codes, one pair at a time; the factors are never kept beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from swarm.errors import BoundsError, ShapeError
from swarm.sona.adapter import bend, bent, delta_of
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Doubles, Vector, check_count, check_queries

BITS = (8, 4)
GROUP = 64
"""Numbers that share a scale: at 4 bits the scale adds half a bit to each, and the error of one outlier stays there."""
MAX_GROUP = 8192
_Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedMatrix:
    """A matrix of shape (r, d): `codes` (r, bytes of a row), offset so that none is negative; `scales` (r, groups)."""

    bits: int
    dim: int
    group: int
    codes: _Codes
    scales: Vector

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise BoundsError(f"bits must be one of 8, 4, got {self.bits}")
        check_count(self.dim, "dim", 1, 65_536)
        check_count(self.group, "group", 1, MAX_GROUP)
        shapes = (self.codes.ndim, self.codes.shape[-1:], self.scales.shape)
        wanted = (2, (_row_bytes(self.dim, self.bits),), (len(self.codes), -(-self.dim // self.group)))
        if shapes != wanted or self.codes.dtype != np.uint8 or not np.isfinite(self.scales).all():
            raise ShapeError(f"codes and finite scales must be of {wanted}, got {shapes} and {self.codes.dtype}")

    @classmethod
    def of(cls, matrix: Vector, bits: int, group: int) -> QuantisedMatrix:
        """The nearest codes of a matrix of shape (r, d)."""
        r, d = matrix.shape
        grouped = _grouped(matrix, group)  # (r, groups, group)
        most = 2 ** (bits - 1) - 1
        scales = (np.abs(grouped).max(axis=2) / most).astype(np.float32)
        levels = np.rint(grouped / np.where(scales > 0.0, scales, 1.0)[..., None])
        codes = (np.clip(levels, -most, most) + most + 1).astype(np.uint8).reshape(r, -1)[:, :d]
        return cls(bits=bits, dim=d, group=group, codes=_packed(codes) if bits == 4 else codes.copy(), scales=scales)

    def dense(self) -> Vector:
        """The matrix that the codes stand for, of shape (r, d)."""
        codes = _unpacked(self.codes, self.dim) if self.bits == 4 else self.codes
        levels = codes.astype(np.float32) - np.float32(2 ** (self.bits - 1))
        values = _grouped(levels, self.group) * self.scales[..., None]
        return np.ascontiguousarray(values.reshape(len(codes), -1)[:, : self.dim])

    @property
    def size_bytes(self) -> int:
        """Bytes of codes and scales."""
        return self.codes.nbytes + self.scales.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedPair:
    """Both factors of a pair, each of shape (r, d), and the pair's own scale s."""

    down: QuantisedMatrix
    up: QuantisedMatrix
    scale: float

    def dense(self) -> LoraPair:
        """The pair that the codes stand for."""
        return LoraPair(self.down.dense(), self.up.dense(), self.scale)


class QuantisedAdapter:
    """The pairs of an adapter in 8 or 4 bits; without pairs it is the identity, byte for byte."""

    __slots__ = ("bits", "dim", "pairs")

    def __init__(self, pairs: Sequence[QuantisedPair], dim: int, bits: int) -> None:
        _check_bits(bits)
        for pair in pairs:
            if {pair.down.dim, pair.up.dim} != {dim}:
                raise ShapeError(f"factors must have shape (r, {dim}), got (r, {pair.down.dim}) and (r, {pair.up.dim})")
        self.pairs = tuple(pairs)
        self.dim = dim
        self.bits = bits

    def apply(self, x: object) -> Vector:
        """`x` of shape (d,) or (n, d), adapted: the direction changes, the length does not."""
        queries = check_queries(x, self.dim, "x")
        total: Vector | None = None
        for pair in self.pairs:
            part = pair.dense().delta(queries)
            total = part if total is None else total + part
        return bent(queries, total)

    @property
    def size_bytes(self) -> int:
        """Bytes of all codes and scales: what the adapter takes in memory, and in a file but for its header."""
        return sum(pair.down.size_bytes + pair.up.size_bytes for pair in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisationError:
    """What the codes cost.

    `max_abs` is the largest error of an entry of a factor; `frobenius` |Delta W - Delta W_q| / |Delta W|; `applied` and
    `applied_max` are mean and largest |y - y_q| / |y| over some queries.
    """

    bits: int
    size_bytes: int
    float_bytes: int
    max_abs: float
    frobenius: float
    applied: float
    applied_max: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def quantise(pairs: Sequence[LoraPair], dim: int, *, bits: int = 8, group: int = GROUP) -> QuantisedAdapter:
    """The pairs in `bits` (8 or 4), with one scale for each `group` numbers of a row.

    Raises
    ------
    BoundsError
        If `bits` is neither 8 nor 4, or `group` is not in 1..8192.
    ShapeError
        If a pair is of another dimension.

    >>> pair = LoraPair(np.ones((2, 16), np.float32), np.ones((2, 16), np.float32), 1.0)
    >>> quantise([pair], 16, bits=4).size_bytes  # 64 codes of half a byte, 4 scales of four
    48
    """
    _check_bits(bits)
    check_count(group, "group", 1, MAX_GROUP)
    made = [
        QuantisedPair(
            down=QuantisedMatrix.of(pair.down, bits, group),
            up=QuantisedMatrix.of(pair.up, bits, group),
            scale=pair.scale,
        )
        for pair in pairs
    ]
    return QuantisedAdapter(made, dim, bits)


def quantisation_error(pairs: Sequence[LoraPair], quantised: QuantisedAdapter, queries: Vector) -> QuantisationError:
    """What `quantised` loses of `pairs`, over `queries` of shape (n, d), n > 0."""
    dense = [pair.dense() for pair in quantised.pairs]
    entries = [
        float(np.abs(mine - theirs).max())
        for pair, other in zip(pairs, dense, strict=True)
        for mine, theirs in ((pair.down, other.down), (pair.up, other.up))
    ]
    whole = _frobenius(pairs)
    lost = _frobenius([*pairs, *(LoraPair(pair.down, pair.up, -pair.scale) for pair in dense)])
    exact, found = bend(queries, pairs), bent(queries, delta_of(dense, queries))
    lengths = np.linalg.norm(exact, axis=1)
    applied = np.linalg.norm(exact - found, axis=1) / np.where(lengths > 0.0, lengths, 1.0)
    return QuantisationError(
        bits=quantised.bits,
        size_bytes=quantised.size_bytes,
        float_bytes=sum(pair.down.nbytes + pair.up.nbytes for pair in pairs),
        max_abs=max(entries, default=0.0),
        frobenius=lost / whole if whole > 0.0 else 0.0,
        applied=float(applied.mean()),
        applied_max=float(applied.max()),
    )


def _check_bits(bits: object) -> None:
    if type(bits) is not int or bits not in BITS:
        raise BoundsError(f"bits must be 8 or 4, got {bits!r:.40}")


def _frobenius(pairs: Sequence[LoraPair]) -> float:
    """|sum s B A| without the (d, d) matrix: |U V^T|^2 = trace(U^T U V^T V)."""
    if not pairs:
        return 0.0
    up: Doubles = np.concatenate([pair.scale * pair.up.astype(np.float64) for pair in pairs])  # (R, d)
    down: Doubles = np.concatenate([pair.down.astype(np.float64) for pair in pairs])
    return math.sqrt(max(0.0, float((up.dot(up.T) * down.dot(down.T)).sum())))


def _grouped(matrix: Vector, group: int) -> Vector:
    """(r, d) -> (r, groups, group), zeros behind the last column."""
    r, d = matrix.shape
    missing = -d % group
    return np.pad(matrix, ((0, 0), (0, missing))).reshape(r, -1, group)


def _row_bytes(dim: int, bits: int) -> int:
    return dim if bits == 8 else -(-dim // 2)


def _packed(codes: _Codes) -> _Codes:
    """Two codes of 4 bits in a byte, the first one in its lower half."""
    even = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)))
    return np.asarray(even[:, ::2] | (even[:, 1::2] << 4), dtype=np.uint8)


def _unpacked(packed: _Codes, dim: int) -> _Codes:
    codes = np.empty((len(packed), 2 * packed.shape[1]), dtype=np.uint8)
    codes[:, ::2], codes[:, 1::2] = packed & 15, packed >> 4
    return codes[:, :dim]
