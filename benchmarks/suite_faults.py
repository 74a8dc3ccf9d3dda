"""The benchmarks of what goes wrong: processes killed, and bad inputs."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.suite_entry import LESS, NEVER, Entry, of_report
from benchmarks.suite_figures import Figure

FAULTS: Sequence[Entry] = (
    Entry(
        name="chaos",
        module="bench_chaos",
        shows="kill -9 of everything at random",
        small=("--minutes", "0.3", "--every", "2"),
        full=("--minutes", "10"),
        figures=(
            Figure("accepted", "outcomes and tasks accepted"),
            Figure("lost", "lost", better=LESS, bound=NEVER),
            Figure("doubled", "done twice", better=LESS, bound=NEVER),
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
            Figure("crashes", "crashes", better=LESS, bound=NEVER),
            Figure("hangs", "hangs", better=LESS, bound=NEVER),
            Figure("foreign", "keys of others touched", better=LESS, bound=NEVER),
            Figure("stored", "refused calls that changed a key", better=LESS, bound=NEVER),
        ),
        has_plot=False,
        read=of_report,
    ),
)
