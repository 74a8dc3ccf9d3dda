"""The side file of lines that cannot be learned from: each with its number and the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

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

    Two processes that learn one file write the same bytes to the same places, so nobody cuts before the file is done.
    A file without bad lines gets none.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._file: FileIO | None = None
        self.size = size
        if path.exists() or size:
            self._open()

    def add(self, rejects: Iterable[Reject]) -> None:
        """Note some lines; the system has them when this returns."""
        with self._errors():
            for number, why, text in rejects:
                record = orjson.dumps({"line": number, "reason": why, "text": text}, option=orjson.OPT_APPEND_NEWLINE)
                left = memoryview(record)
                while left:
                    left = left[self._open().write(left) :]
                self.size += len(record)

    def finish(self) -> None:
        """The file is done: what stands behind is of another one."""
        if not self._path.is_file():
            return  # a device, such as /dev/null, stays what it is
        with self._errors():
            if self._file is not None:
                self._file.truncate(self.size)
            if self.size == 0:
                self._path.unlink()

    def _open(self) -> FileIO:
        with self._errors():
            if self._file is None:
                self._path.touch()
                # Without a buffer: what a full disk did not take is not tried once more by the end.
                self._file = self._path.open("r+b", buffering=0)
                if self._path.is_file():
                    # Somebody may have taken it away meanwhile.
                    self.size = min(self.size, self._path.stat().st_size)
                    self._file.seek(self.size)
        return self._file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"rejected: {self._path} cannot be written: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
