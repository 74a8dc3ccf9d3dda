"""A training file as lines with their places: plain or gzip, from any offset, in constant memory."""

from __future__ import annotations

import gzip
import hashlib
import heapq
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

from swarm.errors import InputError

MAX_LINE_BYTES = 8 * 2**20
"""A longer line is passed over, and rejected."""
HELD_OUT = 1_000
"""So many lines are held out at most: more would judge no better, and what is held out is not learned."""
_SCALE = float(2**64)


class Line(NamedTuple):
    """A line with its number, from 1, and the offset behind it; `data` is cut where it is too long to be used."""

    number: int
    end: int
    data: bytes
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one reading of the whole file tells: its identity, a digest of its content; its lines; where those are that
    are held out, by number."""

    identity: str
    lines: int
    held_out: dict[int, int]


def lines_of(path: Path, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """The lines behind `offset`, in bytes of the text, where `number` of them end. Empty ones count, too.

    Raises
    ------
    InputError
        If the file cannot be read, or is no gzip file though its name says so.
    """
    with _reading(path) as file:
        file.seek(offset)
        while line := _next(file, number, offset):
            number, offset = line.number, line.end
            yield line


def lines_at(path: Path, places: Mapping[int, int]) -> Iterator[Line]:
    """Some lines, by number and offset in the order of the file, which is read once; errors as in `lines_of`."""
    with _reading(path) as file:
        for number, offset in places.items():
            file.seek(offset)
            if line := _next(file, number - 1, offset):
                yield line


def _next(file: IO[bytes], number: int, offset: int) -> Line | None:
    """The line behind `number` lines and `offset` bytes, where the file stands; None at its end."""
    if not (data := file.readline(MAX_LINE_BYTES + 1)):
        return None
    end, rest = offset + len(data), data
    while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
        rest = file.readline(MAX_LINE_BYTES + 1)
        end += len(rest)
    return Line(number + 1, end, data, len(data) > MAX_LINE_BYTES)


def scan(path: Path, hold_out: float) -> Scan:
    """Read a file once: the share `hold_out` of its lines is held out, those with the smallest digests.

    Only the content of a line decides, so of equal lines all are held out or none.
    """
    whole = hashlib.sha256()
    lines, end, bound = 0, 0, hold_out * _SCALE
    smallest: list[tuple[int, int, int]] = []
    for line in lines_of(path):
        digest = digest_of(line.data)
        whole.update(digest)
        priority = int.from_bytes(digest[:8], "big")
        if priority < bound:
            heapq.heappush(smallest, (-priority, line.number, end))
            if len(smallest) > HELD_OUT:
                # The largest goes, and all that are equal to it: they are learned then.
                gone = heapq.heappop(smallest)[0]
                while smallest and smallest[0][0] == gone:
                    heapq.heappop(smallest)
                bound = -gone
        lines, end = line.number, line.end
    held_out = {number: start for _, number, start in sorted(smallest, key=lambda one: one[1])}
    return Scan(identity=whole.hexdigest(), lines=lines, held_out=held_out)


def digest_of(data: bytes) -> bytes:
    """What equal lines have in common, of 16 bytes."""
    return hashlib.blake2b(data.rstrip(b"\r\n"), digest_size=16).digest()


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    try:
        # A file is read several times; a FIFO would be waited for as well.
        if not path.is_dir() and path.exists() and not path.is_file():
            raise InputError(f"data: {path} is a pipe or device, a file is read twice: send it to stdin, with --data -")
        with _opened(path) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"data: {path}: {getattr(error, 'strerror', None) or error}") from None


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb", buffering=2**20)
