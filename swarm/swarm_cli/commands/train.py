"""`swarm train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from swarm.services.swarm import Swarm
from swarm_agents.training import PROFILES, BatchReport, Trainer, TrainReport
from swarm_agents.training.source import HELD_OUT
from swarm_agents.training.trainer import HOLD_OUT, MAX_BATCH, MAX_EPOCHS, MAX_HOLD_OUT
from swarm_agents.training.vectors import has_trainers
from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, console, count, duration, plain, print_json, table

_MEASURES = {
    "mrr": "mean reciprocal rank",
    "likelihood": "likelihood of what happened",
    "known": "actions known",
}


class _OrAuto(click.ParamType[int | None]):
    """A number in a range, or "auto"."""

    name = "number"

    def __init__(self, least: int, most: int) -> None:
        self._range = click.IntRange(least, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        return None if value == "auto" else self._range.convert(value, param, ctx)


@click.command("train", short_help="Let an agent learn a file of examples.")
@click.option(
    "--name", "agent", metavar="AGENT", required=True, shell_complete=completion.agents, help="The agent that learns."
)
@click.option(
    "--data",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Its examples: JSON objects by the line, .jsonl or .jsonl.gz; - for stdin.",
)
@click.option(
    "--profile",
    type=click.Choice(["auto", *(profile.name for profile in PROFILES)]),
    default="auto",
    show_default=True,
    help="How long to train; auto goes by the number of lines.",
)
@click.option(
    "--epochs",
    metavar="N",
    type=_OrAuto(1, MAX_EPOCHS),
    default="auto",
    show_default=True,
    help=f"Passes over each round, 1 to {MAX_EPOCHS}, or auto.",
)
@click.option(
    "--batch-size",
    metavar="N",
    type=_OrAuto(1, MAX_BATCH),
    default="auto",
    show_default=True,
    help=f"Outcomes of a minibatch of those passes, 1 to {MAX_BATCH}, or auto.",
)
@click.option(
    "--min-quality",
    metavar="Q",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    help="Leave out lines below.",
)
@click.option(
    "--hold-out",
    metavar="SHARE",
    type=click.FloatRange(0.0, MAX_HOLD_OUT),
    default=HOLD_OUT,
    show_default=True,
    help=f"Keep so many lines from training, {HELD_OUT} at most, to judge by.",
)
@click.option("--dedup", is_flag=True, help="Learn lines that are equal once.")
@click.option("--strict", is_flag=True, help="Stop at a line that cannot be used.")
@click.option(
    "--rejected",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where lines go that cannot be used; FILE.rejected.jsonl without it.",
)
@click.option("--spread", is_flag=True, help="Have the workers of the role trainer embed texts.")
@click.option("--role", metavar="NAME", shell_complete=completion.roles, help="What the agent does, if it is new.")
@swarm_option
@json_option
def command(
    agent: str,
    data: Path,
    profile: str,
    epochs: int | None,
    batch_size: int | None,
    min_quality: float,
    hold_out: float,
    dedup: bool,
    strict: bool,
    rejected: Path | None,
    spread: bool,
    role: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Let an agent learn a file of examples, and say how it does on lines that were held out.

    Killed at any moment and called again, it goes on where it was. What comes in on stdin is kept in a temporary file
    first: to go on there, the same lines must come in again.
    """
    settings = cli_settings(name)
    with reachable(settings), _progress_bar() as bar:
        swarm = Swarm(settings)
        if is_alone := spread and not has_trainers(swarm):
            click.echo("no worker of role trainer is alive: texts are embedded here", err=True)
        trainer = Trainer(
            swarm,
            agent,
            profile=profile,
            epochs=epochs,
            batch_size=batch_size,
            min_quality=min_quality,
            hold_out=hold_out,
            dedup=dedup,
            strict=strict,
            rejected=rejected,
            spread=spread,
            role=role,
            on_batch=bar,
        )
        report = _trained(trainer, data)
    if as_json:
        print_json({"swarm": settings.name, **report.as_dict()})
    else:
        _show(report)
        if spread and not is_alone and report.embedded_here:
            parts = count(report.embedded_here, "part")
            console().print(
                f"{parts} of the texts embedded here: see swarm workers list, are there any of role trainer?"
            )


