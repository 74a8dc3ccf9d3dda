"""`swarm route`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from swarm.services.route_advice import RouteAdvice
from swarm.services.router import replay_decision
from swarm.settings import Settings
from swarm.sona.routing.choice import Candidate, Choice
from swarm.sona.routing.declared import DeclaredRoute, check_declared
from swarm.sona.routing.request import Exploration, Strategy
from swarm.sona.routing.statistics import RouteMoments
from swarm.store.budgets import SWARM, BudgetStore, agent_scope
from swarm.store.connection import connect
from swarm.store.routes import RouteStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.route_records import Budget, Decision
from swarm_cli import completion
from swarm_cli.guarded import open_swarm
from swarm_cli.local.reach import reachable
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import console, duration, facts, plain, print_json, table
from swarm_cli.rest import RestGroup

_STRATEGIES = click.Choice([*(one.value for one in Strategy), "cost-optimized"])


@click.group("route", cls=RestGroup, rest="task", short_help="Choose a model, tool or variant for a task, and say why.")
def command() -> None:
    """Choose a model, tool or variant for a task, and say why.

    `swarm route TEXT` is short for `swarm route task TEXT`.
    """


@command.command("task")
@click.argument("text")
@click.option("--routes", metavar="A,B", help="Choose from these; all that are known without it.")
@click.option("--strategy", type=_STRATEGIES, default=Strategy.BALANCED.value, show_default=True, help="The aim.")
@click.option("--max-cost", metavar="USD", type=click.FloatRange(0.0), help="Hard bound: expected cost of the task.")
@click.option(
    "--max-cost-per-task", metavar="USD", type=click.FloatRange(0.0), help="Hard bound: all decisions of the --session."
)
@click.option("--min-quality", metavar="Q", type=click.FloatRange(0.0, 1.0), help="Hard bound: expected quality.")
@click.option("--timeout-ms", metavar="MS", type=click.FloatRange(0.0), help="Hard bound: expected latency.")
@click.option("--worth", metavar="USD", type=click.FloatRange(1e-12), help="What a success is worth, as the aim.")
@click.option("--fallback", metavar="NAME", default="", help="Taken when no other route is left.")
@click.option("--session", metavar="NAME", default="", help="Stay on one route within this session.")
@click.option("--failed", metavar="NAME", multiple=True, help="Failed at this task: choose a better one; repeatable.")
@click.option("--tool", "tools", metavar="NAME", multiple=True, help="A tool offered for the task; repeatable.")
@click.option(
    "--agent",
    metavar="NAME",
    shell_complete=completion.agents,
    default="",
    help="Who asks; its budget counts beside the swarm's.",
)
@click.option(
    "--explore",
    type=click.Choice([one.value for one in Exploration]),
    default=Exploration.GREEDY.value,
    show_default=True,
    help="How.",
)
@click.option("--seed", metavar="N", type=click.IntRange(0), default=0, show_default=True, help="Of exploration.")
@click.option("--explain", is_flag=True, help="Show every candidate, and what excluded it.")
@swarm_option
@json_option
def route_task(
    text: str,
    routes: str | None,
    strategy: str,
    max_cost: float | None,
    max_cost_per_task: float | None,
    min_quality: float | None,
    timeout_ms: float | None,
    worth: float | None,
    fallback: str,
    session: str,
    failed: tuple[str, ...],
    tools: tuple[str, ...],
    agent: str,
    explore: str,
    seed: int,
    explain: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Choose a route for a task like TEXT.

    Bounds are hard: a route whose expectation breaks one, or is unknown, is not taken.
    """
    settings = cli_settings(name)
    with reachable(settings):
        advice = open_swarm(settings).route(
            text,
            agent=agent,
            tools=tools,
            routes=None if routes is None else [part.strip() for part in routes.split(",") if part.strip()],
            strategy=strategy,
            max_cost=max_cost,
            max_cost_per_task=max_cost_per_task,
            min_quality=min_quality,
            timeout_ms=timeout_ms,
            worth=worth,
            fallback=fallback,
            session=session,
            failed=failed,
            exploration=explore,
            seed=seed,
        )
    if as_json:
        print_json({"swarm": settings.name, "text": text, **advice.as_dict(explain=explain)})
    else:
        _show(advice, explain=explain)


