"""A wall between the consumer loop and what it calls."""

from __future__ import annotations

import logging
from collections.abc import Callable

from swarm.errors import StoreUnavailableError
from swarm.telemetry.logs import told

logger = logging.getLogger(__name__)


class Guard:
    """Runs something periodic that may fail; an outage is counted and logged once, not at every try."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.outages = 0
        """How often a failure began."""
        self.fault = ""
        """Why the last run failed; empty when it did not."""

    def run(self, action: Callable[[], object]) -> None:
        """Run `action`; whatever it raises stays here."""
        try:
            action()
        except Exception as error:
            # All of them, on purpose: the event loop takes an OSError or a KeyError for a lost broker and
            # reconnects, and an AssertionError ends the worker. The fault is in the log and in the heartbeat.
            self._failed(error)
        else:
            if self.fault:
                logger.warning("%s works again", self._what)
            self.fault = ""

    def _failed(self, error: Exception) -> None:
        if not self.fault:
            self.outages += 1
            expected = isinstance(error, StoreUnavailableError)
            logger.error("%s fails: %s", self._what, told(error), exc_info=not expected)
        self.fault = f"{type(error).__name__}: {error}"[:500]
