"""`swarm pin`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from swarm.services.retention import PinView
from swarm.services.swarm import Swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import by_option, cli_settings, json_option, swarm_option
from swarm_cli.output import console, count, duration, plain, print_json, table


@click.command("pin", short_help="Keep a pattern from decaying, expiring and being pruned.")
@click.argument("pattern", metavar="[ID]", required=False)
@click.option("--list", "is_list", is_flag=True, help="List the pins, with the patterns that they keep now.")
@by_option
@swarm_option
@json_option
def command(pattern: str | None, is_list: bool, by: str, name: str | None, as_json: bool) -> None:
    """Keep a pattern from decaying, expiring and being pruned, in the bank and in the agents that hold it.

    Patterns change their ids when they merge: the pin keeps whatever stands in its place.
    """
    if (pattern is None) is not is_list:
        raise click.UsageError("give the id of a pattern, or --list")
    settings = cli_settings(name)
    with reachable(settings):
        swarm = Swarm(settings)
        if pattern is None:
            _list(swarm.retention().pins, settings.name, as_json)
        else:
            say_pin("pinned", swarm.pin(pattern, by=by), settings.name, as_json)


def say_pin(what: str, view: PinView, name: str, as_json: bool) -> None:
    """Say what was done to a pin."""
    if as_json:
        print_json({"swarm": name, what: view.as_dict()})
    else:
        console().print(f"Pattern {view.id} is {what}: {count(round(view.outcomes), 'outcome')}.")


def _list(pins: Sequence[PinView], name: str, as_json: bool) -> None:
    if as_json:
        print_json({"swarm": name, "pins": [view.as_dict() for view in pins]})
    elif not pins:
        console().print(f"Swarm {name} has no pins.")
    else:
        made = table("pinned", "pattern now", "outcomes", "age", "by", right=["outcomes", "age"])
        now_s = time.time()
        for view in pins:
            made.add_row(
                view.id,
                f"{view.pattern_id or 'none'}\n{plain(view.response, 30)}".rstrip(),
                f"{view.outcomes:,.0f}",
                duration(max(0.0, now_s - view.at_s)),
                plain(view.by, 12),
            )
        console().print(made)
