"""The bounds that a supervisor works with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a supervisor watches before it acts, in seconds."""

    silent_s: float = 15.0
    """A worker without a heartbeat for so long is replaced ..."""
    starting_s: float = 60.0
    """... one that has just been started after so long: it imports the handlers first."""
    deaf_s: float = 20.0
    """So is one that takes nothing for so long, although something waits and it does nothing."""
    settled_s: float = 5.0
    """A worker that ran well for so long is started again at once when it dies, not later and later ..."""
    forget_s: float = 60.0
    """... and after so long its failures are forgotten."""
    grow_s: float = 1.0
    """A pool grows when something has waited for so long ..."""
    quiet_s: float = 30.0
    """... and shrinks when it was too large for so long."""
    tick_s: float = 0.5
