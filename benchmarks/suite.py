"""The benchmarks of the project: what each shows, how it is run small and full, and which figures count.

Small: about two minutes in all on two cores, on what every machine has. Full: as the figures in docs/results.md were
measured, hours of it. `python -m benchmarks` runs them, and `swarm bench`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.suite_figures import Better, Bound, Figure, Reading, Spread

LESS, MORE = Better.LESS, Better.MORE
TEXTS, TOOLS, ROUTES, RUNS = "texts", "tools", "routes", "runs"
"""Folders that `benchmarks.small_data` writes."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One benchmark of the suite."""

    name: str
    module: str
    shows: str
    small: Sequence[str]
    full: Sequence[str]
    figures: Sequence[Figure]
    full_figures: Sequence[Figure] = ()
    """Where they differ from those of a small run."""
    read: Callable[[Record], Reading]
    is_timed: bool = False
    """It has the machine to itself; the others run two at a time."""
    small_data: str | None = None
    full_data: Sequence[str] = ()
    """Folders of real data in `--data`; the benchmark is run once for each."""
    has_own_text: bool = False
    """A full run without data takes the documentation of the standard library."""
    has_plot: bool = True
    takes_peer: bool = False
    in_small: bool = True
    """Whether a small run holds it, unless it is asked for by name."""


def of_report(record: Record) -> Reading:
    """The form of `benchmarks.report`."""
    n = int(record["seeds"])
    metrics = {
        name: Spread(mean=float(found["mean"]), lo=float(found["lo"]), hi=float(found["hi"]), n=n)
        for name, found in record["metrics"].items()
    }
    return Reading(data=str(record["data"]), metrics=metrics)


def of_edge(record: Record) -> Reading:
    """The form of `bench_edge`."""
    values = {name: float(record[name]) for name in ("full_mb", "peak_mb")}
    metrics = {name: Spread(mean=value, lo=value, hi=value, n=1) for name, value in values.items()}
    return Reading(data=f"{record['dim']} dimensions", metrics=metrics)


def of_engine(record: Record) -> Reading:
    """The form of `bench_engine`: times by key, and where the middle half of the rounds' ratios lay."""
    metrics: dict[str, Spread] = {}
    for key, (low, high) in record["ratio_to_numpy_middle"].items():
        n = 1 if key == "background_10k" else int(record["rounds"])
        metrics[f"{key}_ratio"] = Spread(mean=float(record["ratio_to_numpy"][key]), lo=low, hi=high, n=n)
    for party in ("ours", "numpy", "peer"):
        for key, value in record[f"{party}_us"].items():
            metrics[f"{key}_{party}"] = Spread(mean=float(value), lo=float(value), hi=float(value), n=1)
    return Reading(data=f"{record['dim']} dimensions", metrics=metrics)


def _timed(key: str, what: str) -> list[Figure]:
    """Ours beside the floor, and, where it was measured, beside the published engine."""
    return [
        Figure(f"{key}_ours", what, "us", f"{key}_numpy", "NumPy", f"{key}_ratio", LESS),
        Figure(f"{key}_ours", what, "us", f"{key}_peer", "published engine", None, LESS),
    ]


def _scale(n: int) -> list[Figure]:
    return [
        Figure(f"memory_to_raw_{n}", f"{n:,} patterns: memory over that of their vectors", better=LESS),
        Figure(f"recall5_{n}_all", f"{n:,} patterns: recall@5", "share", bound=Bound(least=0.95)),
        Figure(
            f"query_{n}_all_cpu_ms",
            f"{n:,} patterns: a query, processor",
            "ms",
            f"exact_cpu_ms_{n}_all",
            "exact",
            None,
            LESS,
        ),
        *(
            Figure(
                f"query_{n}_{name}_cpu_ms",
                f"{n:,} patterns: a query of agents with {rows}",
                "ms",
                f"bare_{n}_{name}_cpu_ms",
                "faiss",
                f"query_to_bare_{n}_{name}",
                LESS,
                Bound(most=1.5, of_ratio=True),
            )
            for name, rows in (("10pct", "10 %"), ("0.5pct", "0.5 %"))
        ),
    ]


