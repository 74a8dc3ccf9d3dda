"""The wall between the consumer loop and what it calls."""

from __future__ import annotations

import logging

import pytest

from swarm.errors import StoreUnavailableError, UnknownIdError
from swarm_workers.guard import Guard


def fail_with(error: Exception) -> None:
    raise error


def test_an_outage_is_counted_and_logged_once_however_long_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard("sweep")
    for _ in range(5):
        guard.run(lambda: fail_with(StoreUnavailableError("cannot sweep")))
    assert guard.outages == 1
    assert guard.fault == "StoreUnavailableError: cannot sweep"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]

    guard.run(lambda: None)
    assert guard.fault == ""
    assert "sweep works again" in caplog.messages[-1]

    guard.run(lambda: fail_with(StoreUnavailableError("again")))
    assert guard.outages == 2


@pytest.mark.parametrize("error", [UnknownIdError("a"), KeyError("b"), OSError("c"), AssertionError("d")])
def test_what_the_event_loop_would_misunderstand_stays_inside(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    guard = Guard("sweep")
    guard.run(lambda: fail_with(error))
    assert guard.outages == 1
    assert type(error).__name__ in guard.fault
    assert caplog.records[0].exc_info is not None


def test_an_interrupt_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        Guard("sweep").run(lambda: fail_with(KeyboardInterrupt()))  # type: ignore[arg-type]
