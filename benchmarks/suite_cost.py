"""The benchmarks of what it costs: time, memory and rates, each with the machine to itself."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.suite_entry import LESS, NEVER, Entry, of_edge, of_engine, of_report
from benchmarks.suite_figures import Bound, Figure


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


COST: Sequence[Entry] = (
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
            Figure("answers_5xx", "answers that failed", better=LESS, bound=NEVER),
            Figure("receipts_lost", "receipts lost", better=LESS, bound=NEVER),
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
        name="train",
        module="bench_train",
        shows="training from a file",
        small=("--seeds", "1", "--lines", "3000", "--dim", "128", "--actions", "20"),
        full=("--seeds", "1", "--kills", "5"),
        figures=(
            Figure("lines_per_s", "lines learned, from the file to searchable", "/s", "floor_lines_per_s", "parsing"),
            Figure("memory_mb", "peak of memory, MB", better=LESS),
            Figure("right_first_after", "right first on held-out lines", "share"),
            Figure("same_after_kills", "the same bytes after kills", bound=Bound(least=1.0)),
        ),
        read=of_report,
        is_timed=True,
    ),
    Entry(
        name="edge",
        module="bench_edge",
        shows="memory of an engine of a small machine",
        small=(),
        full=(),
        figures=(
            Figure("full_mb", "every bound reached, MB", better=LESS, bound=Bound(most=5.0)),
            Figure("peak_mb", "the most while it learned, MB", better=LESS),
        ),
        has_plot=False,
        read=of_edge,
        is_timed=True,
    ),
)
