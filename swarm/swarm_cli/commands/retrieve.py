"""`swarm retrieve`: what an agent's definition asks in its pre hook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from swarm.settings import Settings
from swarm.sona.clusters import OWN_ACTION
from swarm_cli.local.ask_gateway import ask_gateway
from swarm_cli.options import cli_settings, given_token, json_option, swarm_option
from swarm_cli.output import count, plain, print_json


@click.command("retrieve", short_help="Print what worked for a task, for an agent's pre hook.")
@click.argument("task")
@click.option(
    "-k", "--k", metavar="N", type=click.IntRange(1, 1000), default=5, show_default=True, help="At most so many."
)
@click.option(
    "--min-reward",
    metavar="R",
    type=click.FloatRange(0.0, 1.0),
    default=0.85,
    show_default=True,
    help="Only patterns with this mean reward or better.",
)
@swarm_option
@json_option
def command(task: str, k: int, min_reward: float, name: str | None, as_json: bool) -> None:
    """Print what worked for a task like TASK, best first; nothing if nothing is known.

    It asks the gateway of this machine, or the swarm itself where none runs.
    """
    settings = cli_settings(name)
    question = {"text": task, "k": k, "min_quality": min_reward}
    answer = ask_gateway(settings, "POST", "/v1/query", question, token=given_token())
    found = answer[1]["patterns"] if answer is not None and answer[0] == 200 else _asked(settings, task, k, min_reward)
    if as_json:
        print_json({"swarm": settings.name, "task": task, "patterns": found})
    else:
        # What names no result and says nothing is of no use to who reads it.
        _show([one for one in found if one["response"] or not one["action"].startswith(OWN_ACTION)])


def _asked(settings: Settings, task: str, k: int, min_reward: float) -> list[dict[str, Any]]:
    # Loaded only where there is no gateway, or it refuses: what is wrong, the swarm says itself.
    from swarm_cli.guarded import open_swarm
    from swarm_cli.local.reach import reachable

    with reachable(settings):
        return [hit.to_dict() for hit in open_swarm(settings).retrieve_patterns(task, k, min_reward)]


def _show(patterns: Sequence[Mapping[str, Any]]) -> None:
    for position, pattern in enumerate(patterns, 1):
        agents = ", ".join(source["agent"] for source in pattern["sources"])
        known = f"{pattern['mean_quality']:.2f} in {count(round(pattern['outcomes']), 'outcome')} by {agents}"
        click.echo(f"{position}. {plain(pattern['response'] or pattern['action'])} ({known})")
