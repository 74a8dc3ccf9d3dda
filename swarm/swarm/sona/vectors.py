"""Checks and small helpers for vectors: float32, C order, shape `(d,)` or `(n, d)`.

A vector is checked once, where it enters; the kernels below trust it.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from swarm.errors import BoundsError, ShapeError

Vector: TypeAlias = npt.NDArray[np.float32]
"""float32, shape `(d,)` or `(n, d)` as the text says."""
Doubles: TypeAlias = npt.NDArray[np.float64]
"""float64, for sums over many vectors."""
Integers: TypeAlias = npt.NDArray[np.intp]
Flags: TypeAlias = npt.NDArray[np.bool_]

MAX_SQUARED_NORM = 1e12
"""A vector longer than 1e6 is refused: products of such numbers leave float32."""


def check_vector(value: object, dim: int, parameter: str) -> Vector:
    """A private float32 copy of `value`, of shape (dim,).

    Raises
    ------
    ShapeError
        If it is not a sequence of `dim` numbers.
    BoundsError
        If a number is not finite, or the vector is longer than 1e6.
    """
    try:
        vector = np.array(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(f"{parameter} must be {dim} numbers, got {type(value).__name__}") from error
    if vector.shape != (dim,):
        raise ShapeError(f"{parameter} must have shape ({dim},), got {vector.shape}")
    # One product tells both: it is NaN or huge if any entry is.
    if not vector.dot(vector) <= MAX_SQUARED_NORM:
        raise BoundsError(_not_finite(vector, parameter))
    return vector


def check_batch(value: object, dim: int, parameter: str) -> Vector:
    """A private float32 copy of `value`, of shape (n, dim), C order; errors as in `check_vector`."""
    try:
        batch = np.array(value, dtype=np.float32, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(f"{parameter} must be rows of {dim} numbers, got {type(value).__name__}") from error
    if batch.ndim != 2 or batch.shape[1] != dim:
        raise ShapeError(f"{parameter} must have shape (n, {dim}), got {batch.shape}")
    for row, squared in enumerate(np.einsum("nd,nd->n", batch, batch)):
        if not squared <= MAX_SQUARED_NORM:
            raise BoundsError(_not_finite(batch[row], f"{parameter}[{row}]"))
    return batch


def _not_finite(vector: Vector, parameter: str) -> str:
    bad = np.flatnonzero(~np.isfinite(vector))
    if bad.size:
        return f"{parameter} must be finite, got {vector[bad[0]]} at index {bad[0]}"
    length = math.sqrt(float(np.square(vector, dtype=np.float64).sum()))
    return f"{parameter} must not be longer than 1e6, got length {length:.3g}"


def check_number(value: object, parameter: str, low: float, high: float) -> float:
    """`value` as a float in [low, high].

    >>> check_number(1, "quality", 0.0, 1.0)
    1.0
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise BoundsError(f"{parameter} must be a number in {low:g}..{high:g}, got {value!r:.40}")
    number = float(value)
    if not low <= number <= high:
        raise BoundsError(f"{parameter} must be in {low:g}..{high:g}, got {number:g}")
    return number


def unit_rows(batch: Vector) -> Vector:
    """Rows of (n, d) scaled to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("nd,nd->n", batch, batch))
    return np.asarray(batch / np.where(norms > 0.0, norms, 1.0)[:, None], dtype=np.float32)


def unit(vector: Vector) -> Vector:
    """(d,) scaled to unit length; a zero vector stays zero."""
    result: Vector = unit_rows(vector[None, :])[0]
    return result
