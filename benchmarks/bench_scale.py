"""Cost against agents and patterns: `python -m benchmarks.bench_scale --json --seeds 1`.

A seed is a round. `cpu_ms` is the time of this process's processor, `ms` that of the clock.

Of agents (10 to 10,000, one in ten with an outcome waiting): to register one, a status, a sweep of the workers, the
roles, an agent's refresh, a merge when one of them has learned. Of patterns (1,000 to 1,000,000, 256 dimensions, made
up): seconds to load them from Redis into a replica, memory over 4 bytes for each number of the vectors, queries for
everybody's and for those of agents with 10 % and 0.5 % of the rows, recall@5 against the exact ranking, and the share
of its scores (`score5`). Up to 50,000 patterns a replica is exact.

Beside each the bare library (faiss, if it is installed): the fewest lists with recall .95 of the 5 nearest vectors
(`bare`) and of the 512 nearest (`bare512`: so many the formulas read), filtered by its own selector. `query_to_bare` is
a whole query, formulas and provenance included, over that; `query_to_bare_all` over the library's search without a
filter; both of `cpu_ms`. `vectors` is our search for vectors alone. At last a query with its look at what changed,
alone and while another process consolidates and publishes.
"""

from __future__ import annotations

import os

# Threads of BLAS on a busy machine cost far more than they give; this must stand before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.arguments import Options, say
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plots import save_bars
from benchmarks.scale_agents import cost_of_agents
from benchmarks.scale_bare import has_library
from benchmarks.scale_load import cost_under_load
from benchmarks.scale_patterns import cost_of_patterns
from benchmarks.scale_redis import ScratchRedis
from benchmarks.seeds import summarise
from swarm.errors import InputError

_AGENTS = (10, 100, 1_000, 10_000)
_PATTERNS = (1_000, 10_000, 100_000, 1_000_000)
_LOADED = 100_000


def measure(options: Options) -> Measurement:
    """All rounds; each is a row of metrics."""
    extra = options.extra
    agents, sizes = _sizes(extra.agents, "agents"), _sizes(extra.patterns, "patterns")
    if extra.quick:
        agents, sizes = [n for n in agents if n <= 1_000], [n for n in sizes if n <= 10_000]
    if not has_library():
        say("faiss is not installed: no bare library beside the queries (pip install faiss-cpu)")
    rows = []
    for _ in range(options.seeds):
        row: dict[str, float] = {}
        with ScratchRedis() as redis:
            for n in agents:
                say(f"{n} agents")
                row |= cost_of_agents(redis, n)
            for n in sizes:
                row |= cost_of_patterns(redis, n, extra.queries)
            if loaded := [n for n in sizes if n <= _LOADED]:
                row |= cost_under_load(redis, max(loaded), 4 * extra.queries)
        rows.append(row)
    metrics = summarise(rows)
    shown = [name for name in metrics if name.startswith(("memory_to_raw", "query_to_bare", "recall5"))]
    return Measurement(
        data="scale",
        embedder="made up",
        metrics=metrics,
        draw=partial(
            save_bars,
            metrics={name: metrics[name] for name in shown},
            title="Memory, recall and cost of queries against the number of patterns",
            value_label="ratio",
            ours=shown,
        ),
    )


def _sizes(text: str, parameter: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",") if part]
    except ValueError:
        found = [0]
    if any(not 10 <= n <= 10_000_000 for n in found):
        raise InputError(f"{parameter} must be numbers in 10..10000000 with commas between, got {text!r:.80}")
    return found


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="up to 1,000 agents and 10,000 patterns only")
    parser.add_argument("--agents", default=",".join(map(str, _AGENTS)), metavar="N,N", help="numbers of agents")
    parser.add_argument("--patterns", default=",".join(map(str, _PATTERNS)), metavar="N,N", help="numbers of patterns")
    parser.add_argument("--queries", type=int, default=300, metavar="N", help="timed queries for each figure (300)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    run_benchmark("bench_scale", __doc__, measure, arguments, _arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
