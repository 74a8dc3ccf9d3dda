"""`swarm bench`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from swarm.errors import RuntimeSetupError
from swarm_cli.options import json_option

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("bench", short_help="Run the benchmarks of a checkout, small or full, and compare runs.")
@click.option("--full", is_flag=True, help="Hours of it, as the published figures were measured.")
@click.option("--only", metavar="NAME", multiple=True, help="Only this benchmark; may be given several times.")
@click.option("--data", metavar="DIR", type=_FOLDER, help="Real data for --full; SWARM_BENCH_DATA without it.")
@click.option("--peer", metavar="DIR", type=_FOLDER, help="The published engine's script; SWARM_BENCH_PEER without it.")
@click.option("--save", metavar="DIR", type=_FOLDER, help="Write bench.json and pictures there.")
@click.option("--compare", metavar="FILE", type=_FILE, help="An earlier bench.json: mark what differs.")
@json_option
def command(
    full: bool,
    only: tuple[str, ...],
    data: Path | None,
    peer: Path | None,
    save: Path | None,
    compare: Path | None,
    as_json: bool,
) -> None:
    """Run the benchmarks of a checkout, small or full, and compare runs.

    Small takes about two minutes on two idle cores, and nothing that is not on every machine. Each figure stands
    beside a floor, a baseline or a ceiling of the same run. Ctrl-C keeps what was measured.

    Exit code 1: something failed or was interrupted.
    """
    root = find_checkout(Path(__file__).parents[3], Path.cwd())
    words = ["--full"] if full else []
    for name in only:
        words += ["--only", name]
    for option, path in (("--data", data), ("--peer", peer), ("--save", save), ("--compare", compare)):
        if path is not None:
            words += [option, str(path.expanduser().absolute())]
    # In place of this process: an interrupt and the exit code are theirs, with nobody in between.
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "benchmarks", *words, *(["--json"] if as_json else [])])


def find_checkout(*folders: Path) -> Path:
    """The first of `folders` that is a checkout of this project: the benchmarks are no part of what is installed.

    Raises
    ------
    RuntimeSetupError
        If none is.
    """
    for folder in folders:
        if (folder / "benchmarks" / "suite.py").is_file() and (folder / "swarm" / "swarm_cli").is_dir():
            return folder
    raise RuntimeSetupError(
        "the benchmarks are in the source, not in the installed package: run `swarm bench` in a checkout of it"
    )
