"""Append outcomes from many processes at once: AGENT PROCESSES (same | different); prints what each was answered.

The processes are forked after the imports and before the first connection; all of them begin when the pipe that
they read from is closed.
"""

import json
import os
import sys

from swarm.settings import load_settings
from swarm.store.connection import connect
from swarm.store.outcomes import OutcomeStore
from swarm.wire.keys import SwarmKeys


def post(agent: str, key: str) -> str:
    """Append one outcome over a connection of its own."""
    settings = load_settings()
    keys = SwarmKeys(settings.name).agent(agent)
    with connect(settings) as client:
        store = OutcomeStore(client, keys, max_pending=settings.max_pending, receipt_ttl=settings.receipt_ttl)
        appended = store.append(b"the record", key, "")
    return json.dumps([key, appended.stream_id, appended.is_new])


def main(agent: str, processes: int, is_same: bool) -> None:
    """Fork, let all go at once, and gather the answers."""
    wait, go = os.pipe()
    answers, answer = os.pipe()
    for number in range(processes):
        if os.fork() == 0:
            os.close(go)
            os.read(wait, 1)
            # Short lines into a pipe are never mixed.
            os.write(answer, (post(agent, "the-key" if is_same else f"key-{number}") + "\n").encode())
            os._exit(0)
    os.close(answer)
    os.close(go)
    with os.fdopen(answers) as lines:
        sys.stdout.write(lines.read())
    for _ in range(processes):
        os.wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "same")
