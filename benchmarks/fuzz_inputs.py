"""Bad inputs over every public way in: no crash, no hang, no foreign key touched, nothing stored that should not be.

    python -m benchmarks.fuzz_inputs --inputs 100000 --seed 0 --json

Each input is one call with some of its values replaced by hostile ones (`fuzz_values`), one record with something wrong
(`fuzz_bytes`), or one command line (`fuzz_commands`), against a real Redis of its own. A call may be accepted, or
refused by an error of ours; anything else is a fault, and so is an error that says Redis is away: it is not.

  inputs, accepted, refused   counts
  crashes          errors that are not ours, by where they come from
  hangs            calls that took longer than `HANG_S`
  stored           refused calls that changed a key (Redis's own count of changes, exact after every call)
  foreign          checks that found a sentinel swarm, or keys of nobody, changed, or keys that are no swarm's of ours
  slowest_ms       of all calls

Exit code 1 if there is any fault.
"""

from __future__ import annotations

import os

# This must stand before NumPy loads, as in all benchmarks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random

from benchmarks.arguments import OneLineParser, say
from benchmarks.fuzz_bytes import mutated
from benchmarks.fuzz_commands import ALLOWED_CODES, hostile_command, run_command
from benchmarks.fuzz_engine_entries import engine_entries
from benchmarks.fuzz_pool import AGENTS, Entry, Pool
from benchmarks.fuzz_records import DIM, good_records
from benchmarks.fuzz_swarm_entries import access_entries, inner_entries, small_entries, swarm_entries
from benchmarks.fuzz_task_entries import agent_entries, task_entries
from benchmarks.fuzz_values import Hostile
from benchmarks.fuzz_watch import Hung, Watch, time_bound
from swarm.embed import HashedEmbedder
from swarm.errors import RecordError, StoreUnavailableError, SwarmError, shown
from swarm.services.access import AccessControl
from swarm.services.guard import GuardedSwarm
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona import SonaEngine
from swarm.sona.config import SonaConfig
from swarm.store.connection import connect
from swarm.store.erase import erase_swarm
from swarm_agents import Agent
from swarm_cli.local.redis_server import RedisServer

HANG_S = 15.0
"""On a loaded machine, too, a call that takes so long hangs."""
CHECK_EVERY = 5_000
NEW_ENGINE_EVERY = 2_000
_SHARES = {"calls": 0.6, "records": 0.35, "commands": 0.05}
_SLOW_RECORDS = ("statistics", "published", "engine")


@dataclass(slots=True)
class Tally:
    """What came out. `faults` is kind and place -> how often, and the first input that did it."""

    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    slowest_ms: float = 0.0
    slowest: str = ""

    def fault(self, kind: str, where: str, example: str) -> None:
        """Count a fault; the first example of each place is kept."""
        self.counts[kind] += 1
        name = f"{kind}: {where}"
        seen, first = self.faults.get(name, (0, example))
        self.faults[name] = (seen + 1, first)
        if seen == 0:
            say(f"{name}\n    {example}")

    def took(self, name: str, seconds: float) -> None:
        if 1e3 * seconds > self.slowest_ms:
            self.slowest_ms, self.slowest = 1e3 * seconds, name


