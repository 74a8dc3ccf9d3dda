"""The demo as a user runs it: real Redis, real workers, the real hooks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from cli_support import CommandLine

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
    result = command_line.json("demo", "--tasks", "3000", "--agents", "4", "--seed", "3")
    assert set(result) == PROMISED
    assert result["trajectories"] == {"sent": 3000, "consolidated": 3000, "lost": 0}
    success = result["success"]
    assert success["swarm"] > success["frozen"] + 0.05
    assert success["swarm"] > success["isolated"] + 0.03
    assert result["extra"]["unseen"]["swarm"] > result["extra"]["unseen"]["isolated"]
    assert 0.2 < result["cross_agent_share"] < 1.0
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
