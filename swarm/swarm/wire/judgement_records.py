"""What was asked of an indexed codebase, and what was said to the answers, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarm.errors import InputError
from swarm.sona.vectors import Vector, check_count, check_number, check_text
from swarm.wire.codec import encode, pack_floats, unpack_floats
from swarm.wire.records import guarded

MAX_CANDIDATES = 64
MAX_SIGNS = 32
_TRAJECTORY = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, and the chunks that came into question: by name, with their signs of likeness (c, signs)."""

    text: str
    at_s: float
    names: tuple[str, ...]
    signs: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was said to one answer: which candidate of how many, with their signs, and its quality in [0, 1]."""

    at_s: float
    chosen: int
    quality: float
    signs: Vector


def judgement_of(question: str, answer: str) -> str:
    """The trajectory of an answer that was judged, by the names of both.

    >>> names_of(judgement_of("0123456789", "abcdef"))
    ('0123456789', 'abcdef')
    """
    return f"{_TRAJECTORY}-{question}-{answer}"


def names_of(trajectory_id: str) -> tuple[str, str] | None:
    """The inverse of `judgement_of`; None if it is another trajectory."""
    kind, *names = trajectory_id.split("-")
    return (names[0], names[1]) if kind == _TRAJECTORY and len(names) == 2 else None


def encode_asked(asked: Asked) -> bytes:
    """A question with its candidates."""
    return encode(
        "code_asked",
        {"text": asked.text, "at_s": asked.at_s, "names": list(asked.names), "signs": _packed(asked.signs)},
    )


def decode_asked(data: bytes) -> Asked:
    """The inverse of `encode_asked`."""
    return guarded("code_asked", data, _asked)


def encode_judged(judged: Judged) -> bytes:
    """A judgement."""
    return encode(
        "code_judged",
        {
            "at_s": judged.at_s,
            "chosen": judged.chosen,
            "quality": judged.quality,
            "signs": _packed(judged.signs),
        },
    )


def decode_judged(data: bytes) -> Judged:
    """The inverse of `encode_judged`."""
    return guarded("code_judged", data, _judged)


def _asked(payload: Mapping[str, Any]) -> Asked:
    names = tuple(check_text(name, "name") for name in payload["names"])
    signs = _unpacked(payload["signs"])
    if len(signs) != len(names):
        raise InputError(f"signs must be those of {len(names)} candidates, got {len(signs)}")
    return Asked(text=check_text(payload["text"], "text"), at_s=float(payload["at_s"]), names=names, signs=signs)


def _judged(payload: Mapping[str, Any]) -> Judged:
    signs = _unpacked(payload["signs"])
    return Judged(
        at_s=float(payload["at_s"]),
        chosen=check_count(payload["chosen"], "chosen", 0, len(signs) - 1),
        quality=check_number(payload["quality"], "quality", 0.0, 1.0),
        signs=signs,
    )


def _packed(signs: Vector) -> Sequence[object]:
    return [*signs.shape, pack_floats(signs)]


def _unpacked(packed: Sequence[Any]) -> Vector:
    candidates, signs, data = packed
    check_count(candidates, "candidates", 1, MAX_CANDIDATES)
    return unpack_floats(data, (candidates, check_count(signs, "signs", 1, MAX_SIGNS)), "signs")
