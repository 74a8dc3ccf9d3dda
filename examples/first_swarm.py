"""Two agents: what one of them learned, the other one retrieves, with provenance.

swarm up && python examples/first_swarm.py
"""

from __future__ import annotations

from swarm.services.swarm import Swarm
from swarm_agents import Agent


def main() -> None:
    swarm = Swarm()
    coder = Agent("coder-1", role="coder", swarm=swarm)
    tester = Agent("tester-1", role="tester", swarm=swarm)

    advice = coder.before_task("read a table from a CSV file")
    receipt = coder.after_task(advice.trajectory_id, success=True, output="use csv.DictReader")
    print(f"coder-1 reported: {receipt.state}")
    print(f"and now it is {swarm.wait(receipt).state}")

    tester.refresh()
    best = tester.before_task("load rows of a CSV file into a test").best
    if best is None:
        raise SystemExit("nothing was found")
    source = best.sources[0]
    print(f"tester-1 is advised: {best.response} (from {source.agent}, {source.role}, {source.outcomes:g} outcomes)")


if __name__ == "__main__":
    main()
