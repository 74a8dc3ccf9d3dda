"""Sends again what Redis acknowledged and then lost.

With `appendfsync everysec` a Redis that is killed can lose the last two seconds of what it has acknowledged. So every
process keeps what it sent for `resend_window` seconds at least. When a new connection shows that Redis may have been
restarted, all of it is sent again: outcomes and tasks have idempotency keys, so what was not lost has no second effect.
What a process that died has left is sent by the next one on this host.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from swarm.errors import QueueFullError, StoreUnavailableError, SwarmError
from swarm.settings import Settings
from swarm.store.connection import Client, connect, connections_made, redis_errors
from swarm.store.outcomes import Origin, Outcome, OutcomeStore
from swarm.store.sent_log import SentLog
from swarm.store.tasks import TaskStore
from swarm.telemetry.logs import told
from swarm.wire.codec import decode, encode
from swarm.wire.task_records import decode_task

logger = logging.getLogger(__name__)
_LOOK_S = 1.0
_MAX_BYTES = 512 * 2**20
"""Of what was sent within a window; more is not kept, and counted."""
_KIND = "sent"


class Resender:
    """What one process sent lately. Once something was sent, a thread looks after it every second, while this is used.

    It has a connection of its own: by that it sees whether Redis was restarted, and nobody has to wait for it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._starting = threading.Lock()
        self._connections = 0
        self._is_looked_after = False
        self._start_anew()
        self.failures = 0
        """How often something could not be kept, or not be sent again."""
        self.resent = 0
        """Outcomes and tasks that were sent again, lost or not."""

    @property
    def unguarded(self) -> int:
        """Outcomes and tasks that were sent and could not be kept here."""
        return self._log.unguarded

    def begin(self) -> None:
        """Say that something is about to be sent: a Redis that restarts from now on is noticed.

        Raises
        ------
        StoreUnavailableError
            If Redis is away.
        """
        self._start_anew_if_forked()
        if self._settings.resend_window and not self._connections:
            self._reach()
            self._connections = connections_made(self._client)

    def sent_outcomes(self, agent: str, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes of an agent that Redis has accepted."""
        self._keep([_encoded(agent, outcome) for outcome in outcomes])

    def sent_task(self, task: str, record: bytes) -> None:
        """Keep a task that Redis has accepted."""
        self._keep([encode(_KIND, {"task": task, "record": record})])

    def look(self) -> None:
        """Send again what may be lost, by this process or by one that died; let go what is safe.

        Raises
        ------
        StoreUnavailableError
            If Redis is away; everything stays.
        QueueFullError
            If there is no room for it; everything stays.
        """
        self._reach()
        self.look_at_what_was_left()
        connections = connections_made(self._client)
        if connections != self._connections:
            self._send(self._log.entries())
            self._connections, self._turned_at = connections, time.monotonic()
        elif time.monotonic() - self._turned_at >= self._settings.resend_window:
            self._log.turn()
            self._turned_at = time.monotonic()

    def look_at_what_was_left(self) -> None:
        """Send what processes of this host kept that have died; errors as in `look`."""
        for entries in self._log.left_behind():
            self._send(entries)

    def close(self) -> None:
        """End the thread; what is kept is left behind, for the next process."""
        _let_go(self._closed, self._log, self._client)

    def _keep(self, entries: Sequence[bytes]) -> None:
        if not self._settings.resend_window:
            return
        self._start_anew_if_forked()
        try:
            self._log.add(entries)
        except OSError as error:
            # What was accepted is accepted; it only is not guarded against a Redis that dies within the window.
            self._failed("keep", error)
            return
        with self._starting:
            if not self._is_looked_after:
                self._is_looked_after = True
                arguments = (weakref.ref(self), self._closed)
                threading.Thread(target=_look_after, args=arguments, name="resend", daemon=True).start()

    def _start_anew_if_forked(self) -> None:
        if self._pid != os.getpid():
            # Files, thread and connection are the parent's.
            self._start_anew()

    def _start_anew(self) -> None:
        self._pid = os.getpid()
        # A hook may be waiting for the first look.
        timeout = min(self._settings.hook_timeout, self._settings.socket_timeout)
        self._client = connect(self._settings.model_copy(update={"socket_timeout": timeout}))
        self._tasks = TaskStore.of(self._settings, self._client)
        self._log = SentLog(self._settings.state_dir / "sent" / self._settings.name, _MAX_BYTES)
        self._closed = threading.Event()
        # Whoever is done with this object need not say so: what is kept is then left behind.
        weakref.finalize(self, _let_go, self._closed, self._log, self._client)
        self._connections = 0
        self._is_looked_after = False
        self._turned_at = time.monotonic()

    def look_if_needed(self) -> float:
        """As `look`, while anything is kept; errors are counted. Seconds until it should be called again."""
        if self._log.is_empty:
            return _LOOK_S
        try:
            self.look()
        except StoreUnavailableError:
            pass
        except QueueFullError as error:
            return max(_LOOK_S, error.retry_after_s)
        except (SwarmError, OSError) as error:
            self._failed("send again", error)
        return _LOOK_S

    def _reach(self) -> None:
        with redis_errors("look whether Redis was restarted"):
            self._client.ping()

    def _failed(self, what: str, error: Exception) -> None:
        self.failures += 1
        why = str(error) if isinstance(error, OSError) else told(error)
        logger.warning("cannot %s what was sent lately: %s", what, why)

    def _send(self, entries: Sequence[bytes]) -> None:
        """Append and submit what is kept; what Redis has already has no effect."""
        outcomes: dict[str, list[Outcome]] = {}
        for payload in (decode(_KIND, entry) for entry in entries):
            if "task" in payload:
                self._submit(payload["task"], payload["record"])
            else:
                outcomes.setdefault(payload["agent"], []).append(_decoded(payload))
        for agent, several in outcomes.items():
            OutcomeStore.of(self._settings, self._client, agent).append_many(several)
        self.resent += len(entries)

    def _submit(self, task: str, data: bytes) -> None:
        answer = self._tasks.submit(task, decode_task(data), data)
        # One whose deadline has passed meanwhile is worth nothing to anybody.
        if answer.refused_by not in ("", "deadline"):
            raise QueueFullError(f"task {task}: its queue is full; retry in {answer.number:.2f} s", answer.number)


def _let_go(closed: threading.Event, log: SentLog, client: Client) -> None:
    closed.set()
    log.close()
    client.close()


def _look_after(resender: weakref.ref[Resender], closed: threading.Event) -> None:
    pause_s = _LOOK_S
    while not closed.wait(pause_s):
        if (owner := resender()) is None:
            return
        pause_s = owner.look_if_needed()
        del owner


def _encoded(agent: str, outcome: Outcome) -> bytes:
    origin = outcome.origin
    return encode(
        _KIND,
        {
            "agent": agent,
            "record": outcome.record,
            "key": outcome.idempotency_key,
            "trajectory": outcome.trajectory_id,
            "origin": [origin.life, origin.action, origin.at_s],
        },
    )


def _decoded(payload: Mapping[str, Any]) -> Outcome:
    life, action, at_s = payload["origin"]
    return Outcome(
        record=payload["record"],
        idempotency_key=payload["key"],
        trajectory_id=payload["trajectory"],
        origin=Origin(life=life, action=action, at_s=at_s),
    )
