"""The published engine, `@ruvector/sona` from npm, timed by its own script in the same run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PEER_PACKAGE = "@ruvector/sona@0.1.8"
_TIMEOUT_S = 600


def peer_times_us(scripts: Path | None, dim: int) -> dict[str, float]:
    """Times of the peer in microseconds, by our names; empty, with a word on stderr, where it cannot be run.

    Parameters
    ----------
    scripts : folder with the peer's `bench_sona.cjs`
    """
    if scripts is None:
        return _without("no --peer folder given")
    if shutil.which("node") is None or shutil.which("npm") is None:
        return _without("node and npm are not installed")
    with tempfile.TemporaryDirectory() as scratch:
        package = os.environ.get("SONA_DIR") or _install(Path(scratch))
        if package is None:
            return _without(f"npm could not install {PEER_PACKAGE}")
        try:
            fast = _run(scripts, package, dim, "fast")
            learn = _run(scripts, package, dim, "learn10000")
            return {
                "micro": fast["applyMicroLora"]["ns"] / 1e3,
                "base": fast["applyBaseLora0"]["ns"] / 1e3,
                "trajectory": fast["full_trajectory_3steps"]["ns"] / 1e3,
                "find5": fast["findPatterns5"]["ns"] / 1e3,
                "background_10k": learn["forceLearn_ms"] * 1e3,
            }
        except (subprocess.SubprocessError, LookupError, ValueError, TypeError) as error:
            # Ours was measured before it, and must not be lost with it.
            return _without(f"its script failed: {error}")


def _without(reason: str) -> dict[str, float]:
    print(f"peer not measured: {reason}", file=sys.stderr)
    return {}


def _install(folder: Path) -> str | None:
    for command in (["npm", "init", "-y"], ["npm", "install", PEER_PACKAGE]):
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode != 0:
            return None
    return str(folder)


def _run(scripts: Path, package: str, dim: int, mode: str) -> dict[str, Any]:
    done = subprocess.run(
        ["node", "bench_sona.cjs", str(dim), mode],
        cwd=scripts,
        env={**os.environ, "SONA_DIR": package},
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result
