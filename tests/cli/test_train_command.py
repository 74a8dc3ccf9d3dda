"""`swarm train`: what it prints, what it counts, and what comes in on stdin."""

from __future__ import annotations

import gzip
import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_support import CommandLine
from click.testing import CliRunner, Result
from support import wait_until
from swarm_support import EMBEDDER, a_registration, make_swarm
from training_support import some_lines, write_lines

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_cli.main import swarm

LINES = some_lines(60)
Call = Callable[..., Result]


@pytest.fixture
def call(settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Calls `swarm train` in this process, in a folder of its own."""
    assert settings.redis_url is not None
    monkeypatch.chdir(tmp_path)
    for name, value in {"NAME": settings.name, "REDIS_URL": settings.redis_url, "EMBEDDER": EMBEDDER}.items():
        monkeypatch.setenv(f"SWARM_{name}", value)
    monkeypatch.setenv("SWARM_STATE_DIR", str(settings.state_dir))

    def call(*words: str, text: bytes = b"") -> Result:
        return CliRunner().invoke(swarm, ["train", *words], input=text)

    return call


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    values = json.loads(result.stdout)
    assert isinstance(values, dict)
    return values


def test_people_see_what_was_learned_left_out_and_how_it_is_judged(call: Call, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", [*LINES, "{", {**LINES[0], "attention": [1]}])
    result = call("--name", "coder-1", "--data", str(path), "--hold-out", "0.3", "--batch-size", "100", "--epochs", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    for words in (
        "coder-1 learned",
        "of 62 in 1 round",
        "profile tiny: 2 passes, minibatches of 100",
        "held out",
        "1 line not usable",
        "line 61: not JSON",
        f"{path.name}.rejected.jsonl",
        "not learned from: attention (1)",
        "right action first",
        " of 1",
        "6 actions compete to be first",
        "what the swarm answered without this file",
    ):
        assert words in result.stdout.replace("\n  ", " ")
    again = call("--name", "coder-1", "--data", str(path), "--hold-out", "0.3", "--batch-size", "100", "--epochs", "2")
    assert "coder-1 has already learned this file, " in again.stdout
    assert "right action first" not in again.stdout


def test_people_are_told_when_new_weights_were_refused(
    call: Call, settings: Settings, client: Client, tmp_path: Path
) -> None:
    make_swarm(settings, client).register("coder-1", config=a_registration().config.updated(base_lora_lr=1.0))

    def told(seed: int) -> str:
        """What is said of tries that nothing helps: steps as long as these win by chance alone."""
        rng = random.Random(seed)
        lines = [
            {**line, "quality": float(rng.random() < 0.5), "context": {"task": f"do {rng.randrange(4)}"}}
            for line in some_lines(150, seed=seed)
        ]
        return call("--name", "coder-1", "--data", str(write_lines(tmp_path / f"{seed}.jsonl", lines))).stdout

    said = "new weights were refused: the agent learned clusters alone"
    assert said not in told(0)  # the first round founds clusters, and tries no weights
    assert any(said in told(seed) for seed in range(1, 20))


def test_json_has_the_whole_report_and_a_second_call_goes_on(call: Call, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in LINES).encode()))
    words = ["--name", "coder-1", "--data", str(path), "--json", "--min-quality", "0.5"]
    first = found(call(*words))
    assert (first["swarm"], first["agent"], first["lines"]) == (settings.name, "coder-1", 60)
    assert first["trained"] + first["held_out"] + first["filtered"] == 60
    assert first["filtered"] > 0
    again = found(call(*words))
    assert (again["resumed_at"], again["trained"], again["generation"]) == (60, first["trained"], first["generation"])


def test_with_spread_and_no_worker_this_is_said_at_once(call: Call, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", [{"task": "a b", "output": "c", "reward": 1}])
    result = call("--name", "coder-1", "--data", str(path), "--spread")
    assert (result.exit_code, result.stderr) == (0, "no worker of role trainer is alive: texts are embedded here\n")


def test_help_says_the_ranges(call: Call) -> None:
    shown = " ".join(call("--help").stdout.split())
    assert "1 to 100, or auto" in shown
    assert "1 to 4096, or auto" in shown


def test_who_interrupts_it_is_told_how_far_it_is(
    external: CommandLine, settings: Settings, client: Client, tmp_path: Path
) -> None:
    external.environment["SWARM_EMBEDDER"] = EMBEDDER
    path = write_lines(tmp_path / "data.jsonl", some_lines(9_000))
    swarm = make_swarm(settings, client)
    swarm.register("coder-1")
    with external.popen("train", "--name", "coder-1", "--data", str(path)) as process:
        wait_until(lambda: swarm.agents.state("coder-1").consolidated > 0, 60.0, "a round")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60.0)
    learned = swarm.agents.state("coder-1").consolidated
    assert (process.returncode, said) == (1, f"aborted: {learned:,} lines are learned; run it again to go on\n")
    assert 0 < learned < 9_000


def test_what_comes_in_on_stdin_is_learned(call: Call, tmp_path: Path) -> None:
    text = "".join(json.dumps(line) + "\n" for line in ["not a line", *LINES]).encode()
    report = found(call("--name", "coder-1", "--data", "-", "--json", "--hold-out", "0", text=text))
    assert (report["trained"], report["rejected"]) == (60, 1)
    assert Path(report["rejected_file"]).read_text().count("\n") == 1
    assert (tmp_path / "stdin.rejected.jsonl").exists()
