"""A training file as rounds of outcomes. Where a round ends hangs on the file alone."""

from __future__ import annotations

import codecs
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swarm.embed.redaction import NO_REDACTION, Redaction
from swarm.embed.task_type import TaskTypes
from swarm.embed.text import MAX_TEXT_BYTES
from swarm.errors import InputError
from swarm.sona.clusters import action_of
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.wire.training_records import MAX_LEFT_OUT, FileProgress
from swarm_agents.training.lines import Example, parse_line
from swarm_agents.training.rejects import SHOWN, Reject
from swarm_agents.training.source import MAX_LINE_BYTES, Line, digest_of, lines_at, lines_of
from swarm_agents.training.vectors import Embedding

ROUND = 2_000
"""Outcomes that are learned together, at most."""
_ROUND_LINES = 20_000
_ROUND_BYTES = 32 * 2**20
"""A round that reads so much is over, however little of it can be used."""
_WINDOW = 250_000
"""A line is compared with so many different ones before it."""


class Usable(NamedTuple):
    """A line that can be learned from; of one with a vector the bytes are gone."""

    number: int
    data: bytes
    example: Example


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What of a file is learned: all but lines in `held_out` (their offsets by number), lines below `min_quality`,
    and with `dedup` lines that are equal to one before. With `is_strict` a line that cannot be used is an error."""

    held_out: Mapping[int, int]
    min_quality: float = 0.0
    dedup: bool = False
    is_strict: bool = False
    size: int = ROUND


@dataclass(slots=True)
class FileRound:
    """A round that was read, up to line `lines` and byte `offset`; what was not learned is counted by why."""

    lines: int
    offset: int
    usable: list[Usable] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    trajectories: tuple[Trajectory, ...] = ()

    def after(self, before: FileProgress, rejected_bytes: int) -> FileProgress:
        """How far the file is with this round, but for what is trained."""
        return replace(
            before,
            lines=self.lines,
            offset=self.offset,
            rejected_bytes=rejected_bytes,
            rounds=before.rounds + 1,
            held_out=before.held_out + self.counts["held_out"],
            filtered=before.filtered + self.counts["filtered"],
            duplicates=before.duplicates + self.counts["duplicates"],
            rejected=before.rejected + len(self.rejects),
            left_out=dict(sorted((Counter(before.left_out) + self.left_out).items())[:MAX_LEFT_OUT]),
        )


class Reader:
    """Reads a file for an agent; `file` is the file's id, the first part of every trajectory's."""

    def __init__(
        self,
        path: Path,
        file: str,
        agent: str,
        types: TaskTypes,
        embedding: Embedding,
        terms: Terms,
        redaction: Redaction = NO_REDACTION,
    ) -> None:
        self._path, self._file, self._agent = path, file, agent
        self._types, self._embedding, self._terms, self._redaction = types, embedding, terms, redaction
        self._dim = types.identity.dim
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def rounds(self, begun: FileProgress) -> Iterator[FileRound]:
        """The rounds behind `begun`. One is read ahead: its texts can be embedded while the one before is learned.

        Raises
        ------
        InputError
            If the file cannot be read; with `is_strict` at the first line that cannot be used.
        """
        self._look_back(begun)
        lines = lines_of(self._path, begun.offset, begun.lines)
        waiting: FileRound | None = None
        found = self._read(lines, FileRound(begun.lines, begun.offset))
        while found is not None:
            self._begin(found)
            if waiting is not None:
                yield self._finished(waiting, begun.begun_s)
            waiting, found = found, self._read(lines, FileRound(found.lines, found.offset))
        if waiting is not None:
            yield self._finished(waiting, begun.begun_s)

    def held_out(self, begun_s: float) -> tuple[Trajectory, ...]:
        """The outcomes that are held out; lines that cannot be used are none."""
        found = FileRound(0, 0)
        for line in lines_at(self._path, self._terms.held_out):
            self._take(line, found, is_judge=True)
        self._begin(found)
        return self._finished(found, begun_s).trajectories

    def _read(self, lines: Iterator[Line], found: FileRound) -> FileRound | None:
        """The next round; None at the end of the file."""
        first, start, line = found.lines, found.offset, None
        for line in lines:
            found.lines, found.offset = line.number, line.end
            self._take(line, found)
            if (
                len(found.usable) >= self._terms.size
                or found.lines - first >= _ROUND_LINES
                or found.offset - start >= _ROUND_BYTES
            ):
                break
        return None if line is None else found

    def _take(self, line: Line, found: FileRound, *, is_judge: bool = False) -> None:
        """Put a line where it belongs: to be learned, or counted by why not."""
        terms = self._terms
        try:
            example = self._redacted(example_of(line, self._dim))
        except InputError as error:
            if terms.is_strict:
                raise InputError(f"data: {self._path}: line {line.number}: {error}") from None
            found.rejects.append(self._reject(line.number, str(error), line.data))
            return
        found.left_out.update(example.left_out)
        if not is_judge and line.number in terms.held_out:
            found.counts["held_out"] += 1
        elif not is_judge and example.quality < terms.min_quality:
            found.counts["filtered"] += 1
        elif not is_judge and terms.dedup and self._is_duplicate(line):
            found.counts["duplicates"] += 1
        else:
            found.usable.append(Usable(line.number, line.data if example.vector is None else b"", example))

    def _redacted(self, example: Example) -> Example:
        """Without what the agent's redaction takes out, before anybody embeds it: a vector of such a text goes, too."""
        if not self._redaction:
            return example
        clean = self._redaction.text
        text = clean(example.text)
        return example._replace(
            vector=example.vector if text == example.text else None,
            text=text,
            response=clean(example.response),
            route=clean(example.route),
            context={clean(key): clean(value) for key, value in example.context.items()},
            left_out=tuple(map(clean, example.left_out)),
        )

    def _reject(self, number: int, why: str, data: bytes) -> Reject:
        """A line for the side file, without what the redaction takes out."""
        text = data[:MAX_TEXT_BYTES].decode(errors="replace").rstrip("\r\n")
        return Reject(number, self._redaction.text(why), self._redaction.text(text)[:SHOWN])

    def _begin(self, found: FileRound) -> None:
        texts = [one.example.text for one in found.usable if one.example.vector is None]
        self._embedding.begin(f"{self._file}/{found.lines}", texts)

    def _finished(self, found: FileRound, begun_s: float) -> FileRound:
        """The round with its outcomes; a text that has no vector is rejected."""
        embedded = self._embedding.finish()
        rows: list[Vector] = []
        usable: list[Usable] = []
        row = 0
        for one in found.usable:
            vector = one.example.vector
            if vector is None:
                if (why := embedded.unusable.get(row)) is not None:
                    if self._terms.is_strict:
                        raise InputError(f"data: {self._path}: line {one.number}: {why}")
                    found.rejects.append(self._reject(one.number, why, one.data))
                vector = None if why is not None else embedded.vectors[row]
                row += 1
            if vector is not None:
                rows.append(vector)
                usable.append(one)
        found.rejects.sort()
        found.usable = []
        if rows:
            queries = np.array(rows)
            types = self._types.infer_all(queries)
            found.trajectories = tuple(
                self._trajectory(one, query, kind, begun_s)
                for one, query, kind in zip(usable, queries, types, strict=True)
            )
        return found

    def _trajectory(self, one: Usable, query: Vector, task_type: str, begun_s: float) -> Trajectory:
        example = one.example
        return Trajectory(
            id=f"{self._file}/{one.number}",
            embedding=query,
            quality=example.quality,
            action=action_of(example.response) if example.response else "",
            response=example.response,
            route=example.route,
            latency_ms=example.latency_ms,
            cost=example.cost,
            text=example.text,
            task_type=task_type,
            agent=self._agent,
            at_s=begun_s if example.at_s is None else example.at_s,
            context=example.context,
        )

    def _look_back(self, begun: FileProgress) -> None:
        """Know the lines before `begun` again, of which later ones may be duplicates."""
        self._seen.clear()
        if self._terms.dedup and begun.lines:
            for line in lines_of(self._path):
                self._is_duplicate(line)
                if line.number >= begun.lines:
                    break

    def _is_duplicate(self, line: Line) -> bool:
        digest = digest_of(line.data)
        if digest in self._seen:
            return True
        self._seen[digest] = None
        if len(self._seen) > _WINDOW:
            self._seen.popitem(last=False)
        return False


def example_of(line: Line, dim: int) -> Example:
    """The example in a line of a file, for vectors of `dim` numbers; errors as in `parse_line`."""
    if line.is_cut:
        raise InputError(f"a line may have {MAX_LINE_BYTES} bytes at most")
    # The mark of order that some editors put before a file says nothing.
    return parse_line(line.data.removeprefix(codecs.BOM_UTF8) if line.number == 1 else line.data, dim)
