"""Measurements: each module is one benchmark, started as `python -m benchmarks.bench_NAME`."""
