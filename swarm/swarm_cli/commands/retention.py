"""`swarm retention`."""

from __future__ import annotations

import click

from swarm.services.retention import RetentionView
from swarm.services.swarm import Swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, count, facts, period, print_json
from swarm_cli.periods import PERIOD, Period


@click.group("retention", short_help="Say how evidence ages, and when patterns expire.")
def command() -> None:
    """Say how evidence ages, and when patterns expire.

    Off by default. Pinned patterns neither decay nor expire.
    """


@command.command("show")
@swarm_option
@json_option
def show(name: str | None, as_json: bool) -> None:
    """Show the settings, and how many patterns have expired."""
    settings = cli_settings(name)
    with reachable(settings):
        view = Swarm(settings).retention()
    _show(view, settings.name, as_json)


@command.command("set")
@click.option("--half-life", type=PERIOD, metavar="PERIOD", help="Evidence weighs half after so long: 30d, or off.")
@click.option("--ttl", type=PERIOD, metavar="PERIOD", help="A pattern without newer evidence goes: 180d, or off.")
@swarm_option
@json_option
def set_command(half_life: Period | None, ttl: Period | None, name: str | None, as_json: bool) -> None:
    """Change the settings; one that is not given stays. Workers age the bank with their next sweep.

    A period is a number with s, m, h or d, of 1 second to 100 years.
    """
    if half_life is None and ttl is None:
        raise click.UsageError("give --half-life, --ttl or both")
    settings = cli_settings(name)
    with reachable(settings):
        swarm = Swarm(settings)
        now = swarm.retention()
        swarm.set_retention(
            half_life_s=now.half_life_s if half_life is None else half_life.seconds,
            ttl_s=now.ttl_s if ttl is None else ttl.seconds,
        )
        view = swarm.retention()
    _show(view, settings.name, as_json)


def _show(view: RetentionView, name: str, as_json: bool) -> None:
    if as_json:
        print_json({"swarm": name, **view.as_dict()})
        return
    grid = facts()
    grid.add_row("half-life", period(view.half_life_s))
    grid.add_row("time to live", period(view.ttl_s))
    grid.add_row("expired", count(view.expired, "pattern"))
    grid.add_row("pins", count(len(view.pins), "pattern"))
    console().print(grid)
