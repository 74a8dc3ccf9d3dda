"""The demo as a user runs it: real Redis, real workers, the real hooks."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from cli_support import CommandLine
from support import wait_until

from swarm.errors import StoreUnavailableError
from swarm.services.status import read_status
from swarm.store.agents import AgentStore
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys
from swarm_cli.local.redis_server import RedisServer
from swarm_cli.local.workers import local_workers

PROMISED = {
    "data",
    "embedder",
    "agents",
    "seed",
    "success",
    "cross_agent_share",
    "trajectories",
    "hook_ms",
    "seconds",
    "extra",
}


@pytest.mark.timeout(300)
def test_the_swarm_learns_and_loses_nothing(command_line: CommandLine) -> None:
    result = command_line.json("demo", "--tasks", "2400", "--agents", "4", "--seed", "3")
    assert set(result) == PROMISED
    assert result["trajectories"] == {"sent": 2400, "consolidated": 2400, "lost": 0}
    success = result["success"]
    assert success["swarm"] > success["frozen"] + 0.05
    assert success["swarm"] > success["isolated"] + 0.03
    assert result["extra"]["unseen"]["swarm"] > result["extra"]["unseen"]["isolated"]
    assert 0.15 < result["cross_agent_share"] < 1.0
    for hook in ("before", "after"):
        assert 0.0 < result["hook_ms"][hook]["p50"] <= result["hook_ms"][hook]["p99"]
    assert result["embedder"].startswith("wordllama")


@pytest.mark.timeout(300)
def test_a_folder_of_labelled_texts_another_embedder_and_the_picture(command_line: CommandLine, tmp_path: Path) -> None:
    _write_folder(tmp_path)
    picture = tmp_path / "demo.png"
    ended = command_line.run(
        "demo",
        "--data",
        str(tmp_path),
        "--agents",
        "2",
        "--tasks",
        "200",
        "--embedder",
        "hashed",
        "--plot",
        str(picture),
    )
    assert "200 sent, 200 consolidated, 0 lost" in " ".join(ended.stdout.split())
    assert "learned from" in ended.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    # What the demo learned can be asked afterwards; its workers are gone, Redis runs on.
    answers = command_line.json("status", "--swarm", "sona-demo")
    assert answers["workers"] == []
    assert answers["pending"] == answers["lost"] == 0
    assert sum(agent["consolidated"] for agent in answers["agents"] if agent["role"] == "worker") == 200


def test_data_that_cannot_be_read_is_refused_before_anything_starts(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a", "label": "b", "split": "train"}\nnot json\n')
    assert "line 2" in command_line.error("demo", "--data", str(tmp_path))
    assert not (command_line.state_dir / "redis.sock").exists()


def _write_folder(folder: Path) -> None:
    """Requests about four things, each in many words."""
    things = {"invoice": "billing", "password": "account", "parcel": "shipping", "screen": "hardware"}
    phrases = (
        "where is my {}",
        "I have lost the {}",
        "the {} is wrong",
        "please send the {} again",
        "{} does not work",
    )
    times = ("today", "since monday", "for a week", "again", "this morning", "after the update", "on my phone", "twice")
    rows = [
        {"text": f"{phrase.format(thing)} {when}", "label": label, "split": "test" if number % 5 == 4 else "train"}
        for thing, label in things.items()
        for number, (phrase, when) in enumerate((phrase, when) for phrase in phrases for when in times)
    ]
    with gzip.open(folder / "data.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.mark.timeout(300)
def test_workers_and_redis_killed_during_the_stream_cost_nothing(command_line: CommandLine) -> None:
    # With `everysec` a Redis that is killed may lose what it holds back behind a slow background fsync.
    command_line.environment |= {"SWARM_FSYNC": "always", "SWARM_LEASE_TTL": "3"}
    with command_line.popen("demo", "--json", "--tasks", "2400", "--agents", "4", "--embedder", "hashed") as process:
        demo = command_line.settings.model_copy(update={"name": "sona-demo"})
        client = connect(demo)

        def consolidated() -> int:
            with suppress(StoreUnavailableError):
                return sum(agent.consolidated for agent in read_status(client, SwarmKeys(demo.name)).agents)
            return 0

        wait_until(lambda: consolidated() > 300, 60.0, "a stream under way")
        _kill_a_worker_child(command_line)
        wait_until(lambda: consolidated() > 800, 60.0, "work after the death of a worker's child")
        _kill_redis(command_line)
        wait_until(lambda: consolidated() > 1200, 60.0, "work after the restart of Redis")
        _kill_the_whole_pool(command_line)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    result = json.loads(out)
    assert result["trajectories"] == {"sent": 2400, "consolidated": 2400, "lost": 0}
    assert result["success"]["swarm"] > result["success"]["frozen"]
    # Exactly once: the clusters of the agents hold each outcome once, none is missing and none counted twice.
    agents = AgentStore(client, SwarmKeys(demo.name))
    counted = sum(cluster.n for name in agents.names() if name != "library" for cluster in agents.clusters(name))
    assert counted == 2400


def _kill_a_worker_child(command_line: CommandLine) -> None:
    [worker] = local_workers(command_line.settings)
    psutil.Process(worker.pid).children()[0].kill()


def _kill_redis(command_line: CommandLine) -> None:
    pid = RedisServer(command_line.settings).state()
    assert pid is not None
    psutil.Process(pid).kill()


def _kill_the_whole_pool(command_line: CommandLine) -> None:
    [worker] = local_workers(command_line.settings)
    for process in [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]:
        process.kill()
