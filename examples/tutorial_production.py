"""In production: is it ready, a token for one agent, hooks over HTTP that hold no task up, and what the metrics say.

swarm up && python examples/tutorial_production.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

AGENT = "shop-1"
ORDERS = 20
HOOK_TIMEOUT = 2.0


def swarm(*words: str) -> str:
    """What `swarm WORDS` prints."""
    done = subprocess.run([sys.executable, "-m", "swarm_cli", *words], check=True, capture_output=True, text=True)
    return done.stdout


class Hooks:
    """Hooks around a task, which go on without advice when the gateway cannot be reached."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the gateway answers; {} when it does not, in time."""
        try:
            with urlopen(
                Request(self.url + path, json.dumps(body).encode(), self._headers), timeout=HOOK_TIMEOUT
            ) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except (URLError, TimeoutError) as error:
            print(f"the task goes on without the swarm: {error}")
            return {}

    def metrics(self) -> list[Sample]:
        """Every sample that Prometheus would read now."""
        with urlopen(Request(f"{self.url}/metrics", headers=self._headers), timeout=10.0) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return [sample for family in families for sample in family.samples]


def total(samples: list[Sample], name: str, **labels: str) -> float:
    """The sum of a metric over all samples with these labels."""
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def is_learned(samples: list[Sample]) -> bool:
    """Whether all orders have been accepted, and none waits for a worker. The gateway reads once a second at most."""
    accepted = total(samples, "swarm_ops_total", kind="outcome", state="accepted")
    return accepted >= ORDERS and not total(samples, "swarm_queue_depth", queue="outcomes")


def main() -> None:
    url = json.loads(swarm("up", "--json"))["gateway"]["url"]
    with urlopen(f"{url}/health/ready", timeout=10.0) as answer:
        print(f"ready: {json.loads(answer.read())['status']}")
    token = swarm("token", "create", "--role", "agent", "--agent", AGENT, "--ttl", "1h").strip()
    hooks = Hooks(url, token)
    before = hooks.metrics()

    for number in range(ORDERS):
        advice = hooks.call("/v1/trajectories", {"agent": AGENT, "text": f"price order {number} for a new customer"})
        # ... the task ...
        if advice:
            hooks.call(
                f"/v1/trajectories/{advice['trajectory_id']}/end",
                {"agent": AGENT, "success": True, "output": "use the list price", "idempotency_key": f"order-{number}"},
            )

    deadline = time.monotonic() + 30.0
    while not is_learned(now := hooks.metrics()) and time.monotonic() < deadline:
        time.sleep(0.2)
    answered, took = (
        total(now, name) - total(before, name)
        for name in ("swarm_hook_duration_seconds_count", "swarm_hook_duration_seconds_sum")
    )
    print(f"{answered:.0f} hooks, {1e3 * took / answered:.1f} ms each")
    Hooks("http://127.0.0.1:1", token).call("/v1/trajectories", {"agent": AGENT, "text": "anything"})
    print(
        f"{total(now, 'swarm_ops_total', kind='outcome', state='accepted'):.0f} outcomes accepted, "
        f"{total(now, 'swarm_queue_depth', queue='outcomes'):.0f} waiting, {total(now, 'swarm_lost'):.0f} lost"
    )


if __name__ == "__main__":
    main()