@command.command("replay")
@click.argument("decision_id")
@swarm_option
@json_option
def replay(decision_id: str, name: str | None, as_json: bool) -> None:
    """Make a stored decision again, from what it hung on."""
    settings = cli_settings(name)
    with reachable(settings):
        decision, choice = replay_decision(_routes(settings), decision_id)
    is_same = (choice.route, choice.why) == (decision.route, decision.why)
    if as_json:
        print_json({"swarm": settings.name, "is_same": is_same, **_decided(decision, choice)})
        return
    grid = facts()
    grid.add_row("task", plain(decision.text, 100))
    grid.add_row("decided", decision.route)
    grid.add_row("again", Text(choice.route, "green" if is_same else "bold red"))
    grid.add_row("why", choice.why)
    console().print(grid)
    console().print(_candidates(choice.candidates))


@command.command("list")
@swarm_option
@json_option
def list_routes(name: str | None, as_json: bool) -> None:
    """List the routes: what was declared of each, and what it achieved."""
    settings = cli_settings(name)
    with reachable(settings):
        store = _routes(settings)
        declared, published = store.declared(), store.published_since(None)
        budgets = _budgets(settings).spending()
    tried = {} if published is None else published.published.statistics.routes
    if as_json:
        routes = {
            route: {
                "declared": asdict(declared[route]) if route in declared else None,
                "measured": _measured(tried.get(route)),
            }
            for route in sorted({*declared, *tried})
        }
        spending = {
            scope: {**asdict(one.budget), "spent": one.spent, "left": one.left} for scope, one in budgets.items()
        }
        print_json({"swarm": settings.name, "routes": routes, "budgets": spending})
        return
    shown = table("route", "outcomes", "quality", "USD", "ms", "declared", right=("outcomes", "quality", "USD", "ms"))
    for route in sorted({*declared, *tried}):
        measured = ("0", "", "", "")
        if (known := tried.get(route)) is not None:
            measured = (
                f"{known.n:,.0f}",
                f"{known.mean_quality:.3f}",
                f"{known.mean_cost:.3g}",
                f"{known.mean_latency_ms:.0f}",
            )
        shown.add_row(route, *measured, _declaration(declared.get(route)))
    console().print(shown)
    for scope, one in budgets.items():
        console().print(
            f"budget of {scope}: {one.spent:.4g} of {one.budget.amount:g} USD spent in {duration(one.budget.period_s)}"
        )


