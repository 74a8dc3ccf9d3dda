"""Append outcomes to a spool until killed, and print each number when its outcome is durable: PATH."""

import sys
from pathlib import Path

from swarm_agents import Spool

spool = Spool(Path(sys.argv[1]), 2**30)
number = 0
while True:
    spool.append(f"key-{number}", f"task-{number}", b"the record")
    print(number, flush=True)
    number += 1
