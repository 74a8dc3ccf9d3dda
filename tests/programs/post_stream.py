"""One agent at work until its standard input ends: NAME SEED; prints the idempotency keys of what it reported."""

import json
import random
import select
import sys
import time

from swarm.errors import CapacityError
from swarm.services.swarm import Swarm
from swarm_agents import Agent

VERBS = ("decode", "match", "compress", "sort", "parse", "fetch")
NOUNS = ("a JSON document", "a pattern", "a file", "a list", "a date", "a page", "an archive", "a table")


def report(agent: Agent, rng: random.Random, task: str) -> str:
    """Begin and end one task; when the workers are behind, come again with the same outcome."""
    advice = agent.before_task(task, k=1)
    used = advice.best if rng.random() < 0.7 else None
    is_right, output = rng.random() < 0.6, f"answer {rng.randrange(12)}"
    while True:
        try:
            agent.after_task(advice.trajectory_id, success=is_right, used=used, output=output)
            return advice.trajectory_id
        except CapacityError:
            time.sleep(0.02)


def main(name: str, seed: int) -> None:
    """Work, then see to it that nothing waits in the spool."""
    agent, rng, keys = Agent(name, swarm=Swarm()), random.Random(seed), []
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.0)[0]:
        keys.append(report(agent, rng, f"{rng.choice(VERBS)} {rng.choice(NOUNS)} of type {rng.randrange(30)}"))
    while not agent.refresh() or agent.health().spooled:
        time.sleep(0.02)
    print(json.dumps(keys))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
