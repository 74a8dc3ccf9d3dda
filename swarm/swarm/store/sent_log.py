"""What was sent to Redis lately, on disk: Redis may lose the last seconds of what it acknowledged, and senders may die.

A process has two files at most: what is added goes into the present one, a turn makes that the former one and drops the
former one before. So an entry stays for one turn at least and two at most. A process holds a lock on its files; those
that nobody holds were left behind by one that died, and another takes them over.

Nothing is flushed to the disk itself: this is for processes that die. For power cuts Redis has `appendfsync always`.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swarm.store.private import make_private

_LENGTH = struct.Struct("<I")
_SUFFIX = ".sent"


@dataclass(slots=True)
class _File:
    path: Path
    descriptor: int
    size: int = 0


class SentLog:
    """The log of this process; every method raises `OSError` when the folder cannot be used.

    Parameters
    ----------
    folder : made at the first `add`, for this user alone
    max_bytes : bound of a file; what would go beyond it is not kept, and counted in `unguarded`
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._former: _File | None = None
        self._present: _File | None = None
        self._lock = threading.Lock()
        self.unguarded = 0

    def add(self, entries: Sequence[bytes]) -> None:
        """Keep entries until the turn after the next."""
        data = b"".join(part for entry in entries for part in (_LENGTH.pack(len(entry)), entry))
        with self._lock:
            file = self._present = self._present or self._begin()
            if file.size + len(data) > self._max_bytes:
                self.unguarded += len(entries)
                return
            # One write: a process that is killed leaves whole entries, and perhaps the beginning of the last one.
            os.write(file.descriptor, data)
            file.size += len(data)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return self._former is None and self._present is None

    def turn(self) -> None:
        """Let go what was added before the last turn."""
        with self._lock:
            dropped, self._former, self._present = self._former, self._present, None
            if dropped is not None:
                dropped.path.unlink(missing_ok=True)
                os.close(dropped.descriptor)

    def entries(self) -> list[bytes]:
        """What is kept, oldest first."""
        with self._lock:
            files = [file for file in (self._former, self._present) if file is not None]
            return [entry for file in files for entry in _read(file.path)]

    def left_behind(self) -> Iterator[list[bytes]]:
        """The entries of each file that nobody holds; a file goes when the next one is asked for."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            with suppress(FileNotFoundError, BlockingIOError):
                descriptor = os.open(path, os.O_RDWR)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield list(_read(path))
                    path.unlink(missing_ok=True)
                finally:
                    os.close(descriptor)

    def close(self) -> None:
        """Let go of the files: what is in them is for whoever takes them over."""
        with self._lock:
            for file in (self._former, self._present):
                if file is not None:
                    os.close(file.descriptor)
            self._former = self._present = None

    def _begin(self) -> _File:
        make_private(self._folder)
        path = self._folder / uuid.uuid4().hex
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        # Locked before it has the name by which others look for it.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        named = path.with_suffix(_SUFFIX)
        path.rename(named)
        return _File(named, descriptor)


def _read(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    start = 0
    while start + _LENGTH.size <= len(data):
        end = start + _LENGTH.size + _LENGTH.unpack_from(data, start)[0]
        if end > len(data):
            return
        yield data[start + _LENGTH.size : end]
        start = end
