"""Ten agents that each see one domain: alone, as a swarm, and one agent that sees everything; then with poisoners.

The domains are those of the data, else ten groups of labels by spherical k-means of the prototypes of what the library
gives. The library gives every agent the same start: 5 training rows of each label, or the descriptions where the data
has them (`tools.jsonl.gz`). An agent's requests are the other training rows of its domain, in the order that the seed
draws; it learns right or wrong about what it tries, three tries at most. The simulation is `benchmarks.swarm_sim`:
the cycle, the merge, the index and the adapters of the service, one round (cycle and merge) after every
`CYCLE_OF_ONE` = 100 requests of each agent.

  frozen        what the library gives
  isolated      each agent with the library and its own outcomes
  swarm         the same agents with one shared bank; each ranks it by its own adapter
  everything    ONE agent that meets the requests of all, one cycle after every `bandit.CYCLE` = 250 of them

Figures are success@1 on the test rows of ALL domains, means over the agents. `own_isolated` and `own_swarm`: on the
rows of the agent's own domain. `swarm_gap` = everything - swarm. `worst_agent_all`, `worst_agent_own`: the change, by
joining, of the agent that gains least or loses most, over all domains and on its own; negative is a loss.

  poisoned_inverted    one more agent, which does as the others do and reports the opposite
  poisoned_random      one more agent, which reports a success of a random wrong label for every request
  poisoned2_...        two such agents

Poisoners are ADDED: the honest agents and their requests stay the same, so that what is lost is the poison's doing and
not the loss of a domain that nobody sees any more. Their requests are of all domains, as many as an honest agent's on
average. Figures are means over the honest agents. `poison_loss` is the largest loss of the swarm by one poisoner,
`poison2_loss` by two; `poisoners_quarantined` the share of all poisoners that are in quarantine at the end,
`honest_quarantined` that of honest agents in the swarm without poison. A round is longer than the probation
(`standing.PROBATION` outcomes), so a poisoner that is found out at the first look never reaches the bank; then its loss
is exactly 0. Poisoners that are honest for a while first are not measured.

Configuration: `bandit.bench_config`, with `pattern_clusters` = 100 of each sign for each of the ten agents and 1,000
for the one that sees everything: together the ten may hold as much as that one. Nothing is chosen by the test rows.
Rows out of scope are left out.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.arguments import Options, say
from benchmarks.bandit import CYCLE, bench_config
from benchmarks.harness import Measurement, run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts, with_split_of
from benchmarks.plots import save_bars
from benchmarks.seeds import Estimate, run_seeds, summarise
from benchmarks.starts import Start, draw_start
from benchmarks.swarm_sim import Behaviour, SimulatedSwarm, given, honest, inverted, praising_the_wrong
from swarm.sona.clusters import Cluster
from swarm.sona.kmeans import spherical_kmeans
from swarm.sona.prototypes import prototypes_of
from swarm.sona.standing import Verdict
from swarm.sona.vectors import Flags, Integers, Vector

GROUPS = 10
_BEGINNINGS = 10
CYCLE_OF_ONE = 100
CLUSTERS_OF_ONE = 100
POISONS = ("inverted", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agents:
    """What all runs of one seed share."""

    start: Start
    library: tuple[Cluster, ...]
    requests: tuple[Integers, ...]
    """Rows of each agent, none of them empty."""
    own: tuple[Flags, ...]
    """Which test rows are of the agent's own domain."""


def measure(options: Options) -> Measurement:
    """All swarms for all seeds."""
    data = load_labelled_texts(options.data, options.embedder)
    if data.out_of_scope.any():
        say(f"rows out of scope, left out: {int(data.out_of_scope.sum()):,}")
    metrics = summarise(run_seeds(partial(one_seed, data), options.seeds))
    return Measurement(
        data=data.name,
        embedder=data.embedder,
        metrics=metrics,
        draw=partial(_draw, metrics=metrics, name=f"{data.name}, {data.embedder}"),
    )


def one_seed(data: LabelledTexts, seed: int) -> dict[str, float]:
    """All metrics of one draw of seeds and stream."""
    data = with_split_of(data, seed)
    agents = _agents(data, seed)
    n = len(agents.requests)
    alone = [_swarm_of(agents, [k]) for k in range(n)]
    frozen = float(alone[0].right_at_1(alone[0].members[0]).mean())
    for swarm in alone:
        swarm.run(CYCLE_OF_ONE)
    isolated = np.array([swarm.right_at_1(swarm.members[0]) for swarm in alone])
    joined = _swarm_of(agents, range(n))
    joined.run(CYCLE_OF_ONE)
    together = _right(joined, n)
    everything = _one_that_sees_everything(agents)
    own_isolated, own_swarm = (np.array([r[k][agents.own[k]].mean() for k in range(n)]) for r in (isolated, together))
    found = {
        "frozen": frozen,
        "isolated": float(isolated.mean()),
        "swarm": float(together.mean()),
        "everything": everything,
        "swarm_gap": everything - float(together.mean()),
        "own_isolated": float(own_isolated.mean()),
        "own_swarm": float(own_swarm.mean()),
        "worst_agent_all": float((together.mean(axis=1) - isolated.mean(axis=1)).min()),
        "worst_agent_own": float((own_swarm - own_isolated).min()),
        "honest_quarantined": _quarantined(joined, 0),
    }
    return found | _poisoned(agents, found["swarm"], seed)


