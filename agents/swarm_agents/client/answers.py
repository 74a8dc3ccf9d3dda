"""What a gateway answers: values of ours, or errors of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swarm import errors
from swarm.errors import (
    DamagedRecordError,
    GatewayUnavailableError,
    QueueFullError,
    RateLimitError,
    StoreUnavailableError,
    SwarmError,
)
from swarm.services.find import ConsolidationReceipt, Found, MergeReceipt, split_id
from swarm.services.history import Version
from swarm.services.receipts import Receipt
from swarm.services.tasks import TaskView
from swarm.wire.task_records import TaskRecord, TaskStatus
from swarm_agents.client.rebuild import rebuild

_TIMED: dict[str, type[QueueFullError] | type[RateLimitError]] = {
    "QueueFullError": QueueFullError,
    "RateLimitError": RateLimitError,
}


def failure_of(status: int, body: object) -> SwarmError:
    """The error that an answer with a status from 400 on stands for, as if it had been raised here.

    Parameters
    ----------
    body : the JSON of the answer, or None if it was none
    """
    told = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(told, Mapping):
        return _unworded(status)
    kind, message = str(told.get("type")), str(told.get("message"))
    if kind in _TIMED:
        return _TIMED[kind](message, float(told.get("retry_after_s") or 0.0))
    known = getattr(errors, kind, None)
    # One that takes more than a message cannot be made again here.
    if isinstance(known, type) and issubclass(known, SwarmError) and known is not errors.JobFailedError:
        return known(message)
    return StoreUnavailableError(message) if status == 503 else SwarmError(f"the gateway: {status}, {message}")


def _unworded(status: int) -> SwarmError:
    """Of an answer that is not the gateway's own, but that of a proxy before it."""
    if status in (502, 503, 504):
        return GatewayUnavailableError(f"the gateway is not there: its proxy answers {status}")
    return SwarmError(f"the gateway answers {status} and does not say why")


def found_of(values: Any) -> Found:
    """What `GET /v1/receipts` found, by the kind that its id tells."""
    kind = split_id(_text(values, "id"))[0]
    if kind == "outcome":
        return rebuild(Receipt, values)
    if kind == "merge":
        return rebuild(MergeReceipt, values)
    if kind == "consolidation":
        return ConsolidationReceipt(
            agent=_text(values, "agent"),
            version=rebuild(Version, values),
            is_searchable=values["state"] == "searchable",
        )
    return TaskView(
        id=_text(values, "id"),
        record=rebuild(TaskRecord, values),
        status=rebuild(TaskStatus, values),
        result=values.get("result"),
    )


def items_of(values: Any, name: str) -> Iterator[Any]:
    """The list under `name`.

    Raises
    ------
    DamagedRecordError
        If there is none.
    """
    found = values.get(name) if isinstance(values, Mapping) else None
    if not isinstance(found, list):
        raise DamagedRecordError(f"the gateway's answer has no list {name!r}")
    return iter(found)


def _text(values: Any, name: str) -> str:
    found = values.get(name) if isinstance(values, Mapping) else None
    if not isinstance(found, str):
        raise DamagedRecordError(f"the gateway's answer has no text {name!r}")
    return found
