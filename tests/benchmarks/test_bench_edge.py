"""The promise of the preset for small machines: an engine whose every bound is reached stays below 5 MB."""

from __future__ import annotations

from benchmarks import bench_edge


def test_a_full_engine_of_a_small_machine_stays_below_its_promise() -> None:
    found = bench_edge.measure(256)
    # It was full: clusters of both signs, outcomes waiting and rehearsed, and the memory of tasks that ended.
    assert (found.clusters, found.waiting, found.rehearsed) == (100, 200, 1000)
    assert found.tasks > 0
    assert found.full_mb < 5.0
    assert found.is_kept