def groups_of(data: LabelledTexts, start: Start, seed: int) -> Integers:
    """The domain of each row, of shape (n,), -1 out of scope: the data's own, else groups of labels that lie near."""
    if data.domains is not None:
        return data.domains
    m = len(data.label_names)
    prototypes, known = prototypes_of(start.known.astype(np.float64), start.labels, m)
    rows = np.flatnonzero(known)
    group = np.zeros(m, dtype=np.intp)
    group[rows] = _grouped(prototypes[rows], np.random.default_rng(seed))
    return np.where(data.labels >= 0, group[data.labels], -1)


def _grouped(points: Vector, rng: np.random.Generator) -> Integers:
    """The best of `_BEGINNINGS` groupings of unit rows (n, d): that with the longest sums of its groups."""

    def length(group: Integers) -> float:
        return sum(float(np.linalg.norm(points[group == k].sum(axis=0))) for k in np.unique(group))

    return max((spherical_kmeans(points, np.ones(len(points)), GROUPS, rng) for _ in range(_BEGINNINGS)), key=length)


def _agents(data: LabelledTexts, seed: int) -> _Agents:
    start = draw_start(data, seed)
    stream, group = start.stream, groups_of(data, start, seed)
    # A domain without a request or a test row can tell nothing of its agent.
    seen = np.intersect1d(group[stream.requests], group[stream.test]).tolist()
    return _Agents(
        start=start,
        library=given(start.known, start.labels, bench_config(data.embedding.shape[1], seed)),
        requests=tuple(stream.requests[group[stream.requests] == k] for k in seen),
        own=tuple(np.asarray(group[stream.test] == k) for k in seen),
    )


def _swarm_of(
    agents: _Agents, members: range | list[int], more: tuple[tuple[str, Integers, Behaviour], ...] = ()
) -> SimulatedSwarm:
    stream = agents.start.stream
    config = bench_config(stream.embedding.shape[1], stream.seed, pattern_clusters=CLUSTERS_OF_ONE)
    well_meaning = [(f"agent-{k}", agents.requests[k], honest(stream)) for k in members]
    return SimulatedSwarm(stream, agents.library, [*well_meaning, *more], config)


def _one_that_sees_everything(agents: _Agents) -> float:
    stream = agents.start.stream
    seen = np.concatenate(agents.requests)
    requests = stream.requests[np.isin(stream.requests, seen)]
    config = bench_config(stream.embedding.shape[1], stream.seed)
    swarm = SimulatedSwarm(stream, agents.library, [("everything", requests, honest(stream))], config)
    swarm.run(CYCLE)
    return float(swarm.right_at_1(swarm.members[0]).mean())


def _poisoned(agents: _Agents, clean: float, seed: int) -> dict[str, float]:
    stream, n = agents.start.stream, len(agents.requests)
    share = sum(map(len, agents.requests)) // n
    found, losses, quarantined = {}, {1: 0.0, 2: 0.0}, []
    for poison in POISONS:
        for count in losses:
            rng = np.random.default_rng((seed, count))
            more = tuple(
                (f"poisoner-{i}", rng.permutation(stream.requests)[:share], _behaviour(poison, agents.start, seed + i))
                for i in range(count)
            )
            swarm = _swarm_of(agents, range(n), more)
            swarm.run(CYCLE_OF_ONE)
            success = float(_right(swarm, n).mean())
            found[f"poisoned{'' if count == 1 else count}_{poison}"] = success
            losses[count] = max(losses[count], clean - success)
            quarantined.append(_quarantined(swarm, n))
    return found | {
        "poison_loss": losses[1],
        "poison2_loss": losses[2],
        "poisoners_quarantined": float(np.mean(quarantined)),
    }


def _behaviour(poison: str, start: Start, seed: int) -> Behaviour:
    if poison == "inverted":
        return inverted(start.stream)
    return praising_the_wrong(start.stream, start.known_labels, seed)


def _right(swarm: SimulatedSwarm, n: int) -> Flags:
    """Whether the first n members are right, of shape (n, test rows)."""
    return np.array([swarm.right_at_1(member) for member in swarm.members[:n]], dtype=np.bool_)


def _quarantined(swarm: SimulatedSwarm, first: int) -> float:
    """Share in quarantine of the members from `first` on."""
    verdicts = [swarm.verdicts()[member.name] for member in swarm.members[first:]]
    return float(np.mean([verdict is Verdict.QUARANTINED for verdict in verdicts]))


def _draw(path: Path, metrics: dict[str, Estimate], name: str) -> None:
    wanted = ("frozen", "isolated", "swarm", "everything", *(key for key in metrics if key.startswith("poisoned")))
    save_bars(
        path,
        {key.replace("_", " "): metrics[key] for key in wanted},
        title=f"Agents that see one domain each: {name}",
        value_label="right at first try on test requests of all domains, mean over the honest agents",
        ours=("swarm", *(key.replace("_", " ") for key in wanted if key.startswith("poisoned"))),
        reference=("frozen", metrics["frozen"].mean),
    )


if __name__ == "__main__":
    run_benchmark("bench_transfer", __doc__, measure)
