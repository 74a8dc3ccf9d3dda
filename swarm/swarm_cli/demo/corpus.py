"""What the demo runs on: labelled texts, from the standard library or from a folder."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from swarm.embed.text import check_text
from swarm.errors import InputError
from swarm_cli.demo.request import Request
from swarm_cli.demo.standard_library import standard_library_requests

__all__ = ["STANDARD_LIBRARY", "Corpus", "Request", "load_corpus"]

STANDARD_LIBRARY = "standard-library"
SPLITS = ("train", "val", "test")
OUT_OF_SCOPE = "oos"
"""Label of texts that no label answers; there is no right answer to learn."""

_FILE_NAMES = ("data.jsonl.gz", "data.jsonl")
_OTHER_FORMS = {
    "queries.jsonl": "a routing set (requests with the scores of several models)",
    "trajectories.jsonl": "a set of agent trajectories",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Labelled texts under a name; `held_out` is None where the source makes no such split."""

    name: str
    requests: tuple[Request, ...]
    held_out: tuple[Request, ...] | None
    left_out: int = 0
    """Rows that are not used: split `val`, and label `oos`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that has requests to learn from, sorted."""
        return tuple(sorted({request.label for request in self.requests}))


def load_corpus(data: Path | None) -> Corpus:
    """The labelled texts in folder `data`, or the standard library's documentation if it is None.

    The folder holds `data.jsonl.gz` or `data.jsonl`: one JSON object a line with the texts `text`, `label` and
    `split` (train, val or test). Rows of split `test` are held out; `val` and label `oos` are left out.

    Raises
    ------
    InputError
        If there is no such folder or file, a line cannot be used (the message names file and line), or
        there are not at least two labels to tell apart.
    """
    if data is None:
        return _checked(Corpus(name=STANDARD_LIBRARY, requests=standard_library_requests(), held_out=None), None)
    path = _data_file(data)
    train: list[Request] = []
    test: list[Request] = []
    left_out = 0
    for split, request in _rows(path):
        if split == "val" or request.label == OUT_OF_SCOPE:
            left_out += 1
        else:
            (test if split == "test" else train).append(request)
    name = data.resolve().name or "data"
    held_out = tuple(test) or None
    return _checked(Corpus(name=name, requests=tuple(train), held_out=held_out, left_out=left_out), path)


def _checked(corpus: Corpus, path: Path | None) -> Corpus:
    if (found := len(corpus.labels)) >= 2:
        return corpus
    if path is None:
        raise InputError(f"the standard library has documentation of {found} modules here; is Python running with -OO?")
    raise InputError(f"{path}: at least 2 labels with rows of split 'train' are needed, got {found}")


def _data_file(folder: Path) -> Path:
    if not folder.is_dir():
        found = "it is a file" if folder.exists() else "there is nothing"
        raise InputError(f"data must be a folder with {_FILE_NAMES[0]}, but {found} at {folder}")
    for name in _FILE_NAMES:
        if (folder / name).is_file():
            return folder / name
    for name, what in _OTHER_FORMS.items():
        if (folder / name).is_file() or (folder / f"{name}.gz").is_file():
            raise InputError(f"{folder} is {what}; the demo needs labelled texts: {_FILE_NAMES[0]}")
    raise InputError(f"no {' or '.join(_FILE_NAMES)} in {folder}")


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _rows(path: Path) -> Iterator[tuple[str, Request]]:
    """(split, request) of every line that is not blank."""
    number = 0
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, f"{path}, line {number}")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read after line {number}: {error}") from error


def _row(line: str, where: str) -> tuple[str, Request]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: must be a JSON object, got {type(row).__name__}")
    split = _field(row, "split", where)
    if split not in SPLITS:
        raise InputError(f"{where}: split must be one of {', '.join(SPLITS)}, got {split!r:.40}")
    return split, Request(text=_field(row, "text", where), label=_field(row, "label", where))


def _field(row: dict[str, object], name: str, where: str) -> str:
    if name not in row:
        raise InputError(f"{where}: {name} is missing")
    # Checked here, because the embedder would name neither the file nor the line.
    return check_text(row[name], f"{where}: {name}")
