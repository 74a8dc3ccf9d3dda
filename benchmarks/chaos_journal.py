"""What a process of `bench_chaos` tried to send and what it got a receipt for: a file that survives the process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


class Journal:
    """Lines are written at once and whole; several processes may follow one another in one file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def tried(self, key: str) -> None:
        """About to be sent."""
        self._write("try", key)

    def got(self, key: str) -> None:
        """Accepted: there is a receipt."""
        self._write("got", key)

    def _write(self, word: str, key: str) -> None:
        os.write(self._descriptor, f"{word} {key}\n".encode())


@dataclass(slots=True)
class Sent:
    """What journals say."""

    tried: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)

    def read(self, path: Path) -> None:
        """Add what one journal says."""
        for line in path.read_text().splitlines():
            word, _, key = line.partition(" ")
            (self.tried if word == "try" else self.accepted).add(key)
