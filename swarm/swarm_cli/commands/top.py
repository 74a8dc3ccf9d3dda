"""`swarm top`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.live import Live

from swarm_cli.guarded import open_swarm
from swarm_cli.local.address import shown_url
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, print_json
from swarm_cli.redact import redact
from swarm_cli.top.keyboard import Keyboard
from swarm_cli.top.layout import Frame, render
from swarm_cli.top.watch import Watch


@click.command("top", short_help="Watch the swarm at work, with rates, until q is pressed.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.2, 3600.0),
    default=1.0,
    show_default=True,
    help="Look so often.",
)
@click.option("--once", is_flag=True, help="Look twice, an interval apart, show that, and end.")
@swarm_option
@json_option
def command(interval: float, once: bool, name: str | None, as_json: bool) -> None:
    """Watch the swarm at work, with rates, until q is pressed.

    Rates are over the last 10 seconds. With --json every look is one object on one line; where stdout is no terminal,
    one picture follows the other. While Redis is away the last state stays, and the first line says so.
    """
    settings = cli_settings(name)
    with reachable(settings):
        watch = Watch.begin(settings, open_swarm(settings))
    url = shown_url(settings)
    try:
        if once:
            time.sleep(interval)
            watch.look()
            _show(watch, url, as_json)
        elif as_json or not _can_draw(console()):
            _list(watch, url, interval, as_json)
        else:
            _draw(watch, url, interval)
    except (KeyboardInterrupt, EOFError):
        # Ctrl-C is the other way to say q.
        pass


def _can_draw(out: Console) -> bool:
    return out.is_terminal and not out.is_dumb_terminal


def _show(watch: Watch, url: str, as_json: bool) -> None:
    if as_json:
        print_json(watch.as_dict())
    else:
        console().print(render(_frame(watch, url, None)))


def _list(watch: Watch, url: str, interval: float, as_json: bool) -> None:
    while True:
        _show(watch, url, as_json)
        sys.stdout.flush()
        time.sleep(interval)
        watch.look()


def _draw(watch: Watch, url: str, interval: float) -> None:
    out = console()
    with _ended_by_sigterm(), Keyboard() as keyboard, Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            live.update(render(_frame(watch, url, out.height, f"every {interval:g} s · q quits")), refresh=True)
            if keyboard.key(interval) in ("q", "Q"):
                return
            watch.look()


def _frame(watch: Watch, url: str, height: int | None, hint: str = "") -> Frame:
    return Frame(
        status=watch.status,
        pace=watch.pace,
        at_s=watch.at_s,
        redis_url=url,
        height=height,
        alarm=redact(watch.alarm),
        gateway=watch.gateway,
        hint=hint,
    )


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the block, so that the terminal is put back."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
