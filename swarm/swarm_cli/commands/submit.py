"""`swarm submit`."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from swarm.errors import InputError
from swarm.services.tasks import TaskOptions
from swarm_cli import completion
from swarm_cli.commands.task import show_task
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, plain, print_json, working

_SECONDS = click.FloatRange(0.0, 86_400.0)


@click.command("submit", short_help="Put a task on the queue of a role, for its workers to do.")
@click.argument("text")
@click.option(
    "--role", metavar="NAME", shell_complete=completion.roles, help="Whose queue; without it that of --agent."
)
@click.option(
    "--agent", metavar="NAME", shell_complete=completion.agents, help="Who is to do it; without it anybody of the role."
)
@click.option("--place", type=click.Choice(["learned"]), help="Who does it: whoever does such tasks best.")
@click.option("--payload", metavar="JSON", help="What belongs to it beside its text, a JSON object.")
@click.option("--priority", type=click.IntRange(0, 9), help="Among the tasks of one submitter, highest first.  [5]")
@click.option("--deadline", metavar="SECONDS", type=_SECONDS, help="In so many seconds it is worth nothing any more.")
@click.option("--time-limit", metavar="SECONDS", type=_SECONDS, help="How long one attempt may take.  [600]")
@click.option("--max-attempts", metavar="N", type=click.IntRange(1, 100), help="How often it is begun at most.  [3]")
@click.option("--submitter", metavar="NAME", help="Whose turn it takes.")
@click.option("--key", metavar="KEY", help="Submitted again under the same key it is the same task.")
@click.option("--wait", "wait_s", metavar="SECONDS", type=_SECONDS, help="Wait for its result.")
@swarm_option
@json_option
def command(
    text: str,
    role: str | None,
    agent: str | None,
    place: str | None,
    payload: str | None,
    priority: int | None,
    deadline: float | None,
    time_limit: float | None,
    max_attempts: int | None,
    submitter: str | None,
    key: str | None,
    wait_s: float | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Put a task on the queue of a role, for its workers to do.

    Pools of workers that do tasks are started by `swarm workers start --role NAME --handlers MODULE`.
    """
    given: dict[str, Any] = {
        "role": role,
        "agent": agent,
        "place": place,
        "payload": None if payload is None else _mapping(payload),
        "priority": priority,
        "deadline": None if deadline is None else time.time() + deadline,
        "time_limit": time_limit,
        "max_attempts": max_attempts,
        "submitter": submitter,
        "idempotency_key": key,
    }
    options: TaskOptions = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]  # the names are those of the options
    settings = cli_settings(name)
    with reachable(settings):
        swarm = open_swarm(settings)
        receipt = swarm.submit(text, **options)
        if wait_s is not None:
            with working(f"waiting for {receipt.id}"):
                swarm.tasks.wait(receipt.id, wait_s)
            show_task(swarm.tasks.find(receipt.id), as_json)
            return
    if as_json:
        print_json(receipt.as_dict())
    else:
        known = "" if receipt.is_new else " (known already)"
        console().print(f"{receipt.id}{known}")
        if receipt.placement is not None:
            console().print(plain(receipt.placement.why))


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"--payload must be JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"--payload must be a JSON object, got {type(found).__name__}")
    return found
