"""The side file of lines that cannot be learned from: each with its number and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

import orjson

from swarm.errors import InputError

SHOWN = 1_024
"""Characters of a line that are kept in the side file."""


class Reject(NamedTuple):
    """A line that cannot be learned from, and why."""

    number: int
    why: str
    text: str


class Rejects:
    """Writes `path`, from `size` bytes on: what a run that was broken had written behind that is written again.

    A file without bad lines gets none.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self.size = size
        if path.exists() or size:
            self._open()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Note some lines; the system has them when this returns."""
        for number, why, text in rejects:
            record = orjson.dumps({"line": number, "reason": why, "text": text}, option=orjson.OPT_APPEND_NEWLINE)
            self._open().write(record)
            self.size += len(record)
        if self._file is not None:
            self._file.flush()

    def _open(self) -> IO[bytes]:
        try:
            if self._file is None:
                self._path.touch()
                self._file = self._path.open("r+b")
                # Somebody may have taken it away meanwhile.
                self.size = min(self.size, self._path.stat().st_size)
                self._file.truncate(self.size)
                self._file.seek(self.size)
        except OSError as error:
            raise InputError(f"rejected: {self._path} cannot be written: {error.strerror}") from None
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self.size == 0 and self._path.exists():
            self._path.unlink()
