"""The gateway under load, a hook over HTTP, and an idle gateway: `python -m benchmarks.bench_gateway --json --seeds 1`.

A seed is a round: everything anew, in a swarm of its own with its embedded Redis and real workers, by `swarm up`.

Load: `--clients` parallel clients (500) do everything at once for `--duration` seconds (60): hooks, outcomes, queries,
receipts, status. No answer may be a 5xx, no receipt may be lost: each is followed to its end. Hook: `POST
/v1/trajectories`, then events of Claude Code, 50 a second, warm, with `--patterns` (100,000) in the bank, from another
process, in turns with a FastAPI route that does nothing. Shim: the whole process of a hook's command, in turns with a
bare round trip of the same Python, and with no gateway there. Idle: memory, keys, processes and processor time over
`--idle` seconds (3,600).
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
from benchmarks.gateway_hook import cost_of_hook
from benchmarks.gateway_idle import cost_of_idling
from benchmarks.gateway_load import cost_of_clients
from benchmarks.gateway_shim import cost_of_shim
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plots import save_bars
from benchmarks.seeds import summarise
from swarm.errors import InputError

_PARTS = ("load", "hook", "shim", "idle")


def measure(options: Options) -> Measurement:
    """All rounds; each is a row of metrics."""
    extra = options.extra
    parts = [part for part in extra.parts.split(",") if part]
    if not parts or not set(parts) <= set(_PARTS):
        raise InputError(f"parts must be some of {', '.join(_PARTS)}, got {extra.parts!r:.80}")
    rows = []
    for number in range(options.seeds):
        say(f"round {number + 1} of {options.seeds}")
        row: dict[str, float] = {}
        if "load" in parts:
            row |= cost_of_clients(extra.clients, extra.duration)
        if "hook" in parts:
            row |= cost_of_hook(extra.patterns, extra.duration)
        if "shim" in parts:
            row |= cost_of_shim()
        if "idle" in parts:
            row |= cost_of_idling(extra.idle)
        rows.append(row)
    metrics = summarise(rows)
    shown = [name for name in metrics if "_ms_p" in name] or list(metrics)
    return Measurement(
        data="gateway",
        embedder="hashed",
        metrics=metrics,
        draw=partial(
            save_bars,
            metrics={name: metrics[name] for name in shown},
            title="Latency over HTTP",
            value_label="ms",
            ours=[name for name in shown if not name.startswith("empty")],
        ),
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parts", default=",".join(_PARTS), metavar="A,B", help="load, hook, shim, idle (all)")
    parser.add_argument("--duration", type=float, default=60.0, metavar="S", help="seconds of load and of hooks (60)")
    parser.add_argument("--clients", type=int, default=500, metavar="N", help="parallel clients (500)")
    parser.add_argument("--patterns", type=int, default=100_000, metavar="N", help="patterns in the bank (100,000)")
    parser.add_argument("--idle", type=float, default=3_600.0, metavar="S", help="idle seconds (3,600)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    run_benchmark("bench_gateway", __doc__, measure, arguments, _arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
