"""`/v1/events`: what changes in the swarm, as server-sent events; `/v1/events/stored`: what happened, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Header, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from swarm.errors import SwarmError
from swarm_gateway.identity import Asker, Here
from swarm_gateway.live import HEARTBEAT_S, Listener, LiveFeed, Sent
from swarm_gateway.schemas.events import EVENT_ID, EVENT_TYPE, Ended, EventPage, EventView, LiveEvent

router = APIRouter(tags=["status"])
_BEAT = b": nothing new\n\n"


class EventStream(Response):
    """Sends what a listener hears until it leaves, is let go, may not listen any more, or the process ends."""

    media_type = "text/event-stream"

    def __init__(
        self, feed: LiveFeed, listener: Listener, may_listen: Callable[[], object], status_code: int = 200
    ) -> None:
        super().__init__(status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        # It has no end that could be counted beforehand.
        del self.headers["content-length"]
        self._feed = feed
        self._listener = listener
        self._may_listen = may_listen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            with self._listener.scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._until_gone, receive)
                    await self._send_all(send)
                    tasks.cancel_scope.cancel()
        finally:
            self._feed.leave(self._listener)

    async def _send_all(self, send: Send) -> None:
        while (line := await self._next()) is not None:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes | None:
        with anyio.move_on_after(HEARTBEAT_S):
            sent = await self._listener.waiting.get()
            return None if sent is None else sent.encoded()
        try:
            # A token may have been revoked meanwhile.
            await to_thread.run_sync(self._may_listen)
        except SwarmError as error:
            self._listener.waiting.put_nowait(None)
            return Sent(id="end", event=Ended(why=str(error))).encoded()
        return _BEAT

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._listener.scope.cancel()


@router.get(
    "/v1/events",
    response_class=EventStream,
    responses={200: {"model": LiveEvent, "description": "Each with an id and its type as the event's name"}},
)
async def events(asker: Asker, here: Here, last_event_id: Annotated[str | None, Header()] = None) -> EventStream:
    """What changes in the swarm, from now on, or after the event of that id if it is still known.

    The first event is a `snapshot`, then `counts`, `agent`, `agent_gone`, `worker`, `worker_gone`, `tasks`,
    `searchable`, `merge`, `away` and `end`.
    """
    await to_thread.run_sync(asker.roles)
    token = "" if asker.access is None else asker.access.token
    return EventStream(here.live, await here.live.join(last_event_id, token), asker.roles)


@router.get("/v1/events/stored")
def stored(
    asker: Asker,
    after: Annotated[str, Query(pattern=EVENT_ID)] = "beginning",
    type: Annotated[tuple[EVENT_TYPE, ...], Query(max_length=32)] = (),
) -> EventPage:
    """What happened, as `swarm events` shows it: a page of it behind an event; ask again behind its `position`.

    `stream:gap` says that what came next is not stored any more.
    """
    follower = asker.events.follow(*type, after=after)
    return EventPage(events=[EventView.of_event(event) for event in follower.read()], position=follower.position)