class Fuzz:
    """Draws inputs, tries them, and looks at what they did."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.rng = Random(seed)
        self.hostile = Hostile(self.rng)
        self.tally = Tally()
        self.settings = settings
        self.client = connect(settings)
        self.pool = Pool(self.rng, self.hostile)
        self.swarm = self._swarm(settings.name)
        self.small = self._swarm("small")
        self.empty = self._swarm("empty")
        self.watch = Watch(self.client, self._swarm("sentinel"))
        self.records = good_records()
        self.engine = SonaEngine(SonaConfig(dim=DIM))
        self.entries = self._entries()
        self._weights = list(accumulate(entry.weight for entry in self.entries))
        self._names = [name for name in self.records for _ in range(1 if name in _SLOW_RECORDS else 8)]

    def run(self, inputs: int) -> None:
        """Try so many inputs."""
        ways: Sequence[Callable[[], None]] = (self._call, self._record, self._command)
        for number in range(1, inputs + 1):
            self.rng.choices(ways, list(_SHARES.values()))[0]()
            if number % NEW_ENGINE_EVERY == 0:
                self.engine = SonaEngine(SonaConfig(dim=DIM))
            if number % CHECK_EVERY == 0 or number == inputs:
                self._look_around(number)

    # One input of each kind

    def _call(self) -> None:
        entry = self.rng.choices(self.entries, cum_weights=self._weights)[0]
        given = self._arguments(entry)
        before = self._stands(entry)
        outcome = self._tried(entry.name, lambda: entry.call(**given), given, SwarmError)
        if outcome == "refused":
            self._look_at(entry, given, before)
        elif entry.name.startswith("Empty"):
            # The first refused call of a swarm, too, must leave nothing behind.
            erase_swarm(self.client, self.empty.keys)
            self.empty.unbind()
        self.agent.breaker.succeeded()

    def _record(self) -> None:
        kind = self.rng.choice(self._names)
        good, decode = self.records[kind]
        data = mutated(good, self.hostile)
        allowed = SwarmError if kind == "engine" else RecordError
        self._tried(f"decode {kind}", lambda: decode(data), data, allowed)

    def _command(self) -> None:
        words = hostile_command(self.rng, self.hostile)
        before = self.watch.writes()
        code = -1

        def command() -> None:
            nonlocal code
            code, printed = run_command(words)
            if "Traceback" in printed or code not in ALLOWED_CODES:
                raise AssertionError(f"exit code {code}: {printed[-300:]}")

        self._tried("swarm", command, words, SwarmError)
        if code == 2 and self.watch.writes() != before and "rollback" not in words:
            self.tally.fault("stored", f"swarm {words[0] if words else ''}", repr(words)[:300])

    # What they have in common

    def _tried(self, name: str, call: Callable[[], object], given: object, allowed: type[Exception]) -> str:
        begun = time.perf_counter()
        try:
            with time_bound(HANG_S):
                call()
        except Hung:
            self.tally.fault("hangs", f"{name} at {_place()}", _shown(given))
            return "fault"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            if not isinstance(error, allowed) or isinstance(error, StoreUnavailableError):
                what = f"{name}: {type(error).__name__} at {_place()}"
                self.tally.fault("crashes", what, f"{str(error)[:100]!a} by {_shown(given)}")
                return "fault"
            self.tally.refused[name] += 1
            return "refused"
        finally:
            self.tally.took(name, time.perf_counter() - begun)
        self.tally.accepted[name] += 1
        return "accepted"

    def _arguments(self, entry: Entry) -> dict[str, object]:
        given = {
            name: make() for name, make in entry.takes.items() if name not in entry.optional or self.rng.random() < 0.4
        }
        for name in list(given):
            if self.rng.random() < 0.35:
                given[name] = self.hostile.any()
        if given and self.rng.random() < 0.8:
            given[self.rng.choice(list(given))] = self.hostile.any()
        return given

    def _stands(self, entry: Entry) -> object:
        """What a refused call must leave as it is."""
        if not entry.is_compared:
            return None
        if entry.name.startswith(("Sona", "Learning")):
            self.engine.flush()  # what waits to be learned is learned by the next call, whatever comes of that
            return str(self.engine.get_stats())
        return self.watch.digest_of(self.small.keys) if entry.in_small else self.watch.writes()

    def _look_at(self, entry: Entry, given: object, before: object) -> None:
        after = self._stands(entry)
        # The guard counts a call before it looks at what the call brings.
        is_counted = entry.name.startswith("Guarded") and isinstance(before, int) and after == before + self._spent
        if after != before and not is_counted:
            self.tally.fault("stored", entry.name, _shown(given))

    def _look_around(self, number: int) -> None:
        if not self.watch.foreign_is_untouched():
            self.tally.fault("foreign", f"within {CHECK_EVERY} inputs before {number}", "the sentinel or a loose key")
        if others := self.watch.others(self.settings.name, "small", "empty"):
            self.tally.fault("foreign", f"a key of nobody before {number}", repr(others[:5]))
        seen = sum(self.tally.refused.values())
        say(f"{number:,} inputs, {seen:,} refused, {sum(self.tally.counts.values())} faults")

    def _entries(self) -> list[Entry]:
        control = AccessControl(self.settings, self.client)
        token, _ = control.create("agent", "ada")
        guarded = GuardedSwarm(self.swarm, token)
        for swarm in (self.swarm, self.small):
            for name in AGENTS:
                swarm.register(name, "coder", SonaConfig(dim=DIM))
        self.agent = Agent("ada", swarm=self.swarm)
        before = self.watch.writes()
        control.spend(control.authenticate(token), is_write=True)
        self._spent = self.watch.writes() - before
        pool = self.pool
        return [
            *swarm_entries(self.swarm, pool),
            *inner_entries(self.swarm, pool),
            *small_entries(self.small, pool),
            *task_entries(self.swarm, pool),
            *agent_entries(self.agent, pool),
            *access_entries(control, self.swarm, pool, token),
            *engine_entries(lambda: self.engine, pool),
            *swarm_entries(guarded, pool, prefix="GuardedSwarm"),  # type: ignore[arg-type]  # it has the same operations
            *task_entries(guarded, pool, prefix="GuardedTasks"),  # type: ignore[arg-type]  # the same
            *swarm_entries(self.empty, pool, prefix="EmptySwarm"),
            *agent_entries(self.agent, pool, prefix="GuardedHooks", hooks=guarded.hooks(self.agent)),
        ]

    def _swarm(self, name: str) -> Swarm:
        settings = self.settings.model_copy(update={"name": name})
        return Swarm(settings, client=self.client, embedder=HashedEmbedder(DIM))


def measure(inputs: int, seed: int) -> tuple[Tally, float]:
    """Run so many inputs against a Redis of their own; what came out, and the seconds it took."""
    state = Path(tempfile.mkdtemp(prefix="swarm-fuzz-"))
    settings = Settings(
        name="fuzz", state_dir=state, embedder=f"hashed:{DIM}", rate_reads=1e6, rate_writes=1e6, redis_url=None
    )
    os.environ.update(SWARM_NAME="fuzz", SWARM_STATE_DIR=str(state), SWARM_EMBEDDER=settings.embedder, COLUMNS="100")
    os.environ.pop("SWARM_REDIS_URL", None)
    server = RedisServer(settings)
    begun = time.perf_counter()
    try:
        server.start()
        fuzz = Fuzz(settings, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # products of huge numbers may warn; what counts is the error
            fuzz.run(inputs)
        fuzz.agent.close(timeout_s=0.0)
        fuzz.client.close()
    finally:
        server.stop()
        shutil.rmtree(state)
    return fuzz.tally, time.perf_counter() - begun


def report(tally: Tally, inputs: int, seed: int, seconds: float) -> dict[str, object]:
    """As one JSON object, of the form of the other benchmarks."""
    figures = {
        "inputs": inputs,
        "accepted": sum(tally.accepted.values()),
        "refused": sum(tally.refused.values()),
        **{name: tally.counts[name] for name in ("crashes", "hangs", "stored", "foreign")},
        "entries": len(tally.accepted.keys() | tally.refused.keys()),
        "slowest_ms": round(tally.slowest_ms, 1),
    }
    metrics = {name: {"mean": value, "lo": value, "hi": value} for name, value in figures.items()}
    faults = {name: {"times": times, "example": example} for name, (times, example) in tally.faults.items()}
    return {
        "bench": "fuzz_inputs",
        "data": "generated",
        "embedder": f"hashed:{DIM}",
        "seeds": 1,
        "metrics": metrics,
        "seconds": round(seconds, 1),
        "seed": seed,
        "slowest": tally.slowest,
        "faults": faults,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = OneLineParser("fuzz_inputs", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", dest="is_json")
    options = parser.parse_args(arguments)
    if not 1 <= options.inputs <= 10_000_000:
        parser.error(f"--inputs must be in 1..10000000, got {options.inputs}")
    tally, seconds = measure(options.inputs, options.seed)
    found = report(tally, options.inputs, options.seed, seconds)
    if options.is_json:
        print(json.dumps(found), flush=True)
    else:
        for name, value in found["metrics"].items():  # type: ignore[attr-defined]  # a mapping
            print(f"{name:12} {value['mean']:,}")
        print(f"{'seconds':12} {seconds:.1f}")
    return 1 if tally.faults else 0


def _place() -> str:
    """The innermost line of ours in the error that is being handled."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [frame for frame in frames if "/swarm" in frame.filename and "site-packages" not in frame.filename]
    frame = (ours or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _shown(given: object) -> str:
    return ascii(shown(given, 400))


if __name__ == "__main__":
    sys.exit(main())
