"""The vectors of texts, part by part: the same parts whoever embeds them, so that the bytes are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.text import check_text
from swarm.errors import TextError
from swarm.sona.vectors import Vector

PART = 250
"""Texts that are embedded together."""


class Embedded(NamedTuple):
    """Vectors (n, d) of n texts, and why some have none, by row; those rows are zero."""

    vectors: Vector
    unusable: dict[int, str]


class Embedding(Protocol):
    """Embeds texts; `begin` returns at once where others do the work, and `finish` waits for them."""

    def begin(self, key: str, texts: Sequence[str]) -> None: ...
    def finish(self) -> Embedded: ...


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


def parts_of(texts: Sequence[str]) -> list[Sequence[str]]:
    """The parts of some texts, in order."""
    return [texts[start : start + PART] for start in range(0, len(texts), PART)]


def joined(parts: Sequence[Embedded], dim: int) -> Embedded:
    """The parts as one."""
    if not parts:
        return Embedded(np.empty((0, dim), dtype=np.float32), {})
    unusable = {row + number * PART: why for number, part in enumerate(parts) for row, why in part.unusable.items()}
    return Embedded(np.concatenate([part.vectors for part in parts]), unusable)


class LocalEmbedding:
    """Embeds in this process."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._begun: list[Sequence[str]] = []

    def begin(self, key: str, texts: Sequence[str]) -> None:
        """Take texts; they are embedded by `finish`."""
        self._begun.append(texts)

    def finish(self) -> Embedded:
        """The vectors of the texts that were begun first."""
        texts = self._begun.pop(0)
        dim = self._embedder.identity.dim
        return joined([embed_part(self._embedder, part) for part in parts_of(texts)], dim)
