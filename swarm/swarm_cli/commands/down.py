"""`swarm down`."""

from __future__ import annotations

import click
from rich.text import Text

from swarm_cli.local.stack import Ended, down
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, console, enumerated, mark, print_json, working


@click.command("down", short_help="Stop the workers and the embedded Redis; the data stay.")
@swarm_option
@json_option
def command(name: str | None, as_json: bool) -> None:
    """Stop the workers and the embedded Redis; the data stay.

    The supervisor goes first, and what is stopped here stays stopped until it is started again. Workers finish what
    they are at. Outcomes that wait are consolidated after the next `swarm up`.
    """
    settings = cli_settings(name)
    with working("looking at what runs") as line:
        ended = down(settings, line.update)
    if as_json:
        print_json(ended.as_dict())
    else:
        _show(ended)


def _show(ended: Ended) -> None:
    out = console()
    stopped = ["the supervisor"] * ended.supervisor + ["the gateway"] * ended.gateway
    stopped += [f"pool {pool}" for pool in ended.pools] + (["Redis"] if ended.redis else [])
    if stopped:
        out.print(Text.assemble(mark(True), " ", f"Stopped {enumerated(stopped)}."))
    else:
        out.print(f"Nothing of swarm {ended.swarm} was running here.")
    if ended.kept_for:
        out.print(f"Redis runs on for the workers of {', '.join(ended.kept_for)}.")
    if ended.redis:
        out.print(Text(f"  The data stay in {ended.state_dir}", NOTE))