@command.command("declare")
@click.argument("route")
@click.option("--cost", metavar="USD", type=click.FloatRange(0.0), help="Expected cost of a task.")
@click.option("--quality", metavar="Q", type=click.FloatRange(0.0, 1.0), help="Expected quality.")
@click.option("--speed", metavar="S", type=click.FloatRange(0.0, 1.0), help="1 is at once, 0 ten seconds.")
@click.option("--forget", is_flag=True, help="Take the declaration back.")
@swarm_option
@json_option
def declare(
    route: str,
    cost: float | None,
    quality: float | None,
    speed: float | None,
    forget: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Say what ROUTE is expected to be; outcomes outweigh it soon."""
    settings = cli_settings(name)
    declared = check_declared(DeclaredRoute(name=route, cost=cost, quality=quality, speed=speed))
    with reachable(settings):
        store = _routes(settings)
        if forget:
            was_there = store.forget(route)
        else:
            store.declare(declared)
    if forget:
        if as_json:
            print_json({"swarm": settings.name, "route": route, "forgotten": was_there})
        else:
            console().print(f"Route {route} {'is not declared any more' if was_there else 'was not declared'}.")
    elif as_json:
        print_json({"swarm": settings.name, **asdict(declared)})
    else:
        console().print(f"Route {route} is declared: {_declaration(declared)}")


@command.command("budget")
@click.option("--amount", metavar="USD", type=click.FloatRange(0.0), help="What may be spent in a period.")
@click.option(
    "--period",
    metavar="SECONDS",
    type=click.FloatRange(1.0, 1e9),
    default=86_400.0,
    show_default=True,
    help="Its length.",
)
@click.option("--per-task", metavar="USD", type=click.FloatRange(0.0), help="What one task may cost at most.")
@click.option(
    "--agent", metavar="NAME", shell_complete=completion.agents, help="The budget of this agent, not of the swarm."
)
@click.option("--remove", is_flag=True, help="Lift the budget.")
@swarm_option
@json_option
def budget(
    amount: float | None,
    period: float,
    per_task: float | None,
    agent: str | None,
    remove: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Set what the swarm, or one agent, may spend on routes in a period."""
    if remove == (amount is not None):
        raise click.UsageError("give one of --amount and --remove")
    settings = cli_settings(name)
    scope = SWARM if agent is None else agent_scope(agent)
    with reachable(settings):
        budgets = _budgets(settings)
        if amount is None:
            budgets.remove(scope)
        else:
            budgets.put(scope, Budget(amount=amount, period_s=period, per_task=per_task))
    if as_json:
        print_json({"swarm": settings.name, "scope": scope, "amount": amount, "period_s": period, "per_task": per_task})
    elif amount is None:
        console().print(f"The budget of {scope} is lifted.")
    else:
        console().print(f"The budget of {scope} is {amount:g} USD in {duration(period)}.")


def _show(advice: RouteAdvice, *, explain: bool) -> None:
    out = console()
    grid = facts()
    grid.add_row("route", Text(advice.route, "bold cyan"))
    grid.add_row("quality", f"{advice.expected_quality:.2f} ± {advice.quality_error:.2f}")
    grid.add_row("cost", f"{advice.cost:.3g} USD")
    grid.add_row("latency", f"{advice.latency_ms:.0f} ms")
    grid.add_row("why", advice.why)
    grid.add_row("decision", advice.decision_id)
    out.print(grid)
    if explain:
        out.print(_candidates(advice.candidates))


def _candidates(candidates: tuple[Candidate, ...]) -> Table:
    right = ("quality", "±", "USD", "ms", "outcomes", "utility")
    shown = table("route", *right, "excluded", right=right)
    for one in candidates:
        expected = one.expected
        shown.add_row(
            one.route,
            f"{expected.quality:.3f}",
            f"{expected.quality_error:.3f}",
            _known(expected.cost, ".3g"),
            _known(expected.latency_ms, ".0f"),
            f"{expected.outcomes:,.0f}",
            f"{one.utility:.3f}",
            one.excluded,
        )
    return shown


def _known(value: float | None, form: str) -> str:
    return "?" if value is None else format(value, form)


def _declaration(declared: DeclaredRoute | None) -> str:
    if declared is None:
        return ""
    values = {"cost": declared.cost, "quality": declared.quality, "speed": declared.speed}
    return ", ".join(f"{name} {value:g}" for name, value in values.items() if value is not None) or "nothing of it"


def _measured(tried: RouteMoments | None) -> dict[str, float] | None:
    if tried is None:
        return None
    return {
        "outcomes": tried.n,
        "quality": tried.mean_quality,
        "cost": tried.mean_cost,
        "latency_ms": tried.mean_latency_ms,
    }


def _routes(settings: Settings) -> RouteStore:
    # Without the swarm, and so without loading its embedder: nothing is embedded here.
    return RouteStore(connect(settings), SwarmKeys(settings.name), settings.receipt_ttl)


def _budgets(settings: Settings) -> BudgetStore:
    return BudgetStore(connect(settings), SwarmKeys(settings.name), settings.receipt_ttl)


def _decided(decision: Decision, choice: Choice) -> dict[str, Any]:
    return {
        "decision_id": decision.id,
        "text": decision.text,
        "agent": decision.agent,
        "session": decision.session,
        "at_s": decision.at_s,
        "request": asdict(decision.request),
        "route": choice.route,
        "why": choice.why,
        "candidates": [asdict(candidate) for candidate in choice.candidates],
    }
