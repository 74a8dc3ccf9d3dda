"""JSON lines, plain or gzipped, and checked fields of a line; an error names the file, the line and the field."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from swarm.embed.text import check_text
from swarm.errors import InputError
from swarm.sona.vectors import check_number
from swarm.sona.vectors import check_text as check_stored_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a file."""

    fields: dict[str, object]
    where: str
    """File and line, for errors."""

    def has(self, name: str) -> bool:
        """Whether the field is there, and not null."""
        return self.fields.get(name) is not None

    def text(self, name: str) -> str:
        """A text that can be embedded, with more than white space."""
        return check_text(self._value(name), f"{self.where}: {name}")

    def any_text(self, name: str) -> str:
        """A text that may be empty; so is a missing one."""
        return check_stored_text(self.fields.get(name, ""), f"{self.where}: {name}")

    def number(self, name: str, low: float, high: float) -> float:
        """A finite number in [low, high]; true and false are refused."""
        return check_number(self._value(name), f"{self.where}: {name}", low, high)

    def numbers(self, name: str, count: int, low: float, high: float) -> tuple[float, ...]:
        """`count` numbers in [low, high]."""
        values = self._list(name)
        if len(values) != count:
            raise InputError(f"{self.where}: {name} must hold {count} numbers, got {len(values)}")
        return tuple(check_number(v, f"{self.where}: {name}[{i}]", low, high) for i, v in enumerate(values))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, none of them empty; a missing one is empty."""
        values = self._list(name) if self.has(name) else []
        return tuple(check_text(v, f"{self.where}: {name}[{i}]") for i, v in enumerate(values))

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`."""
        value = self.text(name)
        if value not in choices:
            raise InputError(f"{self.where}: {name} must be one of {', '.join(choices)}, got {value!r:.40}")
        return value

    def _list(self, name: str) -> list[object]:
        value = self._value(name)
        if not isinstance(value, list):
            raise InputError(f"{self.where}: {name} must be a list, got {type(value).__name__}")
        return value

    def _value(self, name: str) -> object:
        if name not in self.fields:
            raise InputError(f"{self.where}: {name} is missing")
        return self.fields[name]


def require_folder(data: Path | None, needs: str) -> Path:
    """`data` if it is a folder.

    Raises
    ------
    InputError
        If it is None or no folder; the message says what it `needs`, such as "a routing set: queries.jsonl.gz".
    """
    if data is None:
        raise InputError(f"data must be a folder with {needs}: this benchmark has no data of its own, give --data DIR")
    if not data.is_dir():
        found = "it is a file" if data.exists() else "there is nothing"
        raise InputError(f"data must be a folder with {needs}, but {found} at {data}")
    return data


def find_rows(folder: Path, stem: str) -> Path | None:
    """`STEM.jsonl.gz` or `STEM.jsonl` in the folder, or None."""
    paths = (folder / f"{stem}.jsonl.gz", folder / f"{stem}.jsonl")
    return next((path for path in paths if path.is_file()), None)


def require_rows(folder: Path, stem: str, what: str) -> list[Row]:
    """All rows of that file, at least one; InputError, with `what` the folder should be, if there is none."""
    path = find_rows(folder, stem)
    if path is None:
        raise InputError(f"data must be {what}, but there is no {stem}.jsonl.gz or {stem}.jsonl in {folder}")
    rows = read_rows(path)
    if not rows:
        raise InputError(f"{path}: at least 1 row is needed, got 0")
    return rows


def read_rows(path: Path) -> list[Row]:
    """Every line that is not blank.

    Raises
    ------
    InputError
        If the file cannot be read to its end, or a line is not a JSON object.
    """
    rows: list[Row] = []
    number = 0
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(_row(line, f"{path}, line {number}"))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read after line {number}: {error}") from error
    return rows


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _row(line: str, where: str) -> Row:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise InputError(f"{where}: must be a JSON object, got {type(fields).__name__}")
    return Row(fields=fields, where=where)
