"""Handlers for the tests: what they do stands in the task's payload.

journal : a file to which each attempt adds a line with its pid
gate : a file that is waited for before the end
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from swarm_workers.handlers import Permanent, Retry, Task, handler


@handler("coder")
def code(task: Task) -> Any:
    """Does as it is told."""
    payload = task.payload
    if "journal" in payload:
        with Path(payload["journal"]).open("a") as file:
            file.write(f"{os.getpid()}\n")
    task.progress(0.5, "half way")
    while "gate" in payload and not Path(payload["gate"]).exists():
        time.sleep(0.01)
    while payload.get("do") == "go on until stopped":
        task.progress(0.6)
        time.sleep(0.01)
    while payload.get("do") == "go on for ever":
        time.sleep(0.01)
    if payload.get("do") == "fail once" and task.attempt == 1:
        raise RuntimeError("the first attempt breaks")
    if payload.get("do") == "retry" and task.attempt == 1:
        raise Retry("not yet", delay=0.1)
    if payload.get("do") == "give up":
        raise Permanent("it cannot be done")
    if payload.get("do") == "no result":
        return object()
    return {"text": task.text, "agent": task.agent, "attempt": task.attempt, "advised": task.advice is not None}
