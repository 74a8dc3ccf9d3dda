"""What an embedder is, and the shell that all of ours share: texts are checked going in, vectors coming out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from swarm.embed.identity import EmbedderIdentity
from swarm.embed.text import check_text, check_texts
from swarm.errors import EmbedderUnavailableError, TextError
from swarm.sona.vectors import Vector


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of unit length, the same text always into the same vector."""

    @property
    def identity(self) -> EmbedderIdentity:
        """Which space the vectors are in."""

    def embed(self, texts: Sequence[str]) -> Vector:
        """Vectors of shape (n, d) of n texts, rows of unit length."""

    def embed_one(self, text: str) -> Vector:
        """The vector of shape (d,) of one text."""


class CheckedEmbedder(ABC):
    """The shell; a subclass supplies `_vectors` and can rely on checked texts."""

    def __init__(self, identity: EmbedderIdentity) -> None:
        self._identity = identity

    @property
    def identity(self) -> EmbedderIdentity:
        """Which space the vectors are in."""
        return self._identity

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._identity}>"

    def embed(self, texts: Sequence[str]) -> Vector:
        """Vectors of shape (n, d) of n texts, rows of unit length; no texts give shape (0, d).

        Raises
        ------
        TextError
            If a text is empty, too large or not text (`check_text`), or holds nothing that the model knows,
            so that its vector is zero.
        EmbedderUnavailableError
            If the model cannot be reached, or answers something else than n finite vectors.
        """
        checked = check_texts(texts)
        if not checked:
            return np.empty((0, self._identity.dim), dtype=np.float32)
        return unit_vectors(self._vectors(checked), len(checked), self._identity)

    def embed_one(self, text: str) -> Vector:
        """The vector of shape (d,) of one text; errors as in `embed`."""
        vectors = unit_vectors(self._vectors([check_text(text)]), 1, self._identity, "text")
        return vectors.reshape(-1)

    @abstractmethod
    def _vectors(self, texts: list[str]) -> object:
        """Anything that NumPy reads as shape (n, d), of any length greater than zero."""


def unit_vectors(raw: object, n: int, identity: EmbedderIdentity, parameter: str = "texts") -> Vector:
    """A private copy of a model's answer, checked, rows scaled to unit length (norms in float64).

    Raises
    ------
    EmbedderUnavailableError
        If it is not n rows of the identity's dimension, or not finite.
    TextError
        If a row is zero: there is no direction to compare, and any stand-in would look like a match.
    """
    vectors = _as_floats(raw, n, identity)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    if not np.isfinite(norms).all():
        row = int(np.flatnonzero(~np.isfinite(norms))[0])
        raise EmbedderUnavailableError(f"{identity} answered a value that is not finite for {_name(parameter, row)}")
    if not norms.all():
        row = int(np.flatnonzero(norms == 0.0)[0])
        raise TextError(f"{_name(parameter, row)} holds nothing that {identity} knows: its vector is zero")
    return np.asarray(vectors / norms[:, None], dtype=np.float32)


def _as_floats(raw: object, n: int, identity: EmbedderIdentity) -> Vector:
    try:
        # float64 beyond float32's range becomes infinite here and is refused as such.
        with np.errstate(over="ignore"):
            vectors = np.array(raw, dtype=np.float32, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbedderUnavailableError(f"{identity} answered something else than {n} rows of numbers") from error
    if vectors.shape != (n, identity.dim):
        raise EmbedderUnavailableError(
            f"{identity} answered an array of shape {vectors.shape}, expected ({n}, {identity.dim})"
        )
    return vectors


def _name(parameter: str, row: int) -> str:
    return f"{parameter}[{row}]" if parameter == "texts" else parameter
