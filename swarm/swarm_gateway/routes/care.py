"""`/v1/rewind` and `/v1/backup`: what an operator does when something went wrong, and before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from swarm.services.backup import BackupReport
from swarm.services.guard import GuardedSwarm
from swarm_gateway.gateway import Gateway
from swarm_gateway.identity import Asker, Here
from swarm_gateway.schemas.agents import RewindBody, RewindView

router = APIRouter(prefix="/v1", tags=["care"])
_CHUNK = 2**20
_MEDIA_TYPE = "application/octet-stream"


@router.post("/rewind")
async def rewind(body: RewindBody, asker: Asker, here: Here) -> RewindView:
    """Take out of the swarm all that came from a trajectory or an agent, and rebuild what hung on it."""
    work = partial(asker.over(here.patient).rewind, body.trajectory, agent=body.agent, retrain=body.retrain)
    return RewindView.of(await here.slowly(work))


@router.post(
    "/backup",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file that `swarm restore` reads; `Swarm-Backup` says what is in it",
            "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def backup(asker: Asker, here: Here) -> StreamingResponse:
    """The swarm as it is, as one file, while it runs. No copy of it stays with the gateway."""
    file, report = await here.slowly(partial(_write, asker.over(here.patient), here))
    name = f"{report.swarm}-{report.at_s:.0f}.backup"
    return StreamingResponse(
        _chunks(file),
        media_type=_MEDIA_TYPE,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(report.size_bytes),
            "Swarm-Backup": ", ".join(
                f"{what}={getattr(report, what)}" for what in ("agents", "patterns", "outcomes", "tasks", "keys")
            ),
        },
    )


def _write(asker: GuardedSwarm, here: Gateway) -> tuple[IO[bytes], BackupReport]:
    """The file, open and without a name by now: it is gone with whoever reads it, whatever is killed when."""
    # In the state directory, which is private, and where there is room for Redis's own file.
    with tempfile.TemporaryDirectory(prefix="backup-", dir=here.settings.state_dir) as folder:
        report = asker.backup(Path(folder) / "swarm.backup")
        return Path(report.path).open("rb"), report


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
