"""The breaker leaves Redis alone for a moment after each failure."""

from __future__ import annotations

from support import wait_until

from swarm_agents.breaker import Breaker


def test_it_opens_at_a_failure_and_closes_after_its_pause() -> None:
    breaker = Breaker(pause_s=0.05)
    assert not breaker.is_open
    breaker.failed(OSError("away"))
    assert breaker.is_open
    assert (breaker.failures, breaker.last_error) == (1, "away")
    wait_until(lambda: not breaker.is_open, 30.0, "the breaker to close")
    assert breaker.failures == 1


def test_a_success_closes_it_at_once() -> None:
    breaker = Breaker(pause_s=60.0)
    breaker.failed(OSError("away"))
    breaker.succeeded()
    assert not breaker.is_open


def test_what_is_no_fault_of_redis_is_counted_and_does_not_open_it() -> None:
    breaker = Breaker()
    breaker.noted(ValueError("damaged"))
    assert (breaker.is_open, breaker.failures, breaker.last_error) == (False, 1, "damaged")
