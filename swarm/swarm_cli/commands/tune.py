"""`swarm tune`."""

from __future__ import annotations

from typing import Any, cast

import click
from rich.table import Table
from rich.text import Text

from swarm.services.swarm import Swarm
from swarm.services.tuning import Applied, Objective, TuningReport, apply_tuning, tune
from swarm.services.tuning.tune import MAX_BUDGET_S, MAX_TRIALS
from swarm.store.commit import Committer
from swarm_cli import completion
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import NOTE, OK, console, count, duration, print_json, table, working

_SHOWN = 8


@click.command("tune", short_help="Search for better learning settings of an agent, on its own outcomes.")
@click.option("--name", "agent", metavar="AGENT", required=True, shell_complete=completion.agents, help="The agent.")
@click.option(
    "--trials",
    metavar="N",
    type=click.IntRange(2, MAX_TRIALS),
    default=30,
    show_default=True,
    help="At most so many configurations.",
)
@click.option(
    "--budget-s",
    metavar="S",
    type=click.FloatRange(0.0, MAX_BUDGET_S),
    default=60.0,
    show_default=True,
    help="Begin no other after so many seconds.",
)
@click.option(
    "--objective",
    type=click.Choice(["mrr", "loss"]),
    default="mrr",
    show_default=True,
    help="Mean reciprocal rank of what worked, or the log-likelihood of all outcomes.",
)
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Of the search.")
@click.option("--apply", "is_applied", is_flag=True, help="Take the best settings over, if the gate lets them pass.")
@swarm_option
@json_option
def command(
    agent: str,
    trials: int,
    budget_s: float,
    objective: str,
    seed: int,
    is_applied: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Search for better learning settings of an agent: with which it would have learned more from what it keeps.

    Each configuration learns from three parts of four and is judged by the fourth, in turn. What is best must be better
    beyond chance, and no worse on outcomes that were kept from the search. Without --apply nothing changes; with it a
    new version of the agent, which `swarm agents rollback` takes back.
    """
    settings = cli_settings(name)
    with reachable(settings):
        swarm = Swarm(settings)
        with working("the present settings") as line:
            report = tune(
                agent,
                swarm.agents,
                trials=trials,
                budget_s=budget_s,
                objective=cast(Objective, objective),
                seed=seed,
                on_trial=lambda trial: line.update(f"{trial.number + 1} of {trials} configurations"),
            )
        applied = None
        if is_applied and report.may_be_applied:
            applied = apply_tuning(report, swarm.agents, Committer(swarm.client, swarm.keys), settings.lease_ttl)
    if as_json:
        print_json({"swarm": settings.name, **report.as_dict(), "applied": applied and applied.as_dict()})
    else:
        _show(report, applied, is_applied)


def _show(report: TuningReport, applied: Applied | None, is_applied: bool) -> None:
    out = console()
    out.print(_trials(report))
    if report.changes:
        out.print(_changes(report))
    bound = "" if report.stopped_by == "trials" else ", the budget"
    tried = f"{count(len(report.trials), 'configuration')} in {duration(report.took_s)}{bound}"
    out.print(Text(f"{tried}; {count(report.outcomes, 'outcome')} in {report.folds} folds", NOTE))
    out.print(Text(report.why[0].upper() + report.why[1:] + ".", OK if report.may_be_applied else ""))
    if applied is not None:
        out.print(
            f"Version {applied.generation} of {applied.agent} has the new settings; its processes take them when they "
            f"start again. `swarm agents rollback {applied.agent} {applied.generation - 1}` takes them back."
        )
    elif is_applied:
        out.print("Nothing was changed.")
    elif report.may_be_applied:
        out.print("Nothing was changed: --apply takes them over.")


def _trials(report: TuningReport) -> Table:
    """The best ones, and those that are always tried."""
    made = table("", "trial", "MRR", "loss", "gain", "±", "what", right=("trial", "MRR", "loss", "gain", "±"))
    best = sorted(report.trials, key=lambda trial: (-trial.difference, trial.number))[:_SHOWN]
    shown = [*best, *(trial for trial in report.trials if trial.label and trial not in best)]
    for trial in shown:
        is_first = trial.number == 0
        made.add_row(
            Text("●", OK) if trial is report.best else "",
            str(trial.number),
            f"{trial.mrr:.4f}",
            f"{trial.loss:.4f}",
            "" if is_first else f"{trial.difference:+.4f}",
            "" if is_first else f"{trial.error:.4f}",
            trial.label,
        )
    return made


def _changes(report: TuningReport) -> Table:
    made = table("setting", "present", "best", right=("present", "best"))
    for name, (old, new) in report.changes.items():
        made.add_row(name, _value(old), _value(new))
    return made


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
