"""The benchmarks in one command: `python -m benchmarks`, or `swarm bench`.

Small takes about two minutes on two cores and what every machine has; `--full` hours, and real data where `--data` has
them. Ctrl-C keeps what was measured. Exit code 1: something failed or was interrupted; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.arguments import OneLineParser, one_line, say
from benchmarks.claims import beside_claims
from benchmarks.small_data import write_small_data
from benchmarks.suite_compare import changes, differences
from benchmarks.suite_jobs import Wanted, plan
from benchmarks.suite_plot import save_ratios
from benchmarks.suite_result import Result, load_result, now, this_place
from benchmarks.suite_run import run_jobs
from benchmarks.suite_tables import print_result
from swarm.errors import InputError

DATA = "SWARM_BENCH_DATA"
PEER = "SWARM_BENCH_PEER"
_TIMEOUT_S = {"small": 300.0, "full": 14_400.0}


def run(wanted: Wanted, save: Path | None) -> Result:
    """Run what is wanted; the benchmarks' own pictures go to `save`."""
    started, at = time.monotonic(), now()
    size = "full" if wanted.full else "small"
    scratch = Path(tempfile.mkdtemp(prefix="swarm-bench-"))
    try:
        planned = plan(wanted, {} if wanted.full else write_small_data(scratch / "data"))
        outcome = run_jobs(planned.jobs, save or scratch, scratch, _TIMEOUT_S[size])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Result(
        size=size,
        rows=outcome.rows,
        failed=outcome.failed,
        left_out=planned.left_out,
        not_run=outcome.not_run,
        peer=_peer(wanted, outcome.reports.get("engine")),
        seconds=round(time.monotonic() - started, 1),
        at=at,
        place=this_place(),
        reports=outcome.reports,
    )


def _peer(wanted: Wanted, engine: object) -> str:
    if not isinstance(engine, dict) or engine["peer_us"]:
        return ""
    if wanted.peer is None:
        return f"no --peer with its script bench_sona.cjs, or {PEER}"
    return "its script did not run: it needs node, npm and the package @ruvector/sona (bench_engine --peer says more)"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    parser = OneLineParser(
        prog="swarm bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--data", type=Path, default=_folder(DATA), metavar="DIR")
    parser.add_argument("--peer", type=Path, default=_folder(PEER), metavar="DIR")
    parser.add_argument("--save", type=Path, metavar="DIR")
    parser.add_argument("--compare", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    data = options.data if options.full or options.data != _folder(DATA) else None
    only = [name for names in options.only for name in names.split(",") if name]
    wanted = Wanted(full=options.full, only=only, data=data, peer=options.peer)
    try:
        # What cannot be read or written is told before the measuring, not after it.
        earlier = load_result(options.compare) if options.compare else None
        if options.save:
            options.save.mkdir(parents=True, exist_ok=True)
        result = run(wanted, options.save)
        if options.save:
            (options.save / "bench.json").write_text(result.to_json() + "\n", encoding="utf-8")
            save_ratios(options.save / "bench.png", result)
            say(f"saved: {options.save / 'bench.json'}, {options.save / 'bench.png'}")
    except (InputError, OSError) as error:
        say(f"error: {one_line(error)}")
        return 2
    except KeyboardInterrupt:
        say("aborted: nothing was measured yet")
        return 1
    found = changes(result, earlier) if earlier else None
    said = differences(result, earlier) if earlier else []
    claims = beside_claims(result.rows)
    if options.json:
        more: dict[str, object] = {"claims": [asdict(claim) for claim in claims]}
        if found is not None:
            more |= {"changes": {name: asdict(change) for name, change in found.items()}, "differences": said}
        print(result.to_json(more), flush=True)
    else:
        print_result(result, claims, found, said)
    return 0 if result.is_whole else 1


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # Also where a shell started it in the background with interrupts ignored; benchmarks inherit that it is not.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.exit(main())
