"""`swarm store`: what an agent's definition tells in its post hook."""

from __future__ import annotations

import uuid
from typing import Any

import click

from swarm.errors import InputError
from swarm.settings import Settings
from swarm_cli.local.ask_gateway import ask_gateway
from swarm_cli.options import cli_settings, given_token, json_option, swarm_option
from swarm_cli.output import print_json

_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "success", "succeeded"), True),
    **dict.fromkeys(("false", "0", "no", "failure", "failed"), False),
}


@click.command("store", short_help="Tell what came of a task, for an agent's post hook.")
@click.option("--task", metavar="TEXT", required=True, help="What was to be done.")
@click.option("--output", metavar="TEXT", required=True, help="What was done.")
@click.option(
    "--reward",
    metavar="R",
    type=click.FloatRange(0.0, 1.0),
    default=1.0,
    show_default=True,
    help="How good that was, from 0 to 1.",
)
@click.option(
    "--success",
    metavar="[true|false]",
    is_flag=False,
    flag_value="true",
    default="true",
    help="Whether it solved the task; alone, that it did.",
)
@click.option(
    "--agent",
    metavar="NAME",
    envvar="SWARM_AGENT",
    help="Whose outcome it is; SWARM_AGENT, or the library's without it.",
)
@swarm_option
@json_option
def command(
    task: str, output: str, reward: float, success: str, agent: str | None, name: str | None, as_json: bool
) -> None:
    """Tell what came of a task; what is printed says how far the outcome is.

    It tells the gateway of this machine, or the swarm itself where none runs.
    """
    settings = cli_settings(name)
    # Both ways with one key: should the gateway have taken it and not have answered, it counts once.
    outcome = {"task": task, "output": output, "reward": reward, "success": _truth(success)}
    options = {"idempotency_key": uuid.uuid4().hex} | ({"agent": agent} if agent else {})
    answer = ask_gateway(settings, "POST", "/v1/patterns", outcome | options, token=given_token())
    receipt = answer[1] if answer is not None and answer[0] == 201 else _stored(settings, outcome | options)
    if as_json:
        print_json({"swarm": settings.name, "receipt": receipt})
    else:
        click.echo(f"{receipt['state']}  outcome/{receipt['agent']}/{receipt['idempotency_key']}")


def _truth(text: str) -> bool:
    """What a shell's variable says of success.

    >>> _truth("TRUE"), _truth("0")
    (True, False)
    """
    if (found := _WORDS.get(text.strip().lower())) is None:
        raise InputError(f"--success must be true or false, got {text!r:.40}")
    return found


def _stored(settings: Settings, outcome: dict[str, Any]) -> dict[str, Any]:
    # Loaded only where there is no gateway, or it refuses: what is wrong, the swarm says itself.
    from swarm_cli.guarded import open_swarm
    from swarm_cli.local.reach import reachable

    with reachable(settings):
        return open_swarm(settings).store_pattern(**outcome).as_dict()
