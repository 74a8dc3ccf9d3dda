"""Many texts as parts that are embedded together: the same ones whoever embeds them, so that the bytes are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.text import check_text
from swarm.errors import InputError, TextError
from swarm.sona.vectors import Vector

PART = 250
"""Texts of a part, at most ..."""
PART_CHARACTERS = 1_000_000
"""... and characters, but for a text that has more by itself."""


class Embedded(NamedTuple):
    """Vectors (n, d) of n texts, and why some have none, by row; those rows are zero."""

    vectors: Vector
    unusable: dict[int, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a task's result; `embedded_from` is the inverse."""
        return {
            "vectors": self.vectors.astype("<f4").tobytes(),
            "unusable": {str(row): why for row, why in self.unusable.items()},
        }


def embedded_from(values: Mapping[str, Any], n: int, dim: int) -> Embedded:
    """The vectors of n texts from plain values.

    Raises
    ------
    InputError
        If they are not n finite vectors of `dim` numbers.
    """
    try:
        vectors = np.frombuffer(values["vectors"], dtype="<f4").astype(np.float32).reshape(n, dim)
        unusable = {int(row): str(why) for row, why in values["unusable"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"vectors must be {n} rows of {dim} numbers: {type(error).__name__}") from error
    if not np.isfinite(vectors).all():
        raise InputError(f"vectors must be {n} rows of {dim} finite numbers")
    return Embedded(vectors, unusable)


def embed_part(embedder: Embedder, texts: Sequence[str]) -> Embedded:
    """The vectors of one part; a text that has none spoils no other."""
    try:
        return Embedded(embedder.embed(texts), {})
    except TextError:
        vectors = np.zeros((len(texts), embedder.identity.dim), dtype=np.float32)
        unusable = {}
        for row, text in enumerate(texts):
            try:
                vectors[row] = embedder.embed_one(check_text(text))
            except TextError as error:
                unusable[row] = str(error)
        return Embedded(vectors, unusable)


def parts_of(texts: Sequence[str]) -> list[list[str]]:
    """The parts of some texts, in order.

    >>> [len(part) for part in parts_of(["a"] * 600)]
    [250, 250, 100]
    """
    parts: list[list[str]] = []
    room = 0
    for text in texts:
        if not parts or len(parts[-1]) >= PART or len(text) > room:
            parts.append([])
            room = PART_CHARACTERS
        parts[-1].append(text)
        room -= len(text)
    return parts


def joined(parts: Sequence[Embedded], dim: int) -> Embedded:
    """The parts as one."""
    unusable: dict[int, str] = {}
    first = 0
    for part in parts:
        unusable |= {first + row: why for row, why in part.unusable.items()}
        first += len(part.vectors)
    return Embedded(np.concatenate([np.empty((0, dim), np.float32), *(part.vectors for part in parts)]), unusable)
