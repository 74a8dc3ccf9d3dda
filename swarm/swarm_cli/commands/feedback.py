"""`swarm feedback`."""

from __future__ import annotations

import click

from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, plain, print_json


@click.command("feedback", short_help="Say of a chunk that swarm query --name found whether it was good.")
@click.argument("answer_id", metavar="ID")
@click.option("--good", "is_good", is_flag=True, help="It was what the question asked for.")
@click.option("--bad", "is_bad", is_flag=True, help="It was not.")
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.FloatRange(0.0, 86_400.0),
    default=0.0,
    show_default=True,
    help="Wait until the bank holds it, so that the next query sees all of its effect.",
)
@swarm_option
@json_option
def command(answer_id: str, is_good: bool, is_bad: bool, wait_s: float, name: str | None, as_json: bool) -> None:
    """Say of a chunk that swarm query --name found whether it was good: what the question asked for.

    ID is the one that was shown with it. What the search goes by is weighed anew at once; the outcome is learned by the
    agent, and counts for questions like this one as soon as the bank holds it. The first word about an answer counts,
    once.
    """
    if is_good == is_bad:
        raise click.UsageError("give --good or --bad, one of the two")
    settings = cli_settings(name)
    # Loaded behind the check of the settings: it is what takes the time.
    from swarm.services.swarm import Swarm
    from swarm_agents.codebase import Codebase
    from swarm_agents.codebase.feedback import split_answer_id

    agent, _, _ = split_answer_id(answer_id)
    with reachable(settings):
        codebase = Codebase(agent, Swarm(settings))
        said = codebase.feedback(answer_id, is_good=is_good, wait_s=wait_s)
        codebase.close()
    if as_json:
        print_json({"swarm": settings.name, **said.as_dict()})
        return
    if not said.is_new:
        console().print(f"Something was said of {plain(said.name)} before, and that counts.")
        return
    verdict = "good" if said.is_good else "bad"
    console().print(f"{plain(said.name)} is {verdict} for “{plain(said.question, 60)}”: {said.receipt.state.value}.")
