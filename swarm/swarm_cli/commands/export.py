"""`swarm export`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from swarm.errors import InputError
from swarm.services.exchange import FORMATS, ExportReport, export_agent_to
from swarm.services.swarm import Swarm
from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, console, count, print_json, size, working

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("export", short_help="Write agents to files: whole, as adapters, as data for training.")
@click.argument("agent", required=False, shell_complete=completion.agents)
@click.option("--all", "is_all", is_flag=True, help="Every agent, each in a folder of its name.")
@click.option("--to", "folder", type=_FOLDER, required=True, metavar="DIR", help="The folder; made if it is not there.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(["all", *FORMATS]),
    multiple=True,
    default=["all"],
    show_default=True,
    help="What to write; may be given several times.",
)
@click.option("--bits", type=click.Choice(["8", "4"]), help="The adapter in so many bits, too.")
@click.option("--no-text", "is_bare", is_flag=True, help="Leave out the texts of tasks and responses.")
@swarm_option
@json_option
def command(
    agent: str | None,
    is_all: bool,
    folder: Path,
    formats: tuple[str, ...],
    bits: str | None,
    is_bare: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Write agents to files: whole, as adapters for other programs, as data for training.

    `swarm import` reads agent.swarm. The files hold texts of tasks as they were reported, and are readable for you
    alone; --no-text leaves these out.
    """
    if (agent is None) != is_all:
        raise click.UsageError("give an agent, or --all")
    settings = cli_settings(name)
    with reachable(settings), working("writing the files"):
        swarm = Swarm(settings)
        names = swarm.agents.names() if agent is None else [agent]
        if not names:
            raise InputError(f"swarm {settings.name} has no agents: there is nothing to export")
        done = [
            export_agent_to(
                swarm,
                one,
                folder / one if is_all else folder,
                formats=formats,
                bits=None if bits is None else int(bits),
                has_texts=not is_bare,
            )
            for one in names
        ]
    if as_json:
        print_json({"swarm": settings.name, "agents": [report.as_dict() for report in done]})
    else:
        for report in done:
            _show(report)


def _show(report: ExportReport) -> None:
    out = console()
    total = f"{count(len(report.files), 'file')}, {size(sum(report.files.values()))}"
    out.print(
        f"{report.path}: agent {report.agent}, version {report.generation}; {total}.",
        soft_wrap=True,
    )
    for name, file_bytes in report.files.items():
        rows = report.rows.get(name.removesuffix(".jsonl"))
        out.print(f"  {name}  {size(file_bytes)}" + ("" if rows is None else f", {count(rows, 'row')}"))
    if report.is_identity:
        out.print("  No adapter weights yet: the adapter is the identity.")
    elif (error := report.quantised) is not None:
        out.print(
            f"  In {error.bits} bits: {size(error.size_bytes)} instead of {size(error.float_bytes)}; what is adapted "
            f"is off by {error.applied:.2%} (at most {error.applied_max:.2%}).",
            soft_wrap=True,
        )
    if report.waiting:
        waiting = count(report.waiting, "outcome")
        out.print(Text(f"  Not in it: {waiting} that no version holds yet.", NOTE))
    for name, why in report.left_out.items():
        out.print(Text(f"  Left out: {name}, {why}.", NOTE), soft_wrap=True)
