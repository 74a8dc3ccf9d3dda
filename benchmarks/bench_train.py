"""Training from files: `python -m benchmarks.bench_train --json --seeds 1`.

A seed is a file. Made up: `--lines` lines of `--dim` numbers about `--actions` actions, as they are in the tutorials.
Lines per second of the clock and of one processor, from the file to searchable, the learning process alone; the floor
beside it, which parses each line as JSON and does nothing else; the peak of memory; what held-out lines say before and
after. With `--kills N` the same file is learned once more by a process that is killed N times with SIGKILL, at moments
drawn from the whole run, and begun again: `same_after_kills` is 1 if all that the agent has learned is the same, byte
for byte, and every line was learned once.

With `--data DIR` a folder of labelled texts: tries at the labels of its training rows, 7 in 10 right. On its test rows
the share whose right label is ranked first, after the profile that the number of lines chooses (`auto`), and after one
pass in minibatches of 128 (`one_pass`), for 400, 3,000 and all lines.
"""

from __future__ import annotations

import os

# Threads of BLAS on a busy machine cost far more than they give; this must stand before NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import Options, say
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts
from benchmarks.plots import save_bars
from benchmarks.scale_redis import ScratchRedis
from benchmarks.seeds import summarise
from benchmarks.train_files import made_up, parsed, tries
from swarm.embed import HashedEmbedder
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.clusters import action_of
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import check_count
from swarm.store.connection import connect
from swarm_agents.training.judge import Judge

_AGENT = "learner"
_SIZES = (400, 3_000)
_ONE_PASS = {"epochs": 1, "batch_size": 128}
_JUDGED = 1_000


def measure(options: Options) -> Measurement:
    """All files; each is a row of metrics."""
    extra = options.extra
    data = None if options.data is None else load_labelled_texts(options.data, options.embedder)
    rows = []
    for seed in range(options.seeds):
        with ScratchRedis() as redis, tempfile.TemporaryDirectory() as folder:
            if data is None:
                rows.append(_speed(redis, Path(folder), seed, extra))
            else:
                rows.append(_learning(redis, Path(folder), seed, data))
    metrics = summarise(rows)
    shown = [name for name in metrics if name.startswith("lines_per") or "right" in name]
    return Measurement(
        data="made up" if data is None else data.name,
        embedder="made up" if data is None else data.embedder,
        metrics=metrics,
        draw=partial(
            save_bars,
            metrics={name: metrics[name] for name in shown},
            title="Training from files",
            value_label="lines per second" if data is None else "right label first",
            ours=shown,
        ),
    )


def _speed(redis: ScratchRedis, folder: Path, seed: int, extra: argparse.Namespace) -> dict[str, float]:
    lines, dim = check_count(extra.lines, "lines", 100, 10**8), check_count(extra.dim, "dim", 16, 8192)
    path = folder / "data.jsonl"
    say(f"making {lines} lines")
    made_up(path, lines, dim, check_count(extra.actions, "actions", 2, 10_000), seed)
    begun, used = time.perf_counter(), time.process_time()
    parsed(path)
    floor_s, floor_cpu_s = time.perf_counter() - begun, time.process_time() - used
    settings = _settings(redis, f"speed-{seed}", dim)
    say("learning")
    done = _trained(settings, path, {})
    report = done["report"]
    row = {
        "lines_per_s": lines / done["seconds"],
        "lines_per_cpu_s": lines / done["cpu_s"],
        "floor_lines_per_s": lines / floor_s,
        "cpu_to_floor": done["cpu_s"] / floor_cpu_s,
        "memory_mb": done["memory_bytes"] / 2**20,
        "file_mb": path.stat().st_size / 2**20,
        "trained_share": report["trained"] / lines,
        "right_first_before": report["before"].get("top1", 0.0),
        "right_first_after": report["after"].get("top1", 0.0),
        "likelihood_after": report["after"].get("likelihood", 0.0),
    }
    if extra.kills:
        other = _settings(redis, f"kills-{seed}", dim)
        row["same_after_kills"] = float(
            _killed(other, path, check_count(extra.kills, "kills", 0, 100), done["seconds"], seed)
            and _known(other) == _known(settings)
        )
    return row


