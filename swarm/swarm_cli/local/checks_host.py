"""What `swarm doctor` asks this machine: Python, the state directory, the disk, the embedder."""

from __future__ import annotations

import platform
import shutil
import statistics
import sys
import time
from pathlib import Path

from swarm.embed.base import Embedder
from swarm.embed.registry import load_embedder
from swarm.errors import SwarmError
from swarm.settings import Settings
from swarm_cli.local.finding import Finding, judged
from swarm_cli.local.statedir import check_state_dir
from swarm_cli.output import size

MIN_PYTHON = (3, 11)
MIN_FREE_BYTES = 512 * 2**20
_TEXT = "Parse a date from a line of a log file and give it back in UTC, with a test for leap years."
_MAX_TEXTS = 50
_MAX_EMBED_S = 0.5


def check_python() -> Finding:
    """Python's version."""
    wanted = ".".join(map(str, MIN_PYTHON))
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return judged("Python", sys.version_info >= MIN_PYTHON, detail, f"install Python {wanted} or newer")


def check_directory(settings: Settings) -> Finding:
    """The state directory: there, ours and private."""
    try:
        exists = check_state_dir(settings)
    except SwarmError as error:
        return Finding(check="State directory", ok=False, detail=str(error), remedy="set SWARM_STATE_DIR")
    detail = f"{settings.state_dir}, {'readable by you alone' if exists else 'made by the first `swarm up`'}"
    return Finding(check="State directory", ok=True, detail=detail)


def check_disk(settings: Settings, file_bytes: int) -> Finding:
    """Free space where the embedded Redis writes; it needs room for a second copy of its file to tidy it up."""
    path = settings.state_dir
    while not path.exists() and path != path.parent:
        path = path.parent
    free = shutil.disk_usage(path).free
    wanted = max(MIN_FREE_BYTES, 2 * file_bytes)
    detail = f"{size(free)} free" + (f", Redis's file takes {size(file_bytes)}" if file_bytes else "")
    return judged("Disk", free >= wanted, detail, f"make room on {_mount(path)}: {size(wanted)} are wanted")


def check_embedder(settings: Settings, bound: str | None) -> Finding:
    """The embedder: it loads, it is the one that the swarm's vectors were made by, and how fast it is."""
    begun = time.perf_counter()
    try:
        embedder = load_embedder(settings.embedder)
        load_s = time.perf_counter() - begun
        per_text_ms = _per_text_ms(embedder)
    except SwarmError as error:
        return Finding(
            check="Embedder", ok=False, detail=str(error), remedy="mend it, or set SWARM_EMBEDDER to another one"
        )
    detail = f"{embedder.identity}, loads in {load_s:.2f} s, {per_text_ms:.2f} ms a text"
    if bound is not None and bound != str(embedder.identity):
        remedy = f"set SWARM_EMBEDDER to the one that made the vectors of swarm {settings.name}, or name a new swarm"
        return Finding(check="Embedder", ok=False, detail=f"{detail}; the swarm's is {bound}", remedy=remedy)
    return Finding(check="Embedder", ok=True, detail=detail)


def _per_text_ms(embedder: Embedder) -> float:
    """Median over a few texts; an endpoint that takes long is asked once or twice."""
    times: list[float] = []
    while len(times) < _MAX_TEXTS and sum(times) < _MAX_EMBED_S:
        begun = time.perf_counter()
        embedder.embed_one(f"{_TEXT} {len(times)}")
        times.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(times)


def _mount(path: Path) -> Path:
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path