def _trained(trainer: Trainer, data: Path) -> TrainReport:
    """Learn the file; who is interrupted is told how far it is."""
    try:
        return trainer.train(data)
    except KeyboardInterrupt:
        learned = trainer.learned()
        how_far = "" if learned is None else f"{count(learned, 'line is', 'lines are')} learned; "
        raise click.Abort(f"{how_far}run it again to go on") from None


@contextmanager
def _progress_bar() -> Iterator[Callable[[BatchReport], None]]:
    """A bar on stderr with lines, rate and the time that is left; nothing where stderr is no terminal."""
    terminal = Console(stderr=True)
    columns = (
        TextColumn("learning"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("lines {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        task = progress.add_task("", total=None, rate="")

        def move(batch: BatchReport) -> None:
            rate = "" if not batch.seconds else f"{batch.trained / batch.seconds:,.0f}/s"
            progress.update(task, completed=batch.lines, total=batch.total, rate=rate)

        yield move


def _show(report: TrainReport) -> None:
    out = console()
    if report.was_learned:
        out.print(
            f"{report.agent} has already learned this file, {count(report.trained, 'line')} of {report.lines:,}: "
            "nothing changed.",
            soft_wrap=True,
        )
        return
    how = f"profile {report.profile}: {count(report.epochs, 'pass', 'passes')}, minibatches of {report.batch_size}"
    again = f", from line {report.resumed_at + 1:,} on" if report.resumed_at else ""
    out.print(
        f"{report.agent} learned {count(report.trained, 'line')} of {report.lines:,} in "
        f"{count(report.rounds, 'round')}{again} ({duration(report.seconds)}, {report.lines_per_s:,.0f} lines/s)"
    )
    out.print(how, style=NOTE)
    aside = {
        "held out": report.held_out,
        "below the quality": report.filtered,
        "equal to one before": report.duplicates,
        "taken before, or forgotten": report.refused,
        "not usable": report.rejected,
    }
    for what, lines in aside.items():
        if lines:
            out.print(f"{count(lines, 'line')} {what}")
    for number, why in report.rejections:
        out.print(f"  line {number}: {plain(why, 100)}")
    if report.rejected_file:
        out.print(f"  all of them: {report.rejected_file}", soft_wrap=True)
    if report.left_out:
        names = ", ".join(f"{plain(name, 40)} ({lines:,})" for name, lines in report.left_out.items())
        out.print(f"not learned from: {names}", style=NOTE)
    if report.weights_refused and not report.promoted:
        out.print("new weights were refused: the agent learned clusters alone")
    if report.after:
        out.print(_judged(report))
        out.print(
            f"{count(int(report.after['actions']), 'action')} compete to be first; before: what the swarm answered "
            "without this file",
            style=NOTE,
            soft_wrap=True,
        )


def _judged(report: TrainReport) -> Table:
    made = table(f"on {report.after['judged']:,.0f} held-out lines", "before", "after", right=("before", "after"))
    if "top1" in report.after:
        made.add_row("right action first", *(_first(figures) for figures in (report.before, report.after)))
    for name, what in _MEASURES.items():
        if name in report.after:
            made.add_row(what, *(_figure(figures.get(name)) for figures in (report.before, report.after)))
    return made


def _first(figures: Mapping[str, float]) -> str:
    """How often the right action came first: of so many, and the share."""
    if "top1" not in figures:
        return "-"
    n = figures["ranked"]
    return f"{figures['top1'] * n:.0f} of {n:.0f} ({figures['top1']:.3f})"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
