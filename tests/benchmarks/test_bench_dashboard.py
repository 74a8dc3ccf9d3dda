"""How soon the dashboard shows a bank, measured on a small one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser_support import require_chromium

from benchmarks.bench_dashboard import main


def test_it_measures_until_the_map_is_painted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_chromium()
    main(["--patterns", "300", "--seeds", "1", "--json", "--plot", str(tmp_path / "plot.png")])
    found = json.loads(capsys.readouterr().out)
    metrics = {name: estimate["mean"] for name, estimate in found["metrics"].items()}
    assert 0.0 < metrics["first_paint_ms"] <= metrics["map_painted_ms"]
    assert metrics["map_bytes"] > 300 * 20
    assert metrics["live_ms"] > 0.0
    assert metrics["ready_s"] > 0.0
    assert (tmp_path / "plot.png").exists()
