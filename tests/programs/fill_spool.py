"""Append outcomes to a spool until killed, and print each number when its outcome is durable: PATH."""

import itertools
import sys
from pathlib import Path

from swarm_agents import Spool


def main(path: Path) -> None:
    """Fill the spool."""
    spool = Spool(path, 2**30)
    for number in itertools.count():
        spool.append(f"key-{number}", f"task-{number}", b"the record")
        print(number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
