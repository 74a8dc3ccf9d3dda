"""Report outcomes FIRST..LAST-1 of an agent and submit as many tasks, print "sent", and wait to be killed."""

import sys
import time

from swarm.services.swarm import Swarm


def main(agent: str, first: int, last: int) -> None:
    """Send, and stay."""
    swarm = Swarm()
    for number in range(first, last):
        swarm.store_pattern(f"task {number}", "an answer", agent=agent, idempotency_key=f"{agent}-{number}")
        swarm.submit(f"task {number}", role="coder", idempotency_key=f"task-{number}")
    print("sent", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