def _learning(redis: ScratchRedis, folder: Path, seed: int, data: LabelledTexts) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(data.train))
    test = rng.permutation(np.flatnonzero(data.test))[:_JUDGED]
    judges = [
        Trajectory(
            id=f"test-{row}",
            embedding=data.embedding[row],
            quality=1.0,
            action=action_of(data.label_names[data.labels[row]]),
        )
        for row in test
    ]
    found = {}
    for size in (*(size for size in _SIZES if size < len(rows)), len(rows)):
        path = folder / f"{size}.jsonl"
        tries(path, data, rows[:size], seed)
        name = "all" if size == len(rows) else str(size)
        for how, options in (("auto", {}), ("one_pass", _ONE_PASS)):
            say(f"seed {seed}: {name} lines, {how}")
            dim = data.embedding.shape[1]
            settings = _settings(redis, f"{how}-{name}-{seed}", dim)
            _trained(settings, path, options)
            with connect(settings) as client:
                swarm = Swarm(settings, client=client, embedder=HashedEmbedder(dim))
                figures = Judge(swarm, _AGENT, judges).figures()
            found[f"right_{how}_{name}"] = figures["top1"]
            found[f"mrr_{how}_{name}"] = figures["mrr"]
            found[f"likelihood_{how}_{name}"] = figures.get("likelihood", 0.0)
    return found


def _settings(redis: ScratchRedis, name: str, dim: int) -> Settings:
    # Vectors come with the file: the embedder is asked for its dimension, and embeds a few prototypes of task types.
    return redis.settings(name).model_copy(update={"embedder": f"hashed:{dim}", "lease_ttl": 1.0})


def _process(settings: Settings, path: Path, options: Mapping[str, Any]) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
    names = ("name", "redis_url", "state_dir", "embedder", "lease_ttl")
    given = {f"SWARM_{name.upper()}": str(getattr(settings, name)) for name in names}
    command = [sys.executable, "-m", "benchmarks.train_run", _AGENT, str(path), json.dumps(options)]
    return subprocess.Popen(command, env=kept | given, stdout=subprocess.PIPE, text=True)


def _trained(settings: Settings, path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a training that comes to its end says on its last line."""
    with _process(settings, path, options) as process:
        said, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the training ended with {process.returncode}")
    found = json.loads(said.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def _killed(settings: Settings, path: Path, kills: int, seconds: float, seed: int) -> bool:
    """Learn with so many kills, then to the end; whether each of them came in the middle of the file."""
    rng = random.Random(seed)
    for number in range(kills):
        with _process(settings, path, {}) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(rng.random() * seconds / (kills + 1))
            except subprocess.TimeoutExpired:
                say(f"kill {number + 1}")
            process.kill()
    report = _trained(settings, path, {})["report"]
    return bool(report["resumed_at"] > 0 and report["trained"] + report["held_out"] == report["lines"])


def _known(settings: Settings) -> list[object]:
    """All that the agent has learned, but for the time at which it was."""
    with connect(settings) as client:
        agents = Swarm(settings, client=client).agents
        clusters = [(one.id, one.n, one.sum_quality, one.sum_embedding.tobytes()) for one in agents.clusters(_AGENT)]
        return [clusters, agents.values(_AGENT), agents.state(_AGENT).processed]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lines", type=int, default=100_000, metavar="N", help="lines of the file (100000)")
    parser.add_argument("--dim", type=int, default=384, metavar="N", help="numbers of a vector (384)")
    parser.add_argument("--actions", type=int, default=77, metavar="N", help="actions that lines are about (77)")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="learn it again and kill that N times (0)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    run_benchmark("bench_train", __doc__, measure, arguments, _arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
