"""`swarm demo`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from swarm.errors import InputError
from swarm_cli.demo.machinery import SWARM
from swarm_cli.demo.report import print_report
from swarm_cli.demo.run import DemoOptions, run_demo
from swarm_cli.options import cli_settings, json_option
from swarm_cli.output import NOTE, console

DEFAULT_PLOT = Path("swarm-demo.png")


@click.command("demo", short_help="Watch a swarm learn on real text, in about a minute.")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A folder of labelled texts; the documentation of Python's standard library without it.",
)
@click.option("--agents", metavar="N", type=click.IntRange(1, 256), default=8, show_default=True, help="How many.")
@click.option("--seed", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="Decides all chance.")
@click.option("--tasks", metavar="N", type=click.IntRange(1), help="Length of the stream; fitting passes without it.")
@click.option("--embedder", metavar="NAME", help="Text to vectors; SWARM_EMBEDDER or 'wordllama' without it.")
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Where the picture goes; {DEFAULT_PLOT} without it, or nowhere with --json.",
)
@json_option
def command(
    data: Path | None, agents: int, seed: int, tasks: int | None, embedder: str | None, plot: Path | None, as_json: bool
) -> None:
    """Watch a swarm learn on real text, in about a minute.

    Agents meet real requests through the real hooks, Redis and workers, in a swarm of their own named 'sona-demo'.
    Redis and what is missing are started; afterwards `swarm down` stops them.
    """
    settings = cli_settings(None, embedder=embedder)
    picture = plot if plot is not None or as_json else DEFAULT_PLOT
    if picture is not None:
        _check_writable(picture)
    run = run_demo(DemoOptions(data=data, agents=agents, seed=seed, tasks=tasks, quiet=as_json), settings)
    if picture is not None:
        # Only here: matplotlib is slow to load, and without a picture not needed.
        from swarm_cli.demo.plot import save_plot

        save_plot(run.result, picture)
    if as_json:
        click.echo(run.result.to_json())
        return
    print_report(run.result, run.patterns)
    console().print(f"\nPicture: {picture}. Ask it yourself: swarm query --swarm {SWARM} TEXT", style=NOTE)


def _check_writable(picture: Path) -> None:
    """Refuse now what would fail after the run."""
    folder = picture.absolute().parent
    if picture.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"--plot: {picture} cannot be written: name a file in a folder that is there")
