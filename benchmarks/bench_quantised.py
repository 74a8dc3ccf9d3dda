"""An adapter in 8 and 4 bits: what that costs in success, and what it saves in bytes.

Protocol and configuration are those of `benchmarks.bandit`. The adapter is that of the learner `base` of
`bench_learning`: it is trained over the seeds' clusters by the whole stream, and ranks alone (`bandit.adapter_scores`),
because beside the bank's memory a worse adapter would hardly be seen. Success@1 on the test rows:

  frozen           no adapter
  float            the adapter in float32
  bits8, bits4     the same in 8 and 4 bits, a scale for 64 numbers (`sona.quantised`)

  bytesB           bytes of codes and scales, as a share of float32
  frobeniusB       |Delta W - Delta W_q| / |Delta W|
  appliedB         mean of |y - y_q| / |y| over the adapted test rows

Nothing is chosen by the test rows.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from functools import partial
from pathlib import Path

from benchmarks.arguments import Options
from benchmarks.bandit import (
    adapter_cycle,
    adapter_scores,
    bench_config,
    draw_stream,
    drive,
    seeded_engine,
    success_at_1,
)
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts, with_split_of
from benchmarks.plots import save_bars
from benchmarks.seeds import Estimate, run_seeds, summarise
from swarm.sona.quantised import BITS, quantisation_error, quantise

_LEARNERS = ("frozen", "float", *(f"bits{bits}" for bits in BITS))


def measure(options: Options) -> Measurement:
    """All seeds."""
    data = load_labelled_texts(options.data, options.embedder)
    metrics = summarise(run_seeds(partial(one_seed, data), options.seeds))
    return Measurement(
        data=data.name,
        embedder=data.embedder,
        metrics=metrics,
        draw=partial(_draw, metrics=metrics, name=f"{data.name}, {data.embedder}"),
    )


def one_seed(data: LabelledTexts, seed: int) -> dict[str, float]:
    """The metrics of one seed."""
    data = with_split_of(data, seed)
    stream = draw_stream(data, seed)
    dim = stream.embedding.shape[1]
    engine = seeded_engine(stream, bench_config(dim, seed, micro_lora_lr=0.0))
    metrics = {"frozen": success_at_1(engine, stream, adapter_scores)}
    drive(engine, stream, score=adapter_scores, cycle=lambda: adapter_cycle(engine))
    metrics["float"] = success_at_1(engine, stream, adapter_scores)
    pairs = engine.adapter.trained
    for bits in BITS:
        quantised = quantise(pairs, dim, bits=bits)
        error = quantisation_error(pairs, quantised, stream.embedding[stream.test])
        # Ranking goes through the engine, so it gets the pairs that the codes stand for.
        engine.adapter.set_base([pair.dense() for pair in quantised.pairs])
        metrics |= {
            f"bits{bits}": success_at_1(engine, stream, adapter_scores),
            f"bytes{bits}": error.size_bytes / (error.float_bytes or 1),
            f"frobenius{bits}": error.frobenius,
            f"applied{bits}": error.applied,
        }
    return metrics


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    shown = {learner: metrics[learner] for learner in _LEARNERS}
    save_bars(path, shown, title=f"An adapter in fewer bits: {name}", value_label="success@1", ours=_LEARNERS[2:])


if __name__ == "__main__":
    run_benchmark("bench_quantised", __doc__, measure)
