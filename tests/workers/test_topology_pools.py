"""The examples of the topologies with a real pool, of which a process that has a step is killed in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support import PrivateRedis, wait_until
from swarm_support import EMBEDDER, TESTS, make_swarm, start_program
from workers_support import kill_workers

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.services.topologies import JobReport
from swarm.services.topologies.mesh import MeshReport
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm_cli.worker_agents import FACTORY
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

EXAMPLES = TESTS.parent / "examples"
PLAN = RolePlan(role="member", handlers=("topology_members",), factory=FACTORY)
PATIENCE = 60.0
DIED = "the worker died once"
R = TypeVar("R", bound=JobReport)


class Pool:
    """One pool for all of these tests, and the traps in it."""

    def __init__(self, swarm: Swarm, folder: Path) -> None:
        self.swarm, self._folder = swarm, folder

    def example(self, name: str) -> Any:
        return import_module(f"topology_{name}")

    def set_trap(self, job: str, step: str, agent: str = "") -> Path:
        trap = self._folder / ".".join(filter(None, (job, step, agent)))
        trap.touch()
        return trap

    def sprung(self, trap: Path) -> int:
        """The pid of the process that has the step."""
        sprung = trap.with_name(f"{trap.name}.sprung")
        wait_until(sprung.exists, PATIENCE, f"somebody to have {trap.name}")
        return int(sprung.read_text())

    def open(self, trap: Path) -> None:
        """Let who waits in a trap go on."""
        trap.with_name(f"{trap.name}.open").touch()

    def run_and_kill(self, run: Callable[[], R], *traps: Path) -> R:
        """Run a job, and kill the process that steps into each of the traps."""
        with ThreadPoolExecutor(1) as executor:
            future = executor.submit(run)
            for trap in traps:
                os.kill(self.sprung(trap), signal.SIGKILL)
            return future.result(PATIENCE)

    def begun(self, report: JobReport) -> Counter[str]:
        """How often each step that was done was begun by its task."""
        lines = Counter(line.split()[0] for line in (self._folder / "journal").read_text().splitlines())
        return Counter({step.step: lines[step.task] for step in report.steps})


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    """A Redis that no other test keeps from answering: a lease that runs out would look like a death."""
    server = PrivateRedis()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def pool(server: PrivateRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    folder = tmp_path_factory.mktemp("topologies")
    settings = Settings(
        name=f"t-{uuid.uuid4().hex[:12]}",
        redis_url=server.url,
        state_dir=folder / "state",
        embedder=EMBEDDER,
        sweep_interval=0.1,
        # A killed member is seen at once; a loaded machine must not look like one.
        lease_ttl=20.0,
    )
    path = [str(EXAMPLES), str(TESTS / "programs"), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch, connect(settings) as client, PoolManager(settings, client) as manager:
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv("TOPOLOGY_TRAPS", str(folder))
        patch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
        manager.start("member", 3, plan=PLAN)
        try:
            yield Pool(make_swarm(settings, client), folder)
        finally:
            kill_workers(settings)


def failures(report: JobReport) -> list[tuple[str, str, str]]:
    return [(failure.step, failure.agent, failure.why) for failure in report.failures]


def test_hierarchy_the_part_of_a_killed_worker_is_given_to_another(pool: Pool) -> None:
    example = pool.example("hierarchy")
    trap = pool.set_trap("h1", "part", "bob")
    report = pool.run_and_kill(lambda: example.run(pool.swarm, "h1", "member"), trap)
    measured = [example.measure(name) for name in example.MODULES]
    assert report.result == {name: sum(one[name] for one in measured) for name in ("lines", "functions", "classes")}
    [(step, agent, why)] = failures(report)
    assert (agent, why) == ("bob", DIED)
    assert report.did[step] in ("bea", "ben")
    assert report.handled == (f"{step}: bob failed ({DIED}), given to {report.did[step]}",)
    assert set(pool.begun(report).values()) == {1}


def test_hierarchy_a_queen_that_is_killed_is_played_by_another_process(pool: Pool) -> None:
    example = pool.example("hierarchy")
    trap = pool.set_trap("h2", "gather")
    report = pool.run_and_kill(lambda: example.run(pool.swarm, "h2", "member"), trap)
    assert (report.result["lines"] > 1000, report.failures, report.handled) == (True, (), ())
    assert pool.begun(report)["gather"] == 2
    assert pool.swarm.tasks.find(report.steps[-1].task).status.attempts == 2


def test_a_coordinator_that_is_killed_and_started_again_goes_on_where_it_was(pool: Pool) -> None:
    example = pool.example("hierarchy")
    trap = pool.set_trap("h3", "part", "ben")
    with start_program("run_topology", pool.swarm.settings, "h3") as coordinator:
        pool.sprung(trap)
        coordinator.kill()
    pool.open(trap)
    report = example.run(pool.swarm, "h3", "member")
    assert report.is_resumed
    assert report.result["lines"] > 1000
    begun = pool.begun(report)
    assert len(begun) == len(example.MODULES) + 2
    assert set(begun.values()) == {1}, "nothing is done twice"
    assert example.run(pool.swarm, "h3", "member").result == report.result


def test_mesh_without_the_member_that_was_killed_the_others_agree(pool: Pool) -> None:
    example = pool.example("mesh")
    trap = pool.set_trap("m1", "answer", "columns")
    table = example.TABLES["semicolon"]
    report: MeshReport = pool.run_and_kill(lambda: example.run(pool.swarm, "m1", table, "member"), trap)
    assert report.result == "semicolon"
    assert failures(report) == [("answer-columns", "columns", DIED)]
    assert report.handled == (f"answer-columns: columns failed ({DIED}), it has no vote",)
    verdicts = {verdict.agent: verdict for verdict in report.execution.agents}
    assert verdicts.keys() == set(example.WAYS) - {"columns"}
    assert not verdicts["frequency"].agrees, "the text is full of commas"
    # Each learned from the consensus, and from nothing else.
    assert pool.swarm.agents.state("frequency").accepted == 1


def test_star_what_a_killed_spoke_had_is_asked_of_another_and_a_killed_hub_is_played_again(pool: Pool) -> None:
    example = pool.example("star")
    words = example.words()[:2000]
    hub, spoke = pool.set_trap("s1", "turn"), pool.set_trap("s1", "ask", "sam")
    report = pool.run_and_kill(lambda: example.run(pool.swarm, "s1", words, "member"), hub, spoke)
    assert report.result == sorted(words)
    [(step, agent, why)] = failures(report)
    assert (agent, why, report.did[step] in ("sue", "sid")) == ("sam", DIED, True)
    assert pool.begun(report)["turn-0"] == 2


def test_ring_a_killed_station_is_bridged(pool: Pool) -> None:
    example = pool.example("ring")
    text = example.inspect.getdoc(example.textwrap.wrap)
    whole = example.run(pool.swarm, "r1", text, "member")
    assert list(whole.did.values()) == list(example.STAGES)
    trap = pool.set_trap("r2", "hop", "joiner")
    report = pool.run_and_kill(lambda: example.run(pool.swarm, "r2", text, "member"), trap)
    assert report.result == whole.result, "the next one does what the dead one should have done"
    assert list(report.did.values()) == ["cleaner", "marker", "filler"]
    assert report.handled == (f"hop-0-1: joiner failed ({DIED}), skipped, the token goes on to the next station",)


def test_peers_the_next_best_is_asked_and_whom_to_ask_is_learned(pool: Pool) -> None:
    example = pool.example("peers")
    trap = pool.set_trap("p1", "ask", "pam")
    first = pool.run_and_kill(lambda: example.run(pool.swarm, "p1", example.FIRST, "member"), trap)
    assert [name.rpartition(".")[2] for name in first.result] == list(example.FIRST.values())
    [killed] = [failure for failure in first.failures if failure.why == DIED]
    assert (killed.agent, first.did[killed.step] != "pam") == ("pam", True)
    Background(pool.swarm.settings, pool.swarm.client).drain(0.0)
    second = example.run(pool.swarm, "p2", example.FIRST, "member")
    assert second.result == first.result
    assert len(second.failures) < len(first.failures)
