"""One training in a process of its own: AGENT FILE OPTIONS-AS-JSON; its report, processor time and memory as JSON.

After each round it prints the number of lines that are learned, for whoever wants to kill it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm_agents.training import BatchReport, train


def _peak_bytes() -> int:
    """The most memory that this program had; `ru_maxrss` would be that of whoever started it, too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _told(batch: BatchReport) -> None:
    print(batch.lines, flush=True)


def main(agent: str, path: str, options: str) -> None:
    """Train, and print what it took on the last line. Loading the program does not count."""
    swarm = Swarm()
    swarm.register(agent, config=SonaConfig(dim=swarm.embedder.identity.dim))
    begun, used = time.perf_counter(), time.process_time()
    report = train(swarm, agent, path, on_batch=_told, **json.loads(options))
    took = {"seconds": time.perf_counter() - begun, "cpu_s": time.process_time() - used}
    print(json.dumps({**took, "memory_bytes": _peak_bytes(), "report": report.as_dict()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
