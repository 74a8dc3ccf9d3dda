"""What the page's buttons and lookups do: one operation of the guarded swarm each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from swarm_gateway.identity import Asker

router = APIRouter(prefix="/v1/dashboard", tags=["dashboard"])
Name = Annotated[str, Path(max_length=200)]
BY = "dashboard"
"""Who did it, for the record, where no token says more."""


class Search(BaseModel):
    """What the swarm is asked."""

    model_config = ConfigDict(extra="forbid")

    text: str
    k: int = Field(default=20, ge=1, le=200)


class Version(BaseModel):
    """The version to go back to."""

    model_config = ConfigDict(extra="forbid")

    version: int


@router.post("/search")
def search(body: Search, asker: Asker) -> list[dict[str, Any]]:
    """What the swarm knows for a task like this text, best first."""
    return [hit.to_dict() for hit in asker.query(body.text, k=body.k)]


@router.post("/pins/{pattern_id:path}")
def pin(pattern_id: Name, asker: Asker) -> dict[str, Any]:
    """Keep a pattern from decaying, expiring and being pruned."""
    return asker.pin(pattern_id, by=_by(asker)).as_dict()


@router.delete("/pins/{pattern_id:path}")
def unpin(pattern_id: Name, asker: Asker) -> dict[str, Any]:
    """Let a pattern age again."""
    return asker.unpin(pattern_id).as_dict()


@router.delete("/patterns/{pattern_id:path}")
def forget(pattern_id: Name, asker: Asker) -> dict[str, Any]:
    """Erase a pattern for good."""
    done: dict[str, Any] = _plain(asker.forget(pattern=pattern_id, by=_by(asker)).as_dict())
    return done


@router.get("/agents/{name}/history")
def history(name: Name, asker: Asker) -> list[dict[str, Any]]:
    """The versions of an agent that its log still holds, newest first."""
    return [version.as_dict() for version in asker.history(name)]


@router.post("/agents/{name}/rollback")
def rollback(name: Name, body: Version, asker: Asker) -> dict[str, Any]:
    """Let an agent hold again what it held at a version."""
    return asker.rollback(name, body.version).as_dict()


@router.post("/agents/{name}/quarantine")
def quarantine(name: Name, asker: Asker) -> dict[str, Any]:
    """Keep what an agent learns, and let none of it count."""
    return asker.quarantine(name, by=_by(asker)).as_dict()


@router.delete("/agents/{name}/quarantine")
def release(name: Name, asker: Asker) -> dict[str, Any]:
    """Let an agent count again for what its reports have earned."""
    return asker.release(name, by=_by(asker)).as_dict()


@router.get("/receipts/{receipt_id:path}")
def receipt(receipt_id: Name, asker: Asker) -> dict[str, Any]:
    """Where anything that was accepted stands now."""
    found: dict[str, Any] = _plain(asker.find(receipt_id).as_dict())
    return found


@router.get("/dead")
def dead(asker: Asker, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> list[dict[str, Any]]:
    """Tasks that failed for good, those that died last first."""
    return [_plain(view.as_dict()) for view in asker.tasks.dead(limit)]


@router.post("/dead/{task_id}/replay")
def replay(task_id: Name, asker: Asker) -> dict[str, Any]:
    """Let a dead task wait again, with all its attempts."""
    return asker.tasks.replay(task_id).as_dict()


@router.delete("/dead/{task_id}", status_code=204)
def drop(task_id: Name, asker: Asker) -> None:
    """Forget a dead task."""
    asker.tasks.drop(task_id)


def _by(asker: Asker) -> str:
    return BY if asker.access is None else f"{BY}, {asker.access}"


def _plain(value: Any) -> Any:
    """What JSON does not know as text: what a task brought along may be bytes, or no finite number."""
    if isinstance(value, Mapping):
        return {key.hex() if isinstance(key, bytes) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
