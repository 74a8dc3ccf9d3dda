"""Waiting for the end of something, without holding a thread meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import anyio
from anyio import to_thread
from fastapi import Request

from swarm.errors import StoreUnavailableError, UnknownIdError
from swarm.services.receipts import Receipt
from swarm_gateway.gateway import Gateway

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
"""Each look costs a few round trips: whoever waits long is told a little later."""


class _Ending(Protocol):
    @property
    def has_ended(self) -> bool: ...


_T = TypeVar("_T", bound=_Ending)


async def until_ended(
    look: Callable[[], _T], wait_s: float, request: Request, gateway: Gateway, *, known: _T | None = None
) -> _T:
    """What `look` finds when it has ended, or else after `wait_s`, or when nobody is there any more to be told.

    Parameters
    ----------
    look : is called in a thread, more and more seldom
    known : how it stood before, for the case that Redis is away: what was accepted must not be answered by an error
    """
    deadline, pause = anyio.current_time() + wait_s, _FIRST_PAUSE_S
    while True:
        try:
            known = await to_thread.run_sync(look)
        except (StoreUnavailableError, UnknownIdError):
            # What is spooled is unknown to Redis until it is sent.
            if known is None:
                raise
        left = deadline - anyio.current_time()
        if known.has_ended or left <= 0.0 or gateway.is_closing or await request.is_disconnected():
            return known
        await anyio.sleep(min(pause, left))
        pause = min(1.5 * pause, _LONGEST_PAUSE_S)


async def receipt_when_ended(receipt: Receipt, wait_s: float, request: Request, gateway: Gateway) -> Receipt:
    """The receipt of an outcome that was just reported, as it stands when it is searchable, or after `wait_s`."""
    if not wait_s or receipt.has_ended:
        return receipt

    def look() -> Receipt:
        with gateway.engines.use(receipt.agent) as engine:
            found = replace(engine.receipt(receipt.idempotency_key), is_new=receipt.is_new)
            if found.has_ended:
                # So that the next hook sees it.
                engine.refresh()
            return found

    return await until_ended(look, wait_s, request, gateway, known=receipt)
