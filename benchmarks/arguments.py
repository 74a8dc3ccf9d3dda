"""The command line that all learning benchmarks share; what is wrong with it is one line and exit code 2."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from swarm.errors import InputError
from swarm.sona.vectors import check_count

DEFAULT_SEEDS = 5
MAX_SEEDS = 1000
PLOT_ENDINGS = (".png", ".svg", ".pdf")
RESULTS = Path("results")
"""Where plots go by default, under the current folder; git ignores it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    data: Path | None
    """Folder of the data; None: what every machine has, if the benchmark can use that."""
    seeds: int
    """How many: the seeds are 0..seeds-1."""
    embedder: str | None
    """As in `swarm.embed.registry`; None: the folder's own vectors, else the service's default."""
    is_json: bool
    plot: Path | None
    extra: argparse.Namespace
    """Every option by its name, also those that the benchmark has added itself."""


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong without repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Print one line and leave with exit code 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}\n")


def one_line(message: object) -> str:
    """White space of any kind becomes one space.

    >>> one_line("cannot be read:\\n  no such file")
    'cannot be read: no such file'
    """
    return " ".join(str(message).split())


def parse_options(
    bench: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
    add_arguments: Callable[[argparse.ArgumentParser], object] | None = None,
) -> Options:
    """The options in `arguments` (by default those of this process).

    Parameters
    ----------
    bench : the benchmark's permanent name, such as `bench_learning`
    add_arguments : adds what this benchmark alone has; found again in `Options.extra`

    Raises
    ------
    SystemExit
        With code 2 and one line on stderr that names parameter, bound and value; with code 0 after `--help`.
    """
    parser = OneLineParser(prog=bench, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data")
    parser.add_argument(
        "--seeds", default=str(DEFAULT_SEEDS), metavar="N", help=f"seeds 0..N-1 are run (default {DEFAULT_SEEDS})"
    )
    parser.add_argument(
        "--embedder",
        metavar="NAME",
        help="wordllama, hashed[:DIM], minilm, ...; by default the folder's own vectors (minilm), else wordllama",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"where the plot goes (default: {RESULTS}/)")
    if add_arguments is not None:
        add_arguments(parser)
    found = parser.parse_args(arguments)
    try:
        seeds, plot = _seeds(found.seeds), _plot(found.plot)
    except InputError as error:
        parser.error(str(error))
    return Options(data=found.data, seeds=seeds, embedder=found.embedder, is_json=found.json, plot=plot, extra=found)


def plot_path(options: Options, bench: str, data: str, embedder: str) -> Path:
    """The file that `--plot` names, else `results/BENCH-DATA-EMBEDDER.png` with other signs than letters made `_`."""
    if options.plot is not None:
        return options.plot
    return RESULTS / f"{'-'.join(re.sub(r'[^A-Za-z0-9_.]', '_', part) for part in (bench, data, embedder))}.png"


def say(message: str) -> None:
    """Progress, on stderr: stdout belongs to the result."""
    print(message, file=sys.stderr, flush=True)


def _seeds(value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        raise InputError(f"seeds must be a whole number in 1..{MAX_SEEDS}, got {value!r:.40}")
    return check_count(int(value), "seeds", 1, MAX_SEEDS)


def _plot(value: Path | None) -> Path | None:
    # Told before the measuring, not after it.
    if value is not None and (value.suffix.lower() not in PLOT_ENDINGS or value.is_dir()):
        raise InputError(f"plot must be a file that ends in {', '.join(PLOT_ENDINGS)}, got {str(value)!r:.200}")
    return value
