"""`swarm events`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from typing import Any

import click
from rich.text import Text

from swarm.services.guard_events import GuardedEvents
from swarm.store.events import Event
from swarm.wire.event_types import EVENTS, NOTICES
from swarm.wire.keys import EVENTS_LENGTH
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, NOTE, console, plain, print_json

_ALARMING = ("outcome:dead", "task:dead", "worker:lost", "agent:quarantined", *NOTICES)
_WIDTH = 60
"""Characters of one value."""


@click.command("events", short_help="Show what happened in the swarm, or follow it.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("--type", "types", metavar="TYPE", multiple=True, type=click.Choice(list(EVENTS)), help="Only these.")
@click.option("--after", metavar="ID", help="Those behind this event, 'beginning' or 'now'.")
@click.option(
    "-n", "--count", default=20, show_default=True, type=click.IntRange(1, EVENTS_LENGTH), help="Without --follow."
)
@click.option(
    "--idle", "idle_s", metavar="SECONDS", type=click.FloatRange(0.0), help="End --follow after such a silence."
)
@swarm_option
@json_option
def command(
    follow: bool,
    types: tuple[str, ...],
    after: str | None,
    count: int,
    idle_s: float | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Show what happened in the swarm, oldest first, or follow it.

    Events name agents, ids and figures, never a text. With --follow, --json prints one object a line.
    """
    settings = cli_settings(name)
    with reachable(settings), suppress(KeyboardInterrupt):
        events = open_swarm(settings).events
        if follow:
            for event in events.follow(*types, after=after or "now", patience_s=idle_s):
                _show(event, as_json)
            return
        found = list(_found(events, types, after, count))
    if as_json:
        print_json({"swarm": settings.name, "events": [event.as_dict() for event in found]})
        return
    for event in found:
        _show(event, False)
    if not found:
        console().print(f"Nothing of that is stored of swarm {settings.name}; --follow waits for what comes.")


def _found(events: GuardedEvents, types: tuple[str, ...], after: str | None, count: int) -> Iterator[Event]:
    if after is None:
        return iter(events.latest(*types, count=count))
    return islice(events.follow(*types, after=after, patience_s=0.0), count)


def _show(event: Event, as_json: bool) -> None:
    if as_json:
        print_json(event.as_dict())
        sys.stdout.flush()
        return
    body: Any = event.body
    told = "  ".join(f"{name} {_value(value)}" for name, value in asdict(body).items() if value)
    at = time.strftime("%H:%M:%S", time.localtime(event.at_s))
    line = Text.assemble(
        (f"{at}  ", NOTE),
        (f"{event.type:<18}  ", BAD if event.type in _ALARMING else ""),
        told,
        (f"  {event.id}", NOTE),
    )
    console().print(line, soft_wrap=True)


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return plain(",".join(map(str, value)), _WIDTH)
    return plain(str(value), _WIDTH)
