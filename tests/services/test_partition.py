"""Hosts are cut off from one another by the network itself: nothing is lost, nothing has an effect twice.

Redis, two hosts of workers and one of agents are in network namespaces. A host whose cable is pulled notices silence
and nothing else: what it sends vanishes, its connections stay open, and once it is back it believes in its leases.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_support import Network, why_not
from support import find_redis_server, wait_until
from swarm_support import environment

from benchmarks.chaos_journal import Sent
from benchmarks.own_swarm import ROOT, swarm_command
from swarm.settings import Settings

_REASON = why_not()
pytestmark = [pytest.mark.skipif(bool(_REASON), reason=_REASON), pytest.mark.timeout(240)]
HOSTS = ("redis", "left", "right", "agents")


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(*HOSTS) as network:
        yield network


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="swarm-net-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class Hosts:
    """The swarm on its hosts; each has a state directory of its own."""

    def __init__(self, network: Network, folder: Path, settings: Settings) -> None:
        self.network = network
        self._folder = folder
        self._settings = settings.model_copy(
            update={
                "redis_url": f"redis://{network.address('redis')}:6379",
                "lease_ttl": 2.0,
                "socket_timeout": 1.0,
                "consolidate_delay": 0.1,
            }
        )

    def environment(self, host: str) -> dict[str, str]:
        """Of a process on a host."""
        settings = self._settings.model_copy(update={"state_dir": self._folder / host})
        return environment(settings) | {"SWARM_EMBEDDER": "hashed:256", "PYTHONPATH": _python_path()}

    def start_redis(self) -> None:
        """A Redis that answers other hosts."""
        options = ("--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "yes")
        command = [find_redis_server(), *options, "--dir", str(self._folder), "--logfile", str(self._folder / "log")]
        self.network.start("redis", command, os.environ)
        log = self._folder / "log"
        wait_until(lambda: log.exists() and "Ready to accept" in log.read_text(), 20.0, "Redis")

    def start_workers(self, host: str) -> None:
        """A pool of background workers that is called like its host."""
        self.swarm(host, "workers", "start", "--pool", host, "-c", "1")

    def start_agent(self, name: str, rate: float = 40.0) -> Path:
        """An agent at work; its journal."""
        journal = self._folder / f"{name}.journal"
        command = [sys.executable, "-m", "benchmarks.chaos_agent", name, str(journal), str(rate)]
        self.network.start("agents", command, self.environment("agents"))
        return journal

    def swarm(self, host: str, *arguments: str) -> str:
        """Run `swarm` on a host."""
        return self.network.run(host, [swarm_command(), *arguments], self.environment(host))

    def status(self) -> dict[str, int]:
        """Sums over the agents."""
        agents = json.loads(self.swarm("redis", "status", "--json"))["agents"]
        return {name: sum(agent[name] for agent in agents) for name in ("accepted", "consolidated", "pending", "lost")}

    def consolidated(self, least: int) -> int:
        """How many outcomes are consolidated, once they are `least`."""

        def found() -> int:
            count = self.status()["consolidated"]
            return count if count >= least else 0

        return wait_until(found, 60.0, f"{least} consolidated outcomes")


def _python_path() -> str:
    return ":".join([str(ROOT), *(path for path in sys.path if path.endswith(("/swarm", "/agents", "/workers")))])


def _sent(journal: Path) -> Sent:
    sent = Sent()
    sent.read(journal)
    return sent


def test_workers_and_agents_that_are_cut_off_lose_nothing_and_double_nothing(
    network: Network, folder: Path, settings: Settings
) -> None:
    hosts = Hosts(network, folder, settings)
    hosts.start_redis()
    try:
        hosts.start_workers("left")
        journal = hosts.start_agent("ada")
        hosts.consolidated(40)

        # The only worker is cut off, perhaps in the middle of a consolidation; another one takes over its lease.
        network.cut("left")
        hosts.start_workers("right")
        hosts.consolidated(hosts.status()["accepted"] + 40)
        # It comes back and believes that nothing has happened; the other one goes.
        network.join("left")
        network.cut("right")
        hosts.consolidated(hosts.status()["accepted"] + 40)
        network.join("right")

        # The agents' host is cut off: they go on, into the spool.
        network.cut("agents")
        before = len(_sent(journal).accepted)
        wait_until(lambda: len(_sent(journal).accepted) >= before + 40, 60.0, "the agent to go on without Redis")
        assert hosts.status()["accepted"] <= before + 1
        network.join("agents")
        expected = len(_sent(journal).accepted)
        wait_until(lambda: hosts.status()["accepted"] >= expected, 60.0, "what was spooled to arrive")
        hosts.consolidated(expected)
        status, sent = hosts.status(), _sent(journal)
        assert status["lost"] == 0
        assert status["accepted"] == status["consolidated"] + status["pending"]
        assert expected <= status["accepted"] <= len(sent.tried)
    finally:
        for host in ("left", "right"):
            network.join(host)
            hosts.swarm(host, "down")
