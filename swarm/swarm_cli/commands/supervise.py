"""`swarm workers supervise`."""

from __future__ import annotations

import signal
import threading

import click

from swarm_cli.local.gateway import keep_gateway
from swarm_cli.local.redis_server import RedisServer
from swarm_cli.local.statedir import prepare_state_dir
from swarm_cli.logs import log_to_stderr
from swarm_cli.options import cli_settings, swarm_option
from swarm_workers.limits import Limits
from swarm_workers.supervisor import Supervisor


@click.command("supervise", short_help="Look after the pools of this host, in the foreground.")
@click.option(
    "--silent",
    metavar="SECONDS",
    type=click.FloatRange(2.0, 3600.0),
    default=Limits().silent_s,
    show_default=True,
    help="Replace a worker that gives no heartbeat for so long.",
)
@click.option(
    "--deaf",
    metavar="SECONDS",
    type=click.FloatRange(2.0, 3600.0),
    default=Limits().deaf_s,
    show_default=True,
    help="Replace a worker that has nothing to do and takes nothing for so long, though something waits.",
)
@swarm_option
def command(silent: float, deaf: float, name: str | None) -> None:
    """Look after the pools of this host, in the foreground.

    Workers that die are started again, and so is the gateway of `swarm up`; those that are frozen or deaf are
    replaced, pools with bounds grow and shrink. `swarm up` starts one in the background; on other machines run it under
    systemd or the like. It ends on SIGTERM; the workers go on, and the next supervisor takes them over.
    """
    settings = cli_settings(name)
    prepare_state_dir(settings)
    log_to_stderr("swarm_workers")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    limits = Limits(silent_s=silent, deaf_s=deaf)
    Supervisor(settings, limits, RedisServer(settings).revive, keep=lambda: keep_gateway(settings)).run(stop)
