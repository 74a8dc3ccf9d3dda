"""Routing: cost and quality of the router against simpler ones, on a log of what every model scored.

Offline, each router learns from the full log of the rows to learn from, and routes the held-out rows. Every seed
leaves out another tenth of the former. Online, the requests of the whole log come one by one in an order of the seed,
and only the chosen model's outcome is seen.

For each router NAME: NAME_quality and NAME_cost (mean score and USD of a request; ours with the strategy `balanced`,
the others with the best expectation), NAME_aiq, NAME_apgr (between the models of the lowest and the highest mean),
NAME_cost95 (USD at 95 % of the best model's quality; the dearest model's if that is never reached), NAME_online_last
(mean score over the last fifth of the stream), NAME_regret (mean score lost to the oracle over the whole stream).
`ours_best_quality` and `ours_best_cost` are ours where cost does not count. Only category_mean is told the category.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks import routing_baselines as baselines
from benchmarks import routing_ours
from benchmarks.arguments import Options
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.plots import save_curves
from benchmarks.routing_log import RoutingLog, load_routing_log, with_routing_split_of
from benchmarks.routing_measures import Logged, apgr, cost_at, cost_grid, curve, heights
from benchmarks.seeds import run_seeds, summarise
from swarm.sona.routing.request import RouteRequest, Strategy
from swarm.sona.vectors import Doubles, Integers

_KEPT = 0.9
_MUST = 0.95
_PREDICTORS: Mapping[str, baselines.Predictor] = {
    "best_priced": baselines.mean_of_model,
    "prompt_length": baselines.by_length,
    "category_mean": baselines.category_mean,
    "knn": baselines.knn,
    "ridge": baselines.ridge,
    "linucb": baselines.linucb,
}
_BANDITS: Mapping[str, Callable[[baselines.Requests, Doubles, np.random.Generator], Integers]] = {
    "random": baselines.online_random,
    "best_single": baselines.online_ucb,
    "best_priced": baselines.online_ucb,
    "prompt_length": baselines.online_length,
    "category_mean": baselines.online_category,
    "knn": baselines.online_knn,
    "ridge": baselines.online_ridge,
    "linucb": baselines.online_linucb,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one seed found: metrics, and the curves of quality at the costs of `grid`."""

    metrics: dict[str, float]
    curves: dict[str, Doubles]
    grid: Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offline:
    """One router after the log: its points, its choice without a price, and the gain it predicts."""

    points: list[tuple[float, float]]
    quality: float
    cost: float
    gains: Doubles


def measure(options: Options) -> Measurement:
    """Run all seeds."""
    log = load_routing_log(options.data, options.embedder)
    runs = run_seeds(partial(one_seed, log), options.seeds)
    names = list(runs[0].curves)

    return Measurement(
        data=log.name,
        embedder=log.embedder,
        metrics=summarise([run.metrics for run in runs]),
        draw=lambda path: save_curves(
            path,
            {name: [run.curves[name].tolist() for run in runs] for name in names},
            # The costs of the held-out rows are the same for every seed unless the seed draws them.
            np.mean([run.grid for run in runs], axis=0).tolist(),
            title=f"Quality at a cost: {log.name}, {len(log.models)} models",
            x_label="mean cost of a request, USD",
            y_label="mean score of a request",
            ours=["ours"],
        ),
    )


def one_seed(log: RoutingLog, seed: int) -> Found:
    """All routers on the split of one seed."""
    log = with_routing_split_of(log, seed)
    rng = np.random.default_rng(seed)
    train = rng.permutation(np.flatnonzero(log.train | log.val))
    train = train[: max(2, round(_KEPT * len(train)))]
    test = np.flatnonzero(log.test)
    logged = Logged(scores=log.scores[test], costs_usd=log.costs_usd[test])
    offline = _offline(log, train, test, logged, seed)
    means = log.scores[train].mean(axis=0)
    weak, strong = int(means.argmin()), int(means.argmax())
    grid = cost_grid(logged)
    must = _MUST * float(logged.scores.mean(axis=0).max())
    metrics: dict[str, float] = {}
    for name, router in offline.items():
        metrics[f"{name}_quality"], metrics[f"{name}_cost"] = router.quality, router.cost
        metrics[f"{name}_aiq"] = float(heights(router.points, grid).mean())
        metrics[f"{name}_apgr"] = apgr(router.gains, logged.scores[:, weak], logged.scores[:, strong])
        metrics[f"{name}_cost95"] = cost_at(router.points, must, float(grid[-1]))
    best = offline["ours"].points[-1]
    metrics["ours_best_cost"], metrics["ours_best_quality"] = best
    metrics |= _online(log, seed)
    return Found(
        metrics=metrics, curves={name: heights(router.points, grid) for name, router in offline.items()}, grid=grid
    )


