"""Cost against agents and patterns, measured on very few."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_scale import main
from benchmarks.scale_bare import BareLibrary, has_library, nearest, recall_of
from benchmarks.scale_data import DIM, agents_of, filters_of, patterns, queries


def test_it_measures_agents_patterns_and_queries_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--agents", "30", "--patterns", "400", "--queries", "8"]
    main([*sizes, "--json", "--seeds", "1", "--plot", str(tmp_path / "plot.png")])
    found = json.loads(capsys.readouterr().out)
    assert (found["bench"], found["data"], found["seeds"]) == ("bench_scale", "scale", 1)
    metrics = {name: estimate["mean"] for name, estimate in found["metrics"].items()}
    for name in ("register", "status", "sweep", "roles", "refresh", "first_merge", "merge_one"):
        assert 0.0 < metrics[f"{name}_ms_30"] < 60_000.0
    for part in ("all", "10pct", "0.5pct"):
        # So few patterns are searched exactly.
        assert metrics[f"recall5_400_{part}"] == 1.0
        assert metrics[f"score5_400_{part}"] == pytest.approx(1.0)
        assert 0.0 < metrics[f"query_400_{part}_ms_p50"] <= metrics[f"query_400_{part}_ms_p99"]
        assert metrics[f"query_400_{part}_cpu_ms"] > 0.0
    assert metrics["memory_to_raw_400"] > 1.0
    assert metrics["load_s_400"] > 0.0
    assert metrics["followed_query_ms_400_loaded_p99"] > 0.0
    assert (tmp_path / "plot.png").exists()
    assert has_library() == ("bare_400_all_cpu_ms" in metrics)


def test_the_patterns_of_a_bank_are_the_same_whoever_asks() -> None:
    once, again = (list(islice(patterns(30_000), 50)) for _ in range(2))
    assert [pattern.id for pattern in once] == [pattern.id for pattern in again]
    assert all((a.sum_embedding == b.sum_embedding).all() for a, b in zip(once, again, strict=True))
    assert np.array_equal(queries(30_000, 3), queries(30_000, 9)[:3])
    assert agents_of(1_000_000) == 10_000
    many = list(patterns(20_000))
    for name, share in (("10pct", 0.1), ("0.5pct", 0.005)):
        wanted = set(filters_of(20_000)[name] or ())
        assert np.mean([not wanted.isdisjoint(pattern.agents) for pattern in many]) == pytest.approx(share, rel=0.3)


@pytest.mark.skipif(not has_library(), reason="faiss is not installed (pip install sona-swarm[bench])")
def test_the_bare_library_looks_through_as_many_lists_as_the_recall_takes() -> None:
    rng = np.random.default_rng(0)
    vectors = np.array([pattern.centroid for pattern in patterns(5_000)])
    wanted = rng.random(5_000) < 0.1
    asked = queries(5_000, 10)
    truth = nearest(vectors, asked, 5, wanted)
    assert all(wanted[list(rows)].all() for rows in truth)
    assert truth[0] == set(np.argsort(np.where(wanted, -vectors.dot(asked[0]), 9.0))[:5].tolist())
    search, took = BareLibrary(vectors).cheapest(asked, truth, wanted)
    assert took["recall"] == recall_of([set(search(x).tolist()) for x in asked], truth) >= 0.95
    assert vectors.shape == (5_000, DIM)


@pytest.mark.parametrize("sizes", [["--patterns", "5"], ["--agents", "many"], ["--agents", "-3"]])
def test_sizes_out_of_bounds_are_one_line(sizes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*sizes, "--json", "--seeds", "1"])
    assert "must be numbers in 10..10000000" in capsys.readouterr().err
