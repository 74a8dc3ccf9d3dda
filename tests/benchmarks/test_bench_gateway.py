"""`bench_gateway` follows every receipt to its end, asks as often as it says, and sees what an idle gateway has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gateway_shim
from benchmarks.bench_gateway import main


def figures(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: str) -> dict[str, float]:
    main(["--json", "--seeds", "1", "--plot", str(tmp_path / "plot.png"), *arguments])
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["seeds"]) == ("bench_gateway", "gateway", 1)
    return {name: one["mean"] for name, one in found["metrics"].items()}


@pytest.mark.timeout(300)
def test_the_parts_say_what_they_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Thirty runs of each command are for a median, three for a test.
    monkeypatch.setattr(gateway_shim, "RUNS", 3)
    found = figures(capsys, tmp_path, "--duration", "1", "--clients", "5", "--patterns", "50", "--idle", "1")
    assert found["answers_2xx"] > 5
    assert (found["answers_5xx"], found["receipts_lost"], found["receipts_not_ended"]) == (0.0, 0.0, 0.0)
    assert found["receipts"] > 0
    assert found["hooks"] == 50.0
    assert 0.0 < found["hook_ms_p50"] <= found["hook_ms_p99"]
    assert found["installed_hook_to_bare"] > 0.0 < found["no_gateway_ms_max"]
    assert found["idle_keys_start"] == found["idle_keys_end"] > 50
    # Redis, a worker and its child, the supervisor, the gateway: those that keep the variable in their environment.
    assert found["idle_processes_start"] == found["idle_processes_end"] >= 3
    assert (tmp_path / "plot.png").exists()


def test_a_part_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        figures(capsys, tmp_path, "--parts", "luck")
    assert "parts must be some of load, hook, shim, idle" in capsys.readouterr().err
