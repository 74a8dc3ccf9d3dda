"""An agent that knows no more of its swarm than the address of a gateway; it loads no embedder, and needs no Redis.

pip install 'sona-swarm[client]' && swarm up && python examples/http_client.py
"""

from __future__ import annotations

from swarm.settings import load_settings
from swarm_agents.client import SwarmClient, connect
from swarm_cli.local.gateway import find_gateway


def solve(client: SwarmClient, text: str) -> None:
    """A task, as the best pattern says if there is one."""
    with client.task(text) as task:
        task.used(task.advice.best)
        task.output = "use csv.DictReader"
        print(f"{client.name}: {task.advice.best.response if task.advice.best else 'nothing known yet'}")


def main() -> None:
    gateway = find_gateway(load_settings())
    if gateway is None:
        raise SystemExit("no gateway runs here: swarm up")
    with connect(gateway.url, agent="coder-1", role="coder") as coder:
        solve(coder, "read a table from a CSV file")
        receipt = coder.store_pattern("rename a column of a CSV file", "use csv.DictWriter")
        print(f"stored, and now it is {coder.receipt(receipt.id, wait=30.0).state}")
    with connect(gateway.url, agent="tester-1", role="tester") as tester:
        [hit, *_] = tester.query("rename the column of a table", k=1)
        print(f"tester-1 found: {hit.response} (from {hit.sources[0].agent})")


if __name__ == "__main__":
    main()
