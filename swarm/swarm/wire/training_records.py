"""How far a file of examples has been learned, as a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from swarm.sona.clusters import MAX_TIME_S
from swarm.sona.vectors import check_count, check_number, check_text
from swarm.wire.codec import encode
from swarm.wire.records import guarded

_COUNTS = (
    *("lines", "offset", "rejected_bytes", "rounds"),
    *("trained", "held_out", "filtered", "duplicates", "rejected", "refused"),
)
_LARGEST = 2**53
MAX_LEFT_OUT = 100
"""So many names of fields that are left out are counted, the first in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProgress:
    """What became of the first `lines` lines of a file, which are `offset` bytes.

    `options` are those that decide what is learned, so that a run that goes on learns as one that was never broken;
    `before` and `after` the figures on what was held out, by name, {} while they are not known.
    """

    begun_s: float
    """The time of every line that names none, seconds since the epoch."""
    options: Mapping[str, float] = field(default_factory=dict)
    lines: int = 0
    offset: int = 0
    rejected_bytes: int = 0
    """Length of the side file of lines that cannot be used."""
    rounds: int = 0
    trained: int = 0
    held_out: int = 0
    filtered: int = 0
    """Lines below the quality that was asked for."""
    duplicates: int = 0
    rejected: int = 0
    refused: int = 0
    """Lines that were taken before, or belong to what was forgotten."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Fields that the engine does not learn from, and how many lines have them."""
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    is_done: bool = False


def encode_progress(progress: FileProgress) -> bytes:
    """A progress; `decode_progress` is the inverse."""
    return encode("training", asdict(progress))


def decode_progress(data: bytes) -> FileProgress:
    """The inverse of `encode_progress`."""
    return guarded("training", data, _progress)


def _progress(payload: Mapping[str, Any]) -> FileProgress:
    return FileProgress(
        begun_s=check_number(payload["begun_s"], "begun_s", 0.0, MAX_TIME_S),
        options=_figures(payload["options"], "options"),
        left_out={
            check_text(name, "left_out"): check_count(n, "left_out", 0, _LARGEST)
            for name, n in payload["left_out"].items()
        },
        before=_figures(payload["before"], "before"),
        after=_figures(payload["after"], "after"),
        is_done=payload["is_done"] is True,
        **{name: check_count(payload[name], name, 0, _LARGEST) for name in _COUNTS},
    )


def _figures(values: Mapping[str, Any], parameter: str) -> dict[str, float]:
    return {check_text(name, parameter): check_number(value, name, -1e300, 1e300) for name, value in values.items()}
