"""A turn at an agent: its lease, waited for while a worker consolidates; and a look at one generation, without it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from swarm.errors import StaleWriterError, UnknownIdError
from swarm.store.agents import AgentState, AgentStore
from swarm.store.bank import BankStore
from swarm.store.lease import Lease
from swarm.wire.records import Registration

WAIT_S = 60.0
"""A consolidation takes a few seconds; a lease whose holder died expires long before."""
_POLL_S = 0.02
_LOOKS = 10
"""Each one is undone by a commit in the meantime; an agent is not consolidated that often."""
_T = TypeVar("_T")


@contextmanager
def turn_at(agent: str, agents: AgentStore, lease_ttl: float, wait_s: float = WAIT_S) -> Iterator[Lease]:
    """The agent's lease for the time of the block.

    Raises
    ------
    StaleWriterError
        If others hold the lease for longer than `wait_s`; nothing was done.
    """
    deadline = time.monotonic() + wait_s
    while (lease := agents.lease(agent, lease_ttl)) is None:
        if time.monotonic() >= deadline:
            raise StaleWriterError(f"agent {agent}: others hold its lease for more than {wait_s:g} s; try again")
        time.sleep(_POLL_S)
    with lease.held():
        yield lease


@contextmanager
def turn_at_bank(bank: BankStore, lease_ttl: float, wait_s: float = WAIT_S) -> Iterator[Lease]:
    """The lease of the merge for the time of the block; errors as in `turn_at`."""
    deadline = time.monotonic() + wait_s
    while (lease := bank.lease(lease_ttl)) is None:
        if time.monotonic() >= deadline:
            raise StaleWriterError(f"bank: others hold its lease for more than {wait_s:g} s; try again")
        time.sleep(_POLL_S)
    with lease.held():
        yield lease


def at_one_generation(agent: str, agents: AgentStore, read: Callable[[AgentState], _T]) -> _T:
    """What `read` makes of an agent of which nothing was committed meanwhile.

    Raises
    ------
    StaleWriterError
        If it is consolidated again and again while we read.
    """
    for _ in range(_LOOKS):
        state = agents.state(agent)
        found = read(state)
        now = agents.state(agent)
        if (now.generation, now.life) == (state.generation, state.life):
            return found
    raise StaleWriterError(f"agent {agent}: it was consolidated {_LOOKS} times while it was read; try again")


def registered(agent: str, agents: AgentStore) -> Registration:
    """The agent's registration.

    Raises
    ------
    UnknownIdError
        If no such agent is registered.
    """
    found = agents.registration(agent)
    if found is None:
        raise UnknownIdError(f"agent {agent!r:.80} is not registered: see swarm agents list")
    return found
