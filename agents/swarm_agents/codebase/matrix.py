"""The chunks of all files as arrays, and the signs by which each is like a question.

A sign is a number per chunk: how well the question's terms match in each field (BM25, Robertson and Zaragoza 2009,
equation 3.15), the cosines of its vector with those of the chunk, and what kind of chunk it is. What a sign is worth is
said elsewhere (`sona.sign_weights`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from swarm.sona.vectors import Doubles, Integers, Vector
from swarm.wire.code_records import FIELDS, VIEWS, ChunkPlace, Counts, FileRecord, Postings
from swarm_agents.codebase.terms import TERM_BITS, asked_terms

SIGNS = (
    *(f"terms in {field}" for field in FIELDS),
    *(f"meaning of {view}" for view in VIEWS),
    "is a test",
    "is an outline",
    "is private",
)
START: Doubles = np.array([0.4, 0.4, 0.3, 1.5, 1.2, 1.0, 1.3, -1.5, -1.5, -0.3])
"""What each sign is worth before anything was judged: set by hand, with docstrings of two trees as questions."""
_TERM_SCALE, _COSINE_SCALE = 5.0, 0.25
"""A sign's usual size, so that all weights are of one order."""
_K1 = 1.2
_B = {"body": 0.75}
_SHORT_B = 0.3
"""b of BM25: in short fields length says little."""
_MOST_TERMS = 255
_NO_POSTINGS: Postings = np.empty(0, dtype=np.uint32)
_NO_COUNTS: Counts = np.empty(0, dtype=np.uint16)
_TEST = re.compile(r"(^|[/_.-])tests?([/_.-]|$)|(^|/)conftest|[._-]spec\.", re.IGNORECASE)


class CodeMatrix:
    """The chunks of some files. Rows are chunks, in the order of the files' paths and of their lines."""

    def __init__(self, files: Mapping[str, FileRecord]) -> None:
        self._files = [files[path] for path in sorted(files)]
        sizes = [len(file.chunks) for file in self._files]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.intp)])
        self._seen = np.zeros(1 << TERM_BITS, dtype=np.uint8)
        self._fields = [_Field(self._files, column, len(self)) for column in range(len(FIELDS))]
        self._vectors = _directions(self._files)
        self._kinds = _kinds(self._files)
        self._rows: dict[str, int] | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def place(self, row: int) -> tuple[FileRecord, ChunkPlace, int]:
        """The file of a chunk, the chunk, and its position in the file."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        position = row - int(self._starts[number])
        return self._files[number], self._files[number].chunks[position], position

    def name(self, row: int) -> str:
        """What a chunk is called for ever: its file, and its name there."""
        file, chunk, _ = self.place(row)
        return name_of(file, chunk)

    def rows(self, names: Iterable[str]) -> dict[str, int]:
        """The rows of those of these chunks that are there."""
        if self._rows is None:
            named = (name_of(file, chunk) for file in self._files for chunk in file.chunks)
            self._rows = {name: row for row, name in enumerate(named)}
        return {name: self._rows[name] for name in names if name in self._rows}

    def signs(self, text: str, x: Vector) -> Vector:
        """The signs of all chunks for a question and its vector (d,), of shape (n, signs)."""
        asked = np.array(list(dict.fromkeys(asked_terms(text)))[:_MOST_TERMS], dtype=np.intp)
        self._seen[asked] = np.arange(1, len(asked) + 1, dtype=np.uint8)
        scores = [field.scores(self._seen, len(asked)) / _TERM_SCALE for field in self._fields]
        self._seen[asked] = 0
        scores += [view.dot(x) / _COSINE_SCALE for view in self._vectors]
        return np.column_stack([*scores, self._kinds]).astype(np.float32)

    def similarity(self, row: int, x: Vector) -> float:
        """The largest cosine of a chunk's vectors with that of a question."""
        return max(float(view[row].dot(x)) for view in self._vectors)


class _Field:
    """The postings of one field of all chunks, in the order of the chunks: small enough to be read whole."""

    def __init__(self, files: Sequence[FileRecord], column: int, n: int) -> None:
        self._n = n
        parts, counts, lengths = [], [], []
        for file in files:
            ends = np.cumsum(file.counts.sum(axis=0, dtype=np.intp))
            parts.append(file.postings[ends[column] - file.counts[:, column].sum(dtype=np.intp) : ends[column]])
            counts.append(file.counts[:, column])
            lengths.append(file.lengths[:, column])
        postings = np.concatenate([_NO_POSTINGS, *parts])
        self._codes = (postings >> 8).astype(np.int32)
        self._times = (postings & 255).astype(np.uint8)
        self._owners = np.repeat(np.arange(n, dtype=np.int32), np.concatenate([_NO_COUNTS, *counts]))
        length = np.concatenate([_NO_COUNTS, *lengths]).astype(np.float32)
        b = _B.get(FIELDS[column], _SHORT_B)
        self._norm = _K1 * (1.0 - b + b * length / max(float(length.mean()) if n else 0.0, 1.0))

    def scores(self, seen: npt.NDArray[np.uint8], count: int) -> Doubles:
        """BM25 of every chunk, of shape (n,), for the `count` terms that `seen` numbers from 1."""
        numbers = seen[self._codes]
        hits = np.flatnonzero(numbers)
        owners, numbers = self._owners[hits], numbers[hits]
        df = np.bincount(numbers, minlength=count + 1)
        idf = np.log1p((self._n - df + 0.5) / (df + 0.5))
        times = self._times[hits].astype(np.float64)
        weights = idf[numbers] * times * (_K1 + 1.0) / (times + self._norm[owners])
        return np.bincount(owners, weights=weights, minlength=self._n).astype(np.float64)


def name_of(file: FileRecord, chunk: ChunkPlace) -> str:
    """`file::name`; of what has no name, the file alone."""
    return f"{file.path}::{chunk.name}" if chunk.name else file.path


def _directions(files: Sequence[FileRecord]) -> list[Vector]:
    """For each view the vectors (n, d) of unit length."""
    found = []
    for view in range(len(VIEWS)):
        rows = [file.vectors[:, view] for file in files]
        vectors = np.concatenate(rows).astype(np.float32) if rows else np.empty((0, 0), dtype=np.float32)
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        vectors /= np.maximum(lengths, 1.0)[:, None]
        found.append(vectors)
    return found


def _kinds(files: Sequence[FileRecord]) -> Vector:
    """Whether each chunk is of a test, an outline, private: of shape (n, 3)."""
    rows = []
    for file in files:
        is_test = bool(_TEST.search(file.path))
        for chunk in file.chunks:
            is_private = chunk.name.rpartition(".")[2].startswith("_")
            rows.append((is_test, chunk.kind in ("class", "module"), is_private))
    return np.array(rows, dtype=np.float32).reshape(len(rows), 3)


def rows_of_best(scores: Doubles, count: int) -> Integers:
    """Rows of the best scores, best first; equal ones in the order of their rows."""
    if len(scores) > count:
        rows = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    else:
        rows = np.arange(len(scores))
    return np.asarray(rows[np.argsort(-scores[rows], kind="stable")][:count], dtype=np.intp)