def _offline(log: RoutingLog, train: Integers, test: Integers, logged: Logged, seed: int) -> dict[str, _Offline]:
    mean_costs = log.costs_usd[train].mean(axis=0)
    means = log.scores[train].mean(axis=0)
    weak, strong = int(means.argmin()), int(means.argmax())
    everything = _requests(log)
    seen, new = everything.take(train), everything.take(test)

    def priced(predicted: Doubles, costs: Doubles) -> _Offline:
        points = curve(lambda worth: np.argmax(predicted - costs / worth, axis=1), logged, mean_costs)
        # Among equals the cheaper one.
        quality, cost = logged.of(np.argmax(predicted - 1e-9 * mean_costs / mean_costs.max(), axis=1))
        return _Offline(points=points, quality=quality, cost=cost, gains=predicted[:, strong] - predicted[:, weak])

    found = {"ours": _ours(log, train, test, logged, (weak, strong), seed)}
    found |= {
        name: priced(predict(seen, log.scores[train], new), np.broadcast_to(mean_costs, logged.scores.shape))
        for name, predict in _PREDICTORS.items()
    }
    found["best_single"] = _single(strong, mean_costs, logged)
    found["random"] = _random(mean_costs, logged)
    found["oracle"] = priced(logged.scores, logged.costs_usd)
    return found


def _ours(
    log: RoutingLog, train: Integers, test: Integers, logged: Logged, pair: tuple[int, int], seed: int
) -> _Offline:
    learned = routing_ours.train(log, train, seed)
    expected = [learned.estimates(int(row)) for row in test]
    mean_costs = log.costs_usd[train].mean(axis=0)
    points = curve(lambda worth: routing_ours.chosen(log, expected, RouteRequest(worth=worth)), logged, mean_costs)
    quality, cost = logged.of(routing_ours.chosen(log, expected, RouteRequest(strategy=Strategy.BALANCED)))
    weak, strong = (log.models[number] for number in pair)
    gains = np.array([one[strong].quality - one[weak].quality for one in expected])
    return _Offline(points=points, quality=quality, cost=cost, gains=gains)


def _single(best: int, mean_costs: Doubles, logged: Logged) -> _Offline:
    """Always the model that was best in the log, or, where that is too dear, the cheapest."""
    n = len(logged.scores)
    points = [_of_model(model, logged) for model in (int(mean_costs.argmin()), best)]
    return _Offline(points=points, quality=points[1][1], cost=points[1][0], gains=np.zeros(n))


def _random(mean_costs: Doubles, logged: Logged) -> _Offline:
    """Any model; where that is too dear, any of the k cheapest."""
    singles = [_of_model(int(model), logged) for model in np.argsort(mean_costs)]
    points = [tuple(np.mean(singles[: k + 1], axis=0).tolist()) for k in range(len(singles))]
    return _Offline(
        points=[(cost, quality) for cost, quality in points],
        quality=points[-1][1],
        cost=points[-1][0],
        gains=np.zeros(len(logged.scores)),
    )


def _of_model(model: int, logged: Logged) -> tuple[float, float]:
    return float(logged.costs_usd[:, model].mean()), float(logged.scores[:, model].mean())


def _online(log: RoutingLog, seed: int) -> dict[str, float]:
    stream = np.random.default_rng([seed, 1]).permutation(len(log.prompts))
    scores = log.scores[stream]
    requests = _requests(log).take(stream)
    taken = {"ours": routing_ours.online(log, stream, seed)}
    taken |= {name: run(requests, scores, np.random.default_rng([seed, 2])) for name, run in _BANDITS.items()}
    taken["oracle"] = scores.argmax(axis=1)
    last = slice(len(stream) - max(1, len(stream) // 5), None)
    metrics: dict[str, float] = {}
    for name, models in taken.items():
        got = scores[np.arange(len(stream)), models]
        metrics[f"{name}_online_last"] = float(got[last].mean())
        metrics[f"{name}_regret"] = float((scores.max(axis=1) - got).mean())
    return metrics


def _requests(log: RoutingLog) -> baselines.Requests:
    return baselines.Requests(
        embedding=log.embedding,
        lengths=np.array([float(len(prompt)) for prompt in log.prompts]),
        categories=log.categories,
    )


if __name__ == "__main__":
    run_benchmark("bench_routing", __doc__, measure)
