"""An agent learns a file: AGENT FILE ROUND, told as it goes; "done" when it has come to its end."""

import sys

from swarm.services.swarm import Swarm
from swarm_agents.training import BatchReport, train


def told(batch: BatchReport) -> None:
    """Say how far it is."""
    print(batch.lines, flush=True)


if __name__ == "__main__":
    agent, path, size = sys.argv[1:]
    train(Swarm(), agent, path, round_size=int(size), on_batch=told)
    print("done", flush=True)