def _followed(n: int) -> Figure:
    """A query while others work beside the same query alone."""
    return Figure(
        f"followed_query_ms_{n}_loaded_p99",
        f"{n:,} patterns: a query while workers publish, p99",
        "ms",
        f"followed_query_ms_{n}_alone_p99",
        "alone",
        f"loaded_to_alone_{n}_p99",
        LESS,
        Bound(most=3.0, of_ratio=True),
    )


def _http(key: str, what: str) -> list[Figure]:
    return [
        Figure(
            f"{key}_ms_p{p}", f"{what}, p{p}", "ms", f"empty_route_ms_p{p}", "empty route", None, LESS, Bound(most=ms)
        )
        for p, ms in ((50, 3.0), (99, 15.0))
    ]


_NEVER = Bound(most=0.0)
_NO_LOSS = Bound(least=1.0, of_ratio=True)

SUITE: Sequence[Entry] = (
    Entry(
        name="engine",
        module="bench_engine",
        shows="the numeric core",
        small=("--dim", "256", "--rounds", "15"),
        full=("--dim", "256", "--rounds", "60"),
        figures=(
            *_timed("micro", "micro tier applied to a vector"),
            *_timed("base", "base tier applied to a vector"),
            *_timed("trajectory", "a trajectory of three steps recorded"),
            *_timed("find5", "5 of 100 clusters found"),
            *_timed("instant_step", "an instant step"),
            *_timed("instant_task", "a task with its instant step"),
            *_timed("background_10k", "a background cycle over 10,000 outcomes"),
        ),
        has_plot=False,
        read=of_engine,
        is_timed=True,
        takes_peer=True,
    ),
    Entry(
        name="load",
        module="bench_load",
        shows="sustained rates of outcomes and tasks",
        small=("--seeds", "1", "--duration", "0.7", "--parts", "outcomes"),
        full=("--seeds", "3", "--duration", "3"),
        figures=(
            Figure(
                "accepted_per_s",
                "outcomes made durable, batches of 100",
                "/s",
                "xadd_per_s",
                "XADD",
                "accepted_to_xadd",
                bound=Bound(least=0.4, of_ratio=True),
            ),
            Figure(
                "one_by_one_per_s",
                "outcomes made durable, one by one",
                "/s",
                "xadd_one_by_one_per_s",
                "XADD",
                "one_by_one_to_xadd",
            ),
            Figure("learned_per_s", "outcomes consolidated by two workers", "/s"),
            Figure(
                "tasks_per_s",
                "tasks done",
                "/s",
                "celery_tasks_per_s",
                "Celery",
                "tasks_to_celery",
                bound=Bound(least=0.7, of_ratio=True),
            ),
            Figure(
                "hooked_tasks_per_s",
                "tasks done, an agent's hooks around each",
                "/s",
                "celery_tasks_per_s",
                "Celery",
                "hooked_tasks_to_celery",
            ),
        ),
        read=of_report,
        is_timed=True,
    ),
    Entry(
        name="scale",
        module="bench_scale",
        shows="cost against the size of the swarm",
        small=("--seeds", "1", "--agents", "100", "--patterns", "3000", "--queries", "60"),
        full=("--seeds", "1"),
        figures=(
            Figure("status_cpu_ms_100", "100 agents: a status, processor", "ms", better=LESS),
            Figure("refresh_ms_100", "100 agents: an agent's refresh", "ms", better=LESS),
            *_scale(3_000),
            _followed(3_000),
        ),
        full_figures=(
            Figure("status_cpu_ms_10000", "10,000 agents: a status, processor", "ms", better=LESS),
            Figure("refresh_ms_10000", "10,000 agents: an agent's refresh", "ms", better=LESS),
            *_scale(10_000),
            *_scale(100_000),
            *_scale(1_000_000),
            _followed(100_000),
        ),
        read=of_report,
        is_timed=True,
    ),
    Entry(
        name="hook",
        module="bench_gateway",
        shows="the command of a coding agent's hook",
        small=("--seeds", "1", "--parts", "shim"),
        full=("--seeds", "3", "--parts", "shim"),
        figures=(
            Figure(
                "installed_hook_ms",
                "a hook's whole process",
                "ms",
                "bare_round_trip_ms",
                "bare Python",
                "installed_hook_to_bare",
                LESS,
                Bound(most=1.6, of_ratio=True),
            ),
            Figure(
                "no_gateway_ms_max",
                "the same with no gateway, longest",
                "ms",
                "bare_round_trip_ms",
                "bare Python",
                None,
                LESS,
            ),
        ),
        read=of_report,
        is_timed=True,
    ),
    Entry(
        name="gateway",
        module="bench_gateway",
        shows="parallel clients and hooks over HTTP",
        small=("--seeds", "1", "--parts", "load,hook", "--clients", "50", "--duration", "5", "--patterns", "2000"),
        full=("--seeds", "1", "--parts", "load,hook"),
        figures=(
            Figure("requests_per_s", "answers a second, everything at once", "/s"),
            Figure("answers_5xx", "answers that failed", better=LESS, bound=_NEVER),
            Figure("receipts_lost", "receipts lost", better=LESS, bound=_NEVER),
            *_http("hook", "a trajectory begun over HTTP"),
            *_http("prompt", "Claude Code: a prompt"),
            *_http("tool", "Claude Code: a tool's result"),
            *_http("stop", "Claude Code: the end of a turn"),
        ),
        read=of_report,
        is_timed=True,
        in_small=False,
    ),
    Entry(
        name="dashboard",
        module="bench_dashboard",
        shows="the dashboard in a browser",
        small=("--seeds", "1", "--patterns", "2000"),
        full=(
            "--seeds",
            "3",
        ),
        figures=(
            Figure("first_paint_ms", "first paint", "ms", better=LESS),
            Figure("map_painted_ms", "every pattern drawn", "ms", better=LESS),
        ),
        read=of_report,
        is_timed=True,
        in_small=False,
    ),
    Entry(
        name="chaos",
        module="bench_chaos",
        shows="kill -9 of everything at random",
        small=("--minutes", "0.3", "--every", "2"),
        full=("--minutes", "10"),
        figures=(
            Figure("accepted", "outcomes and tasks accepted"),
            Figure("lost", "lost", better=LESS, bound=_NEVER),
            Figure("doubled", "done twice", better=LESS, bound=_NEVER),
            Figure("kills", "processes killed"),
        ),
        has_plot=False,
        read=of_report,
    ),
    Entry(
        name="fuzz",
        module="fuzz_inputs",
        shows="bad inputs over every public way in",
        small=("--inputs", "2000"),
        full=("--inputs", "100000"),
        figures=(
            Figure("inputs", "inputs"),
            Figure("crashes", "crashes", better=LESS, bound=_NEVER),
            Figure("hangs", "hangs", better=LESS, bound=_NEVER),
            Figure("foreign", "keys of others touched", better=LESS, bound=_NEVER),
            Figure("stored", "refused calls that changed a key", better=LESS, bound=_NEVER),
        ),
        has_plot=False,
        read=of_report,
    ),
    Entry(
        name="learning",
        module="bench_learning",
        shows="right at first try after right/wrong feedback",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("all", "all tiers", "share", "frozen", "frozen", bound=_NO_LOSS),
            Figure("bank", "the bank alone", "share", "frozen", "frozen"),
            Figure("base", "the base tier alone", "share", "frozen", "frozen"),
            Figure("micro", "the micro tier alone", "share", "frozen", "frozen"),
            Figure("all", "all tiers", "share", "published_rule", "published rule"),
            Figure("all", "all tiers", "share", "logistic_bound", "logistic, told every label"),
            Figure("worst_dip", "the most it ever fell below frozen", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77", "clinc150"),
        has_own_text=True,
    ),
    Entry(
        name="forgetting",
        module="bench_forgetting",
        shows="tasks in sequence",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("whole_final", "engine, right at the end", "share", "best_l2_final", "best L2"),
            Figure("ours_1000_final", "adapter with 1,000 kept, at the end", "share", "naive_final", "naive"),
            Figure("ours_1000_bwt", "adapter with 1,000 kept, transfer back", "share", "naive_bwt", "naive"),
            Figure("ours_1000_learned", "adapter with 1,000 kept, right after", "share", "naive_learned", "naive"),
            Figure(
                "ours_1000_final",
                "adapter with 1,000 kept, at the end",
                "share",
                "ours_1000_without_ewc_final",
                "without EWC",
            ),
            Figure("ours_final", "adapter with 10,000 kept, at the end", "share", "replay_final", "replay"),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77", "clinc150"),
        has_own_text=True,
    ),
    Entry(
        name="harm",
        module="bench_harm",
        shows="wrong feedback, unasked patterns, strangers",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("honest", "honest feedback", "share", "frozen", "frozen"),
            Figure("shuffled", "shuffled feedback", "share", "frozen", "frozen"),
            Figure("inverted", "inverted feedback", "share", "frozen", "frozen"),
            Figure("wrong20", "20 % wrong feedback", "share", "frozen", "frozen"),
            Figure("unseen", "patterns nobody gave feedback on", "share", "unseen_frozen", "frozen"),
            Figure("foreign_after", "strangers in the bank", "share", "foreign_before", "before"),
            Figure("worst_loss", "largest loss of any case", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77",),
        has_own_text=True,
    ),
    Entry(
        name="transfer",
        module="bench_transfer",
        shows="agents that each see one domain",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("swarm", "the swarm, all domains", "share", "isolated", "alone", bound=_NO_LOSS),
            Figure("own_swarm", "the swarm, an agent's own domain", "share", "own_isolated", "alone"),
            Figure("swarm", "the swarm, all domains", "share", "everything", "one that saw all"),
            Figure("worst_agent_own", "who gains least by joining", "share"),
            Figure("poison_loss", "lost by one poisoner", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77", "clinc150"),
        has_own_text=True,
    ),
    Entry(
        name="tools",
        module="bench_tools",
        shows="the right tool, MRR@10",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("ours_mrr10", "after feedback", "", "raw_mrr10", "cold", bound=_NO_LOSS),
            Figure("ours_mrr10", "after feedback", "", "past_success_mrr10", "past successes"),
            Figure("ours_mrr10", "after feedback", "", "logistic_bound_mrr10", "logistic, told every label"),
        ),
        full_figures=(
            Figure("ours_mrr10", "after feedback", "", "raw_mrr10", "cold", bound=Bound(least=0.9)),
            Figure("ours_mrr10", "after feedback", "", "past_success_mrr10", "past successes"),
            Figure("ours_mrr10", "after feedback", "", "logistic_bound_mrr10", "logistic, told every label"),
        ),
        read=of_report,
        small_data=TOOLS,
        full_data=("metatool",),
    ),
    Entry(
        name="routing",
        module="bench_routing",
        shows="which model for a request",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("ours_quality", "quality, balanced", "share", "knn_quality", "kNN"),
            Figure("ours_cost", "USD a request, balanced", "", "best_single_cost", "best model", None, LESS),
            Figure("ours_aiq", "quality over all costs (AIQ)", "share", "knn_aiq", "kNN"),
            Figure("ours_online_last", "online, last fifth", "share", "best_single_online_last", "best model"),
        ),
        read=of_report,
        small_data=ROUTES,
        full_data=("routing_specialists", "routing_mmlu"),
    ),
    Entry(
        name="sharing",
        module="bench_sharing",
        shows="what others did with such a task",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("shared_top1", "shared bank, right plan first", "share", "own_top1", "own bank", bound=_NO_LOSS),
            Figure("shared_top1", "shared bank, right plan first", "share", "shared_plain_top1", "plain similarity"),
        ),
        read=of_report,
        small_data=RUNS,
        full_data=("workbench",),
    ),
    Entry(
        name="credit",
        module="bench_credit",
        shows="credit to steps",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("step_auc", "which runs succeed, AUC", "", "whole_auc", "whole runs"),
            Figure("step_top1", "which function to call", "share", "whole_top1", "whole runs"),
        ),
        read=of_report,
        small_data=RUNS,
        full_data=("workbench",),
    ),
    Entry(
        name="placement",
        module="bench_placement",
        shows="which agent does a task",
        small=("--seeds", "3"),
        full=("--seeds", "5"),
        figures=(
            Figure("placed", "the agent that is chosen succeeds", "share", "random", "random", bound=_NO_LOSS),
            Figure("placed", "the agent that is chosen succeeds", "share", "best_agent", "always the best"),
        ),
        read=of_report,
        small_data=RUNS,
        full_data=("workbench", "banking77"),
        has_own_text=True,
    ),
    Entry(
        name="train",
        module="bench_train",
        shows="an agent learns a file",
        small=("--seeds", "1", "--lines", "8000", "--kills", "1"),
        full=("--seeds", "3", "--kills", "3"),
        figures=(
            Figure("lines_per_s", "lines, from file to searchable", "/s", "floor_lines_per_s", "parsed as JSON"),
            Figure("memory_mb", "memory at its peak", "MB", better=LESS, bound=Bound(most=500.0)),
            Figure("same_after_kills", "killed and resumed, to the same bytes", bound=Bound(least=1.0)),
        ),
        full_figures=(
            Figure(
                "lines_per_s",
                "lines, from file to searchable",
                "/s",
                "floor_lines_per_s",
                "parsed as JSON",
                bound=Bound(least=5_000.0),
            ),
            Figure("memory_mb", "memory at its peak", "MB", better=LESS, bound=Bound(most=500.0)),
            Figure("same_after_kills", "killed and resumed, to the same bytes", bound=Bound(least=1.0)),
        ),
        read=of_report,
        is_timed=True,
    ),
    Entry(
        name="codebase",
        module="bench_codebase",
        shows="functions found by their docstrings",
        small=("--seeds", "2", "--feedbacks", "100", "--queries", "100"),
        full=("--seeds", "5"),
        figures=(
            Figure("index_s", "the standard library indexed", "s", better=LESS, bound=Bound(most=60.0)),
            Figure("second_s", "the same again", "s", better=LESS, bound=Bound(most=3.0)),
            Figure(
                "before_recall5",
                "recall@5, without feedback",
                "share",
                "hashed_recall5",
                "hashed n-grams",
                bound=Bound(least=1.5, of_ratio=True),
            ),
            Figure(
                "after_recall5",
                "recall@5, other questions judged",
                "share",
                "before_recall5",
                "without feedback",
                bound=_NO_LOSS,
            ),
            Figure("same_after_recall1", "recall@1, judged ones", "share", "same_before_recall1", "without feedback"),
        ),
        read=of_report,
        in_small=False,
    ),
    Entry(
        name="edge",
        module="bench_edge",
        shows="memory of a full engine of a small machine",
        small=(),
        full=(),
        figures=(
            Figure("full_mb", "held by a full engine", "MB", better=LESS, bound=Bound(most=5.0)),
            Figure("peak_mb", "the same at its peak, in a cycle", "MB", better=LESS),
        ),
        has_plot=False,
        read=of_edge,
    ),
    Entry(
        name="quantised",
        module="bench_quantised",
        shows="an adapter in 8 and 4 bits",
        small=("--seeds", "2"),
        full=("--seeds", "5"),
        figures=(
            Figure("bits8", "right first, 8 bits", "share", "float", "float32"),
            Figure("bits4", "right first, 4 bits", "share", "float", "float32"),
            Figure("bytes4", "bytes in 4 bits, of float32", "share", better=LESS),
        ),
        read=of_report,
        small_data=TEXTS,
        full_data=("banking77",),
        has_own_text=True,
    ),
)
"""In the order in which they are begun and shown; chaos waits more than it works, so it comes first of its kind."""
