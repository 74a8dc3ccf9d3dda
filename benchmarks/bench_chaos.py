"""A real swarm under kill -9: `python -m benchmarks.bench_chaos --minutes 10 --seed 0 --json`.

Agents report outcomes and submitters submit tasks while Redis, workers, their children, the supervisor, agents and
submitters are killed and frozen at random. A process that dies is started again: Redis and workers by the supervisor,
the rest as an init system would. At the end everything is let come to rest, and every receipt is accounted for.

`lost`: accepted and without effect. `doubled`: more than one effect. `longest_stall_s`: how long a pool had work and
did none of it. `unreported`: tasks that ended well, whose outcome no agent could report: hooks never hold a task up.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.arguments import OneLineParser, say
from benchmarks.chaos_account import account
from benchmarks.chaos_handlers import ROLES
from benchmarks.chaos_journal import Sent
from benchmarks.chaos_victims import KINDS, Killer
from benchmarks.chaos_watch import Watch, work_of
from benchmarks.own_swarm import ROOT, OwnSwarm, swarm_command
from benchmarks.report import Report, print_report
from benchmarks.seeds import Estimate
from swarm.errors import SwarmError
from swarm.services.swarm import Swarm
from swarm_agents import Agent

AGENTS = ("ann", "bob", "eve")
SUBMITTERS = ("sue", "tim")
_OUTCOMES_PER_S, _TASKS_PER_S = 8.0, 8.0
"""Of each agent and submitter: what two cores can do while half of everything is being started again."""
_CALM_S = 10.0
_TICK_S, _LOOK_S = 0.1, 0.25
_REST_S = 180.0
"""So long it may take until all that was accepted has come to an end."""


@dataclass(slots=True)
class Sender:
    """An agent or a submitter, which is started again when it dies."""

    kind: str
    name: str
    journal: Path
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    def keep_alive(self, own: OwnSwarm) -> None:
        """Start it if it does not run."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(self.command, env=own.environment, cwd=ROOT, stderr=subprocess.DEVNULL)

    def end(self) -> None:
        """Let it finish what it has begun."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_REST_S)


def run(minutes: float, seed: int, fsync: str, every_s: float) -> tuple[dict[str, float], float]:
    """The metrics, and how long it took."""
    started = time.monotonic()
    rng = random.Random(seed)
    with OwnSwarm({"FSYNC": fsync}) as own:
        own.swarm("up", "--concurrency", "2")
        for role in ROLES:
            own.swarm("workers", "start", "--role", role, "--handlers", "benchmarks.chaos_handlers", "-c", "2")
        senders = _senders(own)
        killer = Killer(own, rng)
        with closing(Swarm(own.settings)) as swarm, Watch(swarm) as watch:
            _strike_until(time.monotonic() + 60.0 * minutes, own, killer, senders, every_s)
            say("letting everything come to rest")
            killer.thaw(everybody=True)
            _come_to_rest(own, swarm, senders)
            found = account(swarm, _journals(senders, "agent"), _journals(senders, "submitter"))
            stalls = watch.stalls.longest_s
    say(f"kills: {dict(killer.kills)}, freezes: {dict(killer.freezes)}")
    say(f"longest stalls: { {pool: round(seconds, 1) for pool, seconds in stalls.items()} }")
    metrics = {
        "kills": killer.kills.total(),
        "sent": found.sent,
        "accepted": found.accepted,
        "effects": found.effects,
        "lost": found.lost,
        "doubled": found.doubled,
        "longest_stall_s": max(stalls.values()),
        "freezes": killer.freezes.total(),
        "unreported": found.unreported,
        **{f"kills_of_{kind}": killer.kills[kind] for kind in KINDS},
    }
    return {name: float(value) for name, value in metrics.items()}, time.monotonic() - started


def _senders(own: OwnSwarm) -> list[Sender]:
    found = []
    for kind, names, rate, more in (
        ("agent", AGENTS, _OUTCOMES_PER_S, ()),
        ("submitter", SUBMITTERS, _TASKS_PER_S, ROLES),
    ):
        for name in names:
            journal = own.folder / f"{name}.journal"
            journal.touch()
            command = [sys.executable, "-m", f"benchmarks.chaos_{kind}", name, str(journal), str(rate), *more]
            found.append(Sender(kind, name, journal, command))
    return found


def _strike_until(end: float, own: OwnSwarm, killer: Killer, senders: Sequence[Sender], every_s: float) -> None:
    strike_at = time.monotonic() + _CALM_S
    say_at = time.monotonic()
    while (now := time.monotonic()) < end:
        for sender in senders:
            sender.keep_alive(own)
        killer.thaw()
        if now >= strike_at:
            killer.strike([(sender.kind, sender.process.pid) for sender in senders if sender.process])
            _keep_supervisor(own, killer)
            strike_at = now + killer.rng.uniform(0.5, 1.5) * every_s
        if now >= say_at:
            say(f"{end - now:.0f} s to go, {killer.kills.total()} kills, {killer.freezes.total()} freezes")
            say_at = now + 30.0
        time.sleep(_TICK_S)


def _keep_supervisor(own: OwnSwarm, killer: Killer) -> None:
    """As an init system would: if it is gone, it is started again."""
    if not killer.victims()["supervisor"]:
        subprocess.Popen(
            [swarm_command(), "workers", "supervise"],
            env=own.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _come_to_rest(own: OwnSwarm, swarm: Swarm, senders: Sequence[Sender]) -> None:
    """End the senders, have sent what they and the workers' agents could not send, and wait for all of it."""
    _until(lambda: own.redis.state() is not None, "Redis")
    for sender in senders:
        sender.end()
    _until(partial(_looked, swarm), "what was left behind to be sent")
    for spool in (own.folder / "spool" / own.settings.name).glob("*.sqlite"):
        agent = Agent(spool.stem, swarm=swarm)
        _until(partial(agent.flush, 1.0), f"the spool of {spool.stem}")
        agent.close()
    _until(lambda: not any(waiting for waiting, _ in work_of(swarm).values()), "all that was accepted to end")


def _looked(swarm: Swarm) -> bool:
    swarm.sent.look()
    return True


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _REST_S
    while time.monotonic() < deadline:
        with suppress(SwarmError):
            if condition():
                return
        time.sleep(_LOOK_S)
    say(f"waited {_REST_S:g} s in vain for {what}")


def _journals(senders: Sequence[Sender], kind: str) -> dict[str, Sent]:
    found = {}
    for sender in senders:
        if sender.kind == kind:
            found[sender.name] = Sent()
            found[sender.name].read(sender.journal)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line; exit code 1 if anything was lost or doubled."""
    parser = OneLineParser(prog="bench_chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long things are killed (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec")
    parser.add_argument(
        "--every", type=float, default=3.5, metavar="SECONDS", help="between two strikes, on average (3.5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    metrics, seconds = run(options.minutes, options.seed, options.fsync, options.every)
    estimates = {name: Estimate(mean=value, lo=value, hi=value) for name, value in metrics.items()}
    report = Report(
        bench="bench_chaos", data=options.fsync, embedder="hashed", seeds=1, metrics=estimates, seconds=seconds
    )
    if options.json:
        print(report.to_json(), flush=True)
    else:
        print_report(report)
    sys.exit(1 if metrics["lost"] or metrics["doubled"] else 0)


if __name__ == "__main__":
    main()
