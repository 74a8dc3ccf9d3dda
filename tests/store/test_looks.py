"""Many agents are looked at by one script, and one by one where a cluster refuses that."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ClusterCrossSlotError
from support import find_redis_server, wait_until
from swarm_support import a_registration, some_outcome

from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.connection import Client, connect
from swarm.store.outcomes import OutcomeStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_trajectory


def fill(client: Client, keys: SwarmKeys, count: int) -> AgentStore:
    """Agents in every state: with nothing, something open, something waiting, something lost."""
    store = AgentStore(client, keys)
    for number in range(count):
        name = f"agent-{number:04d}"
        store.register(name, a_registration())
        if number % 50 == 3:
            outcomes = OutcomeStore(client, keys.agent(name), max_pending=100, receipt_ttl=60.0)
            outcomes.put_open("left", b"open")
            for one in range(3):
                outcomes.append(encode_trajectory(some_outcome(one, name)), f"key-{one}", "")
            if number % 100 == 3:
                client.hset(keys.agent(name).state, mapping={"verdict": "trusted", "generation": 2, "processed": 3})
            if number % 150 == 3:
                client.delete(keys.agent(name).stream)
    return store


def check(store: AgentStore) -> None:
    looks = store.looks(store.names())
    assert list(looks) == store.names()
    busy = looks["agent-0053"]
    assert (busy.open, busy.in_stream, busy.state.pending, busy.state.verdict.value) == (1, 3, 3, "probation")
    assert busy.oldest_ms is not None
    done = looks["agent-0103"]
    assert (done.state.generation, done.state.pending, done.oldest_ms, done.in_stream) == (2, 0, None, 3)
    lost = looks["agent-0153"]
    assert (lost.state.pending, lost.in_stream, lost.oldest_ms) == (3, 0, None)
    nothing = looks["agent-0000"]
    assert (nothing.state.accepted, nothing.open, nothing.in_stream, nothing.oldest_ms) == (0, 0, 0, None)


def test_hundreds_of_agents_are_looked_at_by_a_script(client: Client, settings: Settings) -> None:
    check(fill(client, SwarmKeys(settings.name), 600))


@pytest.fixture
def cluster() -> Iterator[Client]:
    """A Redis Cluster of one node: it refuses what touches several slots, as a large one does."""
    folder = Path(tempfile.mkdtemp(prefix="swarm-test-"))
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--cluster-enabled", "yes", "--dir", str(folder)]
    server = subprocess.Popen([find_redis_server(), *options, "--save", ""], stdout=subprocess.DEVNULL)
    try:
        wait_until(socket.exists, 20.0, "the cluster's socket")
        with connect(Settings(name="cluster", redis_url=f"unix://{socket}"), is_checked=False) as client:
            wait_until(lambda: client.ping(), 20.0, "the cluster's node")
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 30.0, "the cluster")
            yield client
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def test_in_a_cluster_which_refuses_that_they_are_looked_at_one_by_one(cluster: Client) -> None:
    keys = SwarmKeys("cluster")
    with pytest.raises(ClusterCrossSlotError):
        cluster.eval("return 1", 2, keys.agent("a").state, keys.agent("b").state)
    check(fill(cluster, keys, 160))


def test_a_swarm_on_nothing_is_looked_at(client: Client, settings: Settings) -> None:
    store = AgentStore(client, SwarmKeys(settings.name))
    assert store.looks([]) == {}
    assert store.roles() == {}
    assert store.looks(["nobody"])["nobody"].state.accepted == 0


def test_roles_are_fetched_again_when_somebody_came_changed_or_went(client: Client, settings: Settings) -> None:
    keys = SwarmKeys(settings.name)
    mine, theirs = AgentStore(client, keys), AgentStore(client, keys)
    theirs.register("ada", a_registration("coder"))
    assert mine.roles() == {"ada": "coder"}
    theirs.register("ada", a_registration("tester"))
    assert mine.roles() == {"ada": "tester"}
    theirs.register("bob", a_registration("coder"))
    assert mine.roles() == {"ada": "tester", "bob": "coder"}
    client.hdel(keys.agents, "ada")
    assert mine.roles() == {"bob": "coder"}
    before = client.info("commandstats")["cmdstat_hgetall"]["calls"]
    assert mine.roles() == {"bob": "coder"}
    assert client.info("commandstats")["cmdstat_hgetall"]["calls"] == before
