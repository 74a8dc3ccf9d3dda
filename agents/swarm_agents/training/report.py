"""What a training tells: after each round, and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """One round: its lines are committed and searchable. `generation` is 0 if it taught nothing."""

    agent: str
    file: str
    """The id of the file for this agent; the trajectory of line N is FILE/N."""
    lines: int
    """Lines read so far, of `total`."""
    total: int
    trained: int
    """Of this round."""
    generation: int
    promoted: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What became of a file: what each line was counted as, and how the agent did on held-out lines."""

    agent: str
    file: str
    profile: str
    epochs: int
    batch_size: int
    lines: int
    trained: int
    held_out: int
    filtered: int
    duplicates: int
    rejected: int
    refused: int
    rounds: int
    promoted: int
    """Of the rounds of this run, those whose new weights won."""
    weights_refused: int
    """Of the rounds of this run, those whose new weights did not win, and are not used."""
    generation: int
    resumed_at: int
    """The line behind which this run went on, 0 if it began the file."""
    was_learned: bool
    """Whether the whole file was learned before, and this run changed nothing."""
    seconds: float
    """Of this run."""
    lines_per_s: float
    embedded_here: int
    """Parts of texts that this process embedded; with `spread` 0 if the workers did all."""
    rejections: tuple[tuple[int, str], ...]
    """The first lines of this run that could not be used, and why."""
    rejected_file: str
    """Where all of them are, "" if there are none."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
