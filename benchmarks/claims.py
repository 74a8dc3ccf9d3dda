"""Figures that earlier documents of this kind of engine published, beside what is measured here.

The sources name neither the machine nor the data, mostly; `why` says what keeps a claim from being compared, and is
empty where operation and size are the same. Nothing is measured here that the claim's own text does not describe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.suite_figures import Row

README = "SONA README 0.1.1"
CRATE = "SONA crate README"
TRAINING = "SONA + AgentDB training guide"
INTEGRATION = "SONA integration guide"
OPTIMISATION = "SONA optimisation guide"

Here = Callable[[Mapping[str, Row]], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What was published, and how it is found here."""

    what: str
    claimed: str
    source: str
    unit: str = ""
    here: Here | None = None
    """From the rows by `BENCH/KEY`; None where nothing here measures it."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A claim with the figure of this run, None if it has none. Its field names are the promised JSON."""

    what: str
    claimed: str
    source: str
    here: float | None
    unit: str
    comparable: str
    """`yes`, or why not."""


def _ours(name: str, scale: float = 1.0) -> Here:
    def find(rows: Mapping[str, Row]) -> float | None:
        return scale * rows[name].ours if name in rows else None

    return find


def _rate(*names: str) -> Here:
    """How often a second, by the microseconds of parts that follow each other."""

    def find(rows: Mapping[str, Row]) -> float | None:
        return 1e6 / sum(rows[name].ours for name in names) if set(names) <= rows.keys() else None

    return find


def _gain(name: str) -> Here:
    """How much more than what stands beside it, as a share of that."""

    def find(rows: Mapping[str, Row]) -> float | None:
        ratio = rows[name].ratio if name in rows else None
        return None if ratio is None else ratio - 1.0

    return find


def _speedup(name: str) -> Here:
    """How many times faster than what stands beside it."""

    def find(rows: Mapping[str, Row]) -> float | None:
        ratio = rows[name].ratio if name in rows else None
        return 1.0 / ratio if ratio else None

    return find


CLAIMS: Sequence[Claim] = (
    Claim(
        what="micro tier, 256 dimensions", claimed="45 us", source=README, unit="us", here=_ours("engine/micro_ours")
    ),
    Claim(
        what="micro tier a second",
        claimed="2,211/s (.45 ms)",
        source=TRAINING,
        unit="/s",
        here=_rate("engine/micro_ours"),
        why="theirs names no dimension (.45 ms fits 3,072), ours at 256",
    ),
    Claim(what="base tier, 256 dimensions", claimed="25 us", source=README, unit="us", here=_ours("engine/base_ours")),
    Claim(
        what="a step recorded",
        claimed="112 ns",
        source=README,
        unit="us",
        here=_ours("engine/trajectory_ours"),
        why="ours is a trajectory: begin, three steps, end, all copied",
    ),
    Claim(
        what="instant step",
        claimed="34 us",
        source=README,
        unit="us",
        here=_ours("engine/instant_step_ours"),
        why="the same name for another rule: theirs does not train what it says",
    ),
    Claim(
        what="5 of 100 clusters found",
        claimed="1.3 ms, 770/s",
        source=README,
        unit="us",
        here=_ours("engine/find5_ours"),
    ),
    Claim(
        what="background cycle",
        claimed="about 5 ms",
        source=README,
        unit="ms",
        here=_ours("engine/background_10k_ours", 1e-3),
        why="ours over 10,000 outcomes; theirs does not say how many",
    ),
    Claim(
        what="patterns trained a second",
        claimed="800/s (1.25 ms)",
        source=TRAINING,
        unit="/s",
        here=_rate("engine/instant_task_ours"),
        why="ours in memory at 256 dimensions; theirs stores as well, at 3,072 in its examples",
    ),
    Claim(
        what="patterns stored a second",
        claimed="800/s (1.25 ms)",
        source=TRAINING,
        unit="/s",
        here=_ours("load/one_by_one_per_s"),
        why="ours made durable in Redis by four processes, not yet trained on",
    ),
    Claim(
        what="queries a second",
        claimed="392/s (2.55 ms)",
        source=TRAINING,
        unit="/s",
        here=_rate("engine/find5_ours", "engine/micro_ours"),
        why="ours at 256 dimensions and 100 clusters; theirs names neither number",
    ),
    Claim(
        what="search beside going through all",
        claimed="125 times (100 ms to .8)",
        source=TRAINING,
        unit=" times",
        here=_speedup("scale/query_1000000_all_cpu_ms"),
        why="theirs does not name the number of patterns; ours with 1,000,000, in a full run",
    ),
    Claim(
        what="patterns retrieved",
        claimed="300 times (150 ms to .5)",
        source=INTEGRATION,
        why="neither the store nor the number of patterns is named",
    ),
    Claim(
        what="search and adaptation together",
        claimed="150 to 12,500 times",
        source=TRAINING,
        why="beside what is not named",
    ),
    Claim(
        what="quality gained by learning",
        claimed="+55 %",
        source=OPTIMISATION,
        unit="share",
        here=_gain("learning/all"),
        why="neither data nor measure is named; ours: right at first try over frozen",
    ),
    Claim(
        what="success of agents",
        claimed="+8 to 13 points",
        source=INTEGRATION,
        why="expected, not measured: no tasks are named",
    ),
    Claim(
        what="spent with the router",
        claimed="-60 %",
        source=INTEGRATION,
        unit="share",
        here=_gain("routing/ours_cost"),
        why="theirs an estimate for two prices; ours beside always the best model, quality stands in the table",
    ),
    Claim(
        what="memory of a trajectory",
        claimed="about 800 B",
        source=CRATE,
        why="not measured: a 256-dimensional query alone is 1,024 B",
    ),
)


def beside_claims(rows: Sequence[Row]) -> list[Beside]:
    """Every claim with this run's figure, the first where a benchmark was run on several data."""
    known: dict[str, Row] = {}
    for row in rows:
        known.setdefault(f"{row.bench.partition(' ')[0]}/{row.key}", row)
    return [
        Beside(
            what=claim.what,
            claimed=claim.claimed,
            source=claim.source,
            here=claim.here(known) if claim.here is not None else None,
            unit=claim.unit,
            comparable=claim.why or "yes",
        )
        for claim in CLAIMS
    ]
