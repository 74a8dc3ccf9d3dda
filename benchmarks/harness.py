"""What all learning benchmarks have in common: command line, clock, result, plot, and errors in one line.

A benchmark is a function from `Options` to a `Measurement`:

    def measure(options: Options) -> Measurement:
        data = load_labelled_texts(options.data, options.embedder)
        runs = run_seeds(partial(one_seed, data), options.seeds)
        ...

    if __name__ == "__main__":
        run_benchmark("bench_learning", __doc__, measure)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.arguments import Options, one_line, parse_options, plot_path, say
from benchmarks.report import Report, print_report
from benchmarks.seeds import Estimate
from swarm.errors import EmbedderUnavailableError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a benchmark hands over."""

    data: str
    """Name of the data: `.name` of what was loaded."""
    embedder: str
    """Its name: `.embedder` of what was loaded."""
    metrics: Mapping[str, Estimate]
    """From `summarise`."""
    draw: Callable[[Path], object]
    """Writes the plot to a file, by `save_curves` or `save_bars`."""


def run_benchmark(
    bench: str,
    description: str | None,
    measure: Callable[[Options], Measurement],
    arguments: Sequence[str] | None = None,
    add_arguments: Callable[[argparse.ArgumentParser], object] | None = None,
) -> None:
    """Run one benchmark from its command line: print the result on stdout, save the plot.

    Parameters
    ----------
    bench, description, arguments, add_arguments : as in `parse_options`
    measure : what takes the time; `seconds` of the result is how long

    Raises
    ------
    SystemExit
        With code 2 and one line on stderr, if the command line, the data or the embedder cannot be used.
    """
    options = parse_options(bench, description, arguments, add_arguments)
    try:
        _run(bench, options, measure)
    except (InputError, EmbedderUnavailableError) as error:
        say(f"{bench}: {one_line(error)}")
        sys.exit(2)


def _run(bench: str, options: Options, measure: Callable[[Options], Measurement]) -> None:
    started = time.perf_counter()
    found = measure(options)
    report = Report(
        bench=bench,
        data=found.data,
        embedder=found.embedder,
        seeds=options.seeds,
        metrics=found.metrics,
        seconds=time.perf_counter() - started,
    )
    # The figures first: a plot that cannot be written must not take them along.
    if options.is_json:
        print(report.to_json(), flush=True)
    else:
        print_report(report)
    path = plot_path(options, bench, found.data, found.embedder)
    found.draw(path)
    say(f"plot: {path}")
