"""One key at a time from the terminal, without Return; afterwards the terminal is as it was."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from types import TracebackType
from typing import Any


class Keyboard:
    """Reads keys while it is entered; where stdin is no terminal, it waits and has none."""

    def __init__(self) -> None:
        self._number = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before: list[Any] = []

    def __enter__(self) -> Keyboard:
        if self._number is not None:
            self._before = termios.tcgetattr(self._number)
            tty.setcbreak(self._number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._number is not None:
            termios.tcsetattr(self._number, termios.TCSADRAIN, self._before)

    def key(self, wait_s: float) -> str:
        """The next key within `wait_s` seconds; empty without one."""
        if self._number is None:
            time.sleep(wait_s)
            return ""
        if not select.select([self._number], [], [], wait_s)[0]:
            return ""
        data = os.read(self._number, 1)
        if not data:
            # The terminal is gone; without this the loop would turn without a pause.
            raise EOFError
        return data.decode("ascii", "replace")
