"""Who made a vector: vectors of two embedders live in two spaces and are never mixed."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.errors import BoundsError, EmbedderMismatchError, InputError, shown

MIN_DIM = 16
MAX_DIM = 8192
"""What an engine can work with."""
_MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderIdentity:
    """Travels with every stored vector; equal identities mean comparable vectors.

    >>> print(EmbedderIdentity(id="wordllama", dim=256, version="0.4"))
    wordllama@0.4 (256-d)
    """

    id: str
    """The model, with its provider if it has one."""
    dim: int
    version: str
    """Changes whenever the same text would get another vector."""

    def __post_init__(self) -> None:
        for parameter, value in (("id", self.id), ("version", self.version)):
            if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or not value.isprintable():
                raise InputError(
                    f"embedder {parameter} must be 1..{_MAX_NAME} printable characters, got {shown(value)}"
                )
        if isinstance(self.dim, bool) or not isinstance(self.dim, int) or not MIN_DIM <= self.dim <= MAX_DIM:
            raise BoundsError(f"embedder dim must be an integer in {MIN_DIM}..{MAX_DIM}, got {shown(self.dim, 40)}")

    def __str__(self) -> str:
        return f"{self.id}@{self.version} ({self.dim}-d)"


def require_same(expected: EmbedderIdentity, got: EmbedderIdentity) -> None:
    """Pass if the vectors of both may be compared.

    Raises
    ------
    EmbedderMismatchError
        If they differ in anything; the message names both.

    >>> hashed = EmbedderIdentity(id="hashed", dim=384, version="1")
    >>> require_same(hashed, hashed)
    """
    if expected != got:
        raise EmbedderMismatchError(
            f"vectors of {got} cannot be mixed with those of {expected}: set SWARM_EMBEDDER to that one, "
            "or take another swarm"
        )
