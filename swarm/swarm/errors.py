"""Every error that this project raises on purpose.

SwarmError
├── InputError (also ValueError)        the caller passed something that cannot be used
│   ├── BoundsError                     a number outside its range, or not finite
│   ├── ShapeError                      an array of the wrong shape or dimension
│   ├── TextError                       text that is empty, too large or not text
│   ├── DeadlineError                   a deadline that has passed already
│   ├── UnknownIdError (also KeyError)  an id that was never issued, has ended or was forgotten
│   └── EmbedderMismatchError           vectors of two embedders would be mixed
├── NoRouteError                        every route breaks a bound, and there is no fallback
├── CapacityError                       a documented bound is reached; nothing was taken
│   ├── QueueFullError                  too many tasks or outcomes wait; `retry_after_s` says when to retry
│   └── RateLimitError                  too many calls under one token; `retry_after_s` says when to retry
├── AccessError                         who asks may not
│   ├── TokenError                      the token is none of this swarm's, has expired or was revoked
│   └── ForbiddenError                  the token's role does not allow this, or not as this agent
├── TaskFailedError                     a task that was waited for has ended without a result
├── JobFailedError                      a job of several agents cannot go on; `report` says how far it came
├── WaitTimeoutError (also TimeoutError)  what was waited for has not come about in time
├── RecordError                         stored bytes that cannot be used
│   ├── DamagedRecordError              cut, corrupted or of another kind
│   └── NewerRecordError                written by a newer version of this project
├── StaleWriterError                    the lease or the generation moved on: the commit was refused
├── StoreUnavailableError               Redis is away, frozen or refuses writes
│   └── GatewayUnavailableError         the gateway does not answer; `was_sent` says whether it may have heard
├── EmbedderUnavailableError            the embedder's package or endpoint cannot be used
└── RuntimeSetupError                   a local process (Redis, workers) could not be started or stopped
"""

from __future__ import annotations


def shown(value: object, most: int = 80) -> str:
    """`repr(value)` for a message, `most` characters of it; of what has none (too deep, too large) its type.

    >>> shown("a" * 100, 5), shown(10**5000)
    ("'aaaa", '<int>')
    """
    try:
        return repr(value)[:most]
    except (RecursionError, ValueError):
        return f"<{type(value).__name__}>"


class SwarmError(Exception):
    """Root of all errors of this project."""


class InputError(SwarmError, ValueError):
    """The caller passed something that cannot be used; nothing was changed."""


class BoundsError(InputError):
    """A number outside its range, or not finite."""


class ShapeError(InputError):
    """An array of the wrong shape, dimension or type."""


class TextError(InputError):
    """Text that is empty, too large, or not text."""


class DeadlineError(InputError):
    """A deadline that has passed already; nothing was taken."""


class UnknownIdError(InputError, KeyError):
    """An id that was never issued, has ended, or was forgotten."""

    def __str__(self) -> str:
        # KeyError quotes its argument; the message is a sentence.
        return str(self.args[0]) if self.args else ""


class EmbedderMismatchError(InputError):
    """Vectors of two embedders would be mixed."""


class NoRouteError(SwarmError):
    """Every route breaks a bound, and there is no fallback; the message says which bound excluded which route."""


class CapacityError(SwarmError):
    """A documented bound is reached; nothing was taken."""


class QueueFullError(CapacityError):
    """Too many tasks or outcomes wait. `retry_after_s` comes from how fast they have ended so far.

    Of several, the first `taken` were taken.
    """

    def __init__(self, message: str, retry_after_s: float, taken: int = 0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.taken = taken


class RateLimitError(CapacityError):
    """Too many calls under one token; nothing was done. `retry_after_s` says when the next one is due."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AccessError(SwarmError):
    """Who asks may not; nothing was done."""


class TokenError(AccessError):
    """The token is none of this swarm's, has expired or was revoked; the message never shows it."""


class ForbiddenError(AccessError):
    """The token's role does not allow this, or not as this agent."""


class TaskFailedError(SwarmError):
    """A task that was waited for is dead, cancelled or dropped; the message says why."""


class JobFailedError(SwarmError):
    """A job of several agents cannot go on; `report` (a `JobReport`) says how far it came, and who failed."""

    def __init__(self, message: str, report: object) -> None:
        super().__init__(message)
        self.report = report


class WaitTimeoutError(SwarmError, TimeoutError):
    """What was waited for has not come about in time; it stays on its way."""


class RecordError(SwarmError):
    """Stored bytes that cannot be used."""


class DamagedRecordError(RecordError):
    """Cut, corrupted, or a record of another kind."""


class NewerRecordError(RecordError):
    """Written by a newer version of this project."""


class StaleWriterError(SwarmError):
    """The lease or the generation moved on: the commit was refused, and nothing was written."""


class StoreUnavailableError(SwarmError):
    """Redis is away, frozen, or refuses writes."""


class GatewayUnavailableError(StoreUnavailableError):
    """The gateway does not answer. Where `was_sent` is False it never heard of the call, else it may have done it."""

    def __init__(self, message: str, *, was_sent: bool = True) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class EmbedderUnavailableError(SwarmError):
    """The embedder's package or endpoint cannot be used."""


class RuntimeSetupError(SwarmError):
    """A local process (Redis, workers) could not be started or stopped."""
