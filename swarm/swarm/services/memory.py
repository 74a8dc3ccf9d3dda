"""Memory that is free again, but that the C library keeps for later."""

from __future__ import annotations

import ctypes


def give_back_memory() -> None:
    """Give freed memory back to the system, where the C library can: after a load it would keep tens of megabytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
