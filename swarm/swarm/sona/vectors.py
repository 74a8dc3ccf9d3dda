"""Checks and small helpers for vectors: float32, C order, shape `(d,)` or `(n, d)`.

A vector is checked once, where it enters; the kernels below trust it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from swarm.errors import BoundsError, InputError, ShapeError, TextError, shown

Vector: TypeAlias = npt.NDArray[np.float32]
"""float32, shape `(d,)` or `(n, d)` as the text says."""
Doubles: TypeAlias = npt.NDArray[np.float64]
"""float64, for sums over many vectors."""
Integers: TypeAlias = npt.NDArray[np.intp]
Flags: TypeAlias = npt.NDArray[np.bool_]

MAX_SQUARED_NORM = 1e12
"""A vector longer than 1e6 is refused: products of such numbers leave float32."""
MIN_SQUARED_NORM = 1e-12
"""A query shorter than 1e-6 is refused: it has no direction that float32 could tell."""
_UNIT_TOLERANCE = 1e-5
_FLOAT32 = np.dtype(np.float32)
MAX_LENGTH = 65_536
MAX_TEXT = 1_000_000
"""Characters of a text that is recorded."""


def squared_length(vector: Vector) -> float:
    """x . x of a vector (d,); infinity or NaN if an entry is, or is so large that float32 cannot hold the product."""
    try:
        return float(vector.dot(vector))
    except RuntimeWarning:
        # Where warnings are errors the overflow comes as one.
        return math.inf


def check_vector(value: object, dim: int, parameter: str) -> Vector:
    """A private float32 copy of `value`, of shape (dim,).

    Raises
    ------
    ShapeError
        If it is not a sequence of `dim` numbers.
    BoundsError
        If a number is not finite, or the vector is longer than 1e6.
    """
    return _checked_row(_as_floats(value, f"{parameter} must be {dim} numbers"), dim, parameter)


def check_numbers(value: object, parameter: str, max_length: int = MAX_LENGTH) -> Vector:
    """A private float32 copy of `value`, of shape (m,) with any m up to `max_length`; errors as in `check_vector`."""
    vector = _as_floats(value, f"{parameter} must be numbers")
    if vector.ndim != 1 or len(vector) > max_length:
        raise ShapeError(f"{parameter} must have shape (m,) with m <= {max_length}, got {vector.shape}")
    return _bounded(vector, parameter)


def _bounded(vector: Vector, parameter: str) -> Vector:
    # One product tells both: it is NaN or huge if any entry is.
    if not squared_length(vector) <= MAX_SQUARED_NORM:
        raise BoundsError(_not_finite(vector, parameter))
    return vector


def check_direction(value: object, dim: int, parameter: str) -> Vector:
    """`value` scaled to unit length, to be read only: a float32 array of that length comes back itself.

    Errors as in `check_vector`; a vector shorter than 1e-6 has no direction and is refused too.
    """
    # NaN and infinity fail this comparison, and go the long way to their error.
    if (
        type(value) is np.ndarray
        and value.dtype is _FLOAT32
        and value.shape == (dim,)
        and abs(squared_length(value) - 1.0) <= _UNIT_TOLERANCE
    ):
        return value
    vector = check_vector(value, dim, parameter)
    squared = float(vector.dot(vector))
    if squared < MIN_SQUARED_NORM:
        raise BoundsError(f"{parameter} must be at least 1e-6 long, got length {math.sqrt(squared):.3g}")
    vector /= np.float32(math.sqrt(squared))
    return vector


def check_batch(value: object, dim: int, parameter: str) -> Vector:
    """A private float32 copy of `value`, of shape (n, dim), C order; errors as in `check_vector`."""
    return _checked_rows(_as_floats(value, f"{parameter} must be rows of {dim} numbers"), dim, parameter)


def check_queries(value: object, dim: int, parameter: str) -> Vector:
    """A private float32 copy of `value`, of shape (dim,) or (n, dim); errors as in `check_vector`."""
    array = _as_floats(value, f"{parameter} must be {dim} numbers, or rows of them")
    return _checked_rows(array, dim, parameter) if array.ndim == 2 else _checked_row(array, dim, parameter)


def _checked_row(vector: Vector, dim: int, parameter: str) -> Vector:
    if vector.shape != (dim,):
        raise ShapeError(f"{parameter} must have shape ({dim},), got {vector.shape}")
    return _bounded(vector, parameter)


def _checked_rows(batch: Vector, dim: int, parameter: str) -> Vector:
    if batch.ndim != 2 or batch.shape[1] != dim:
        raise ShapeError(f"{parameter} must have shape (n, {dim}), got {batch.shape}")
    bad = np.flatnonzero(~(np.einsum("nd,nd->n", batch, batch) <= MAX_SQUARED_NORM))
    if bad.size:
        raise BoundsError(_not_finite(batch[bad[0]], f"{parameter}[{bad[0]}]"))
    return batch


def _as_floats(value: object, wanted: str) -> Vector:
    """A private float32 copy in C order; text, truth values, dates, complex numbers and objects are refused."""
    if type(value) is np.ndarray and value.dtype == np.float32:
        return np.array(value, order="C")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ShapeError(f"{wanted}, got {type(value).__name__} of uneven rows") from error
    if array.dtype.kind not in "fiu":
        raise ShapeError(f"{wanted}, got {type(value).__name__} of {array.dtype}")
    with np.errstate(over="ignore"):
        # What leaves float32 becomes infinite, and is refused as such.
        return array.astype(np.float32, order="C")


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
    if type(value) is float and low <= value <= high:
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise BoundsError(f"{parameter} must be a number in {low:g}..{high:g}, got {shown(value, 40)}")
    try:
        number = float(value)
    except OverflowError:
        raise BoundsError(f"{parameter} must be in {low:g}..{high:g}, got an integer beyond all bounds") from None
    if not low <= number <= high:
        raise BoundsError(f"{parameter} must be in {low:g}..{high:g}, got {number:g}")
    return number


def check_count(value: object, parameter: str, low: int, high: int) -> int:
    """`value` as an int in [low, high]; a float is refused, because it would have to be cut.

    >>> check_count(2.5, "k", 1, 10)
    Traceback (most recent call last):
    swarm.errors.BoundsError: k must be a whole number in 1..10, got 2.5
    """
    if type(value) is int and low <= value <= high:
        return value
    if not isinstance(value, int | np.integer):
        raise BoundsError(f"{parameter} must be a whole number in {low}..{high}, got {shown(value, 40)}")
    check_number(value, parameter, low, high)
    return int(value)


def check_text(value: object, parameter: str) -> str:
    """`value` if it is text that can be stored: a str of at most `MAX_TEXT` characters, without lone surrogates."""
    if type(value) is str and len(value) <= MAX_TEXT and value.isascii():
        return value
    if not isinstance(value, str):
        raise TextError(f"{parameter} must be text (str), got {type(value).__name__}")
    if len(value) > MAX_TEXT:
        raise TextError(f"{parameter} may have {MAX_TEXT} characters at most, got {len(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise TextError(f"{parameter} must be valid Unicode, got a lone surrogate") from None
    return value


def check_names(value: object, parameter: str) -> list[str]:
    """`value` as a list if it is a collection of texts that are not empty; one text alone would be read by letters.

    >>> check_names({"ada"}, "agents")
    ['ada']
    """
    if isinstance(value, Sequence | Set | Mapping) and not isinstance(value, str | bytes):
        names = [name for name in value if isinstance(name, str) and name]
        if len(names) == len(value):
            return names
    raise InputError(f"{parameter} must be a collection of names, got {shown(value)}")


def unit_rows(batch: Vector) -> Vector:
    """Rows of (n, d) scaled to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("nd,nd->n", batch, batch))
    return np.asarray(batch / np.where(norms > 0.0, norms, 1.0)[:, None], dtype=np.float32)


def unit(vector: Vector) -> Vector:
    """(d,) scaled to unit length; a zero vector stays zero."""
    result: Vector = unit_rows(vector[None, :])[0]
    return result
