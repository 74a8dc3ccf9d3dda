"""A run of the suite as one JSON object: what was measured, on which machine, from which commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.suite_figures import Row, row_of
from swarm.errors import InputError

FORM = "swarm-bench/1"
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run found."""

    size: str
    """`small` or `full`."""
    rows: Sequence[Row]
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    not_run: Sequence[str] = ()
    """What an interrupt cut off."""
    peer: str = ""
    """Why the published engine was not measured; empty where it was, or was not asked for."""
    seconds: float = 0.0
    at: str = ""
    place: Mapping[str, str] = field(default_factory=dict)
    """Machine, Python, packages and commit."""
    reports: Mapping[str, Any] = field(default_factory=dict)
    """The JSON of each benchmark, with every metric."""

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for was measured."""
        return not self.failed and not self.not_run

    def to_json(self, more: Mapping[str, Any] | None = None) -> str:
        """One object on one line, with what `more` holds beside it; NaN is refused."""
        record = {
            "form": FORM,
            "size": self.size,
            "at": self.at,
            "seconds": self.seconds,
            "place": dict(self.place),
            "rows": [row.to_dict() for row in self.rows],
            "failed": dict(self.failed),
            "left_out": dict(self.left_out),
            "not_run": list(self.not_run),
            "peer": self.peer,
            "reports": dict(self.reports),
        }
        return json.dumps(record | dict(more or {}), allow_nan=False)


def load_result(path: Path) -> Result:
    """The run that was saved in `path`.

    Raises
    ------
    InputError
        If it cannot be read, or is none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--compare: {path} cannot be read: {error}") from error
    if not isinstance(record, dict) or record.get("form") != FORM:
        raise InputError(f"--compare must be a run that --save has written ({FORM}), got {path}")
    try:
        rows = [row_of(row) for row in record["rows"]]
        return Result(size=str(record["size"]), rows=rows, at=str(record["at"]), place=dict(record["place"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"--compare: {path} is damaged: {error}") from error


def this_place() -> dict[str, str]:
    """Where a run is made, as far as its figures hang on it; no name of the host."""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in ("numpy", "redis", "celery", "scikit-learn")),
        "commit": _commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # scikit-learn is of the extra `bench`.
        return "is not installed"


def now() -> str:
    """The time, in seconds, as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """The checkout's commit, with `+` where files differ from it; `unknown` where there is no git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True, timeout=30.0)
    return ended.stdout.strip()
