"""Pools of a role with real workers: tasks are done once in effect, whatever is killed, and reported once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import redis
from support import PrivateRedis, wait_until
from swarm_support import EMBEDDER, TESTS, make_swarm
from workers_support import kill_workers, stop_consuming

from swarm.errors import InputError, RuntimeSetupError, TaskFailedError
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.tasks import RoleCounts
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import decode_trajectory
from swarm.wire.task_records import TaskState
from swarm_cli.worker_agents import FACTORY
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolManager

Children = Callable[[int], list[psutil.Process]]
PLAN = RolePlan(role="coder", handlers=("role_handlers",), factory=FACTORY)
PATIENCE = 30.0


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Leases of the dead do not last, and the workers find the handlers."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(TESTS / "programs")]))
    monkeypatch.setenv("PYTHONPATH", path)
    return settings.model_copy(update={"embedder": EMBEDDER, "sweep_interval": 0.1, "lease_ttl": 1.0})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


class Work:
    """A task whose attempts write their pids into a journal, and end when the gate is open."""

    def __init__(self, folder: Path, swarm: Swarm, **options: object) -> None:
        self.journal, self._gate, self._swarm = folder / "journal", folder / "gate", swarm
        payload = {"journal": str(self.journal), "gate": str(self._gate)}
        self.id = swarm.submit("rename a column", role="coder", payload=payload, **options).id  # type: ignore[arg-type]

    def await_attempts(self, count: int) -> int:
        """The pid of the attempt of this number."""
        wait_until(lambda: len(self.pids()) >= count, PATIENCE, f"attempt {count}")
        return self.pids()[count - 1]

    def pids(self) -> list[int]:
        return [int(line) for line in self.journal.read_text().split()] if self.journal.exists() else []

    def open_gate(self) -> None:
        self._gate.touch()

    def open_trajectories(self) -> int:
        return self._swarm.client.hlen(self._swarm.keys.agent("coder").open)

    def assert_done_once(self, attempts: int) -> None:
        """Its result is there, its outcome was reported once, and the ledger adds up."""
        result = self._swarm.tasks.wait(self.id, PATIENCE)
        assert (result["agent"], result["advised"], result["attempt"]) == ("coder", True, attempts)
        assert self._swarm.agents.state("coder").accepted == 1
        assert self._swarm.receipt("coder", self.id).agent == "coder"
        assert counts(self._swarm).succeeded == 1
        assert self.open_trajectories() == 0


def counts(swarm: Swarm) -> RoleCounts:
    (found,) = swarm.tasks.counts()
    assert found.lost == 0
    return found


def test_a_pool_does_what_waits_with_hooks_around_and_ends_when_drained(
    manager: PoolManager, swarm: Swarm, client: Client, settings: Settings
) -> None:
    ids = [swarm.submit(f"task {number}", role="coder").id for number in range(20)]
    state = manager.start("coder", 2, plan=PLAN)
    assert (state.status, state.role) == ("running", "coder")
    assert [swarm.tasks.wait(name, PATIENCE)["text"] for name in ids] == [f"task {number}" for number in range(20)]
    assert swarm.agents.state("coder").accepted == 20
    assert (counts(swarm).succeeded, counts(swarm).submitted) == (20, 20)
    named = swarm.submit("task of ada", role="coder", agent="ada")
    assert swarm.tasks.wait(named.id, PATIENCE)["agent"] == "ada"
    assert swarm.agents.state("ada").accepted == 1
    manager.drain("coder")
    assert manager.list() == []


def test_an_idle_pool_is_woken_by_a_submission_also_after_redis_was_killed(
    settings: Settings, own_redis: PrivateRedis
) -> None:
    # No sweep comes in time.
    mine = settings.model_copy(update={"redis_url": own_redis.url, "sweep_interval": 60.0})
    with PoolManager(mine) as manager, connect(mine) as client:
        manager.start("coder", 1, plan=PLAN)
        swarm = make_swarm(mine, client)
        channel = swarm.keys.wakeup("coder")

        def is_heard() -> bool:
            try:
                return bool(client.pubsub_numsub(channel)[0][1])
            except redis.RedisError:
                return False

        for number in range(2):
            wait_until(is_heard, PATIENCE, "the pool to listen")
            name = swarm.submit(f"task {number}", role="coder").id
            assert swarm.tasks.wait(name, PATIENCE)["text"] == f"task {number}"
            if number == 0:
                own_redis.kill()
                own_redis.start()


def test_failures_are_tried_again_or_dead_and_the_pool_goes_on(manager: PoolManager, swarm: Swarm) -> None:
    manager.start("coder", 1, plan=PLAN)

    def submit(what: str) -> str:
        return swarm.submit(what, role="coder", payload={"do": what}, backoff=0.1).id

    once, later, dead, bad = map(submit, ("fail once", "retry", "give up", "no result"))
    assert swarm.tasks.wait(once, PATIENCE)["attempt"] == 2
    assert swarm.tasks.wait(later, PATIENCE)["attempt"] == 2
    with pytest.raises(TaskFailedError, match="it cannot be done"):
        swarm.tasks.wait(dead, PATIENCE)
    with pytest.raises(TaskFailedError, match="result may hold"):
        swarm.tasks.wait(bad, PATIENCE)
    assert swarm.agents.state("coder").accepted == 4
    assert {view.id for view in swarm.tasks.dead()} == {dead, bad}


def test_a_child_killed_in_the_middle_of_a_task_costs_an_attempt_and_nothing_else(
    manager: PoolManager, swarm: Swarm, tmp_path: Path
) -> None:
    state = manager.start("coder", 1, plan=PLAN)
    work = Work(tmp_path, swarm)
    pid = work.await_attempts(1)
    wait_until(lambda: swarm.tasks.find(work.id).status.note == "half way", PATIENCE, "the progress to be seen")
    os.kill(pid, signal.SIGKILL)
    assert work.await_attempts(2) != pid
    work.open_gate()
    work.assert_done_once(attempts=2)
    assert manager.list()[0].pid == state.pid


def test_a_worker_killed_in_the_middle_of_a_task_costs_an_attempt_and_nothing_else(
    manager: PoolManager, swarm: Swarm, tmp_path: Path
) -> None:
    state = manager.start("coder", 1, plan=PLAN)
    work = Work(tmp_path, swarm)
    work.await_attempts(1)
    os.killpg(state.pid, signal.SIGKILL)
    wait_until(lambda: manager.list()[0].status == "dead", PATIENCE, "the worker to be dead")
    # How it does its tasks, this host knows.
    assert manager.start("coder", 1).role == "coder"
    work.await_attempts(2)
    work.open_gate()
    work.assert_done_once(attempts=2)


def test_what_a_dead_process_had_waits_again_long_before_its_lease_is_over(
    settings: Settings, swarm: Swarm, tmp_path: Path
) -> None:
    patient = settings.model_copy(update={"lease_ttl": 500.0})
    with PoolManager(patient) as manager:
        try:
            state = manager.start("coder", 1, plan=PLAN)
            work = Work(tmp_path, swarm)
            os.kill(work.await_attempts(1), signal.SIGKILL)
            work.await_attempts(2)
            os.killpg(state.pid, signal.SIGKILL)
            wait_until(lambda: manager.list()[0].status == "dead", PATIENCE, "the worker to be dead")
            manager.start("coder", 1, plan=PLAN)
            work.await_attempts(3)
            work.open_gate()
            work.assert_done_once(attempts=3)
        finally:
            kill_workers(settings)


def test_a_child_that_was_frozen_past_its_lease_changes_nothing_when_it_wakes(
    manager: PoolManager, swarm: Swarm, tmp_path: Path
) -> None:
    manager.start("coder", 2, plan=PLAN)
    work = Work(tmp_path, swarm)
    frozen = psutil.Process(work.await_attempts(1))
    frozen.suspend()
    work.await_attempts(2)
    work.open_gate()
    work.assert_done_once(attempts=2)
    frozen.resume()
    other = swarm.submit("another", role="coder").id
    swarm.tasks.wait(other, PATIENCE)
    assert swarm.tasks.wait(work.id, PATIENCE)["attempt"] == 2
    assert swarm.agents.state("coder").accepted == 2


def test_a_task_that_keeps_killing_its_worker_is_dead_after_its_attempts(
    manager: PoolManager, swarm: Swarm, tmp_path: Path
) -> None:
    manager.start("coder", 1, plan=PLAN)
    work = Work(tmp_path, swarm, max_attempts=2)
    for attempt in (1, 2):
        os.kill(work.await_attempts(attempt), signal.SIGKILL)
    with pytest.raises(TaskFailedError, match="the worker died 2 times"):
        swarm.tasks.wait(work.id, PATIENCE)
    assert len(work.pids()) == 2
    # Nobody who had it can say so: the next process does.
    wait_until(lambda: swarm.agents.state("coder").accepted == 1, PATIENCE, "the failure to be reported")
    wait_until(lambda: not swarm.tasks.unreported("coder"), PATIENCE, "the note of it to be gone")
    [(_, outcome)] = swarm.outcomes("coder").read_after("0-0", 10)
    assert decode_trajectory(outcome).quality == 0.0
    assert swarm.receipt("coder", work.id).state == "accepted"
    assert work.open_trajectories() == 0
    assert swarm.tasks.wait(swarm.submit("the next", role="coder").id, PATIENCE)["attempt"] == 1


def test_redis_killed_in_the_middle_of_a_task_loses_nothing(
    settings: Settings, own_redis: PrivateRedis, tmp_path: Path
) -> None:
    mine = settings.model_copy(update={"redis_url": own_redis.url, "lease_ttl": 5.0})
    with PoolManager(mine) as manager, connect(mine) as client:
        manager.start("coder", 1, plan=PLAN)
        swarm = make_swarm(mine, client)
        work = Work(tmp_path, swarm)
        work.await_attempts(1)
        wait_until(lambda: swarm.tasks.find(work.id).status.note == "half way", PATIENCE, "the progress to be seen")
        own_redis.kill()
        work.open_gate()
        own_redis.start()
        result = swarm.tasks.wait(work.id, PATIENCE)
        assert result["text"] == "rename a column"
        wait_until(lambda: swarm.agents.state("coder").accepted == 1, PATIENCE, "the outcome")
        assert counts(swarm).succeeded == 1


def test_what_is_over_its_time_is_ended_by_force_and_the_pool_goes_on(manager: PoolManager, swarm: Swarm) -> None:
    manager.start("coder", 1, plan=PLAN)
    endless = swarm.submit("x", role="coder", payload={"do": "go on for ever"}, time_limit=0.5, max_attempts=1)
    with pytest.raises(TaskFailedError, match=r"time limit of 0\.5 s"):
        swarm.tasks.wait(endless.id, PATIENCE)
    assert swarm.tasks.wait(swarm.submit("the next", role="coder").id, PATIENCE)["attempt"] == 1


@pytest.mark.parametrize("how", ["go on until stopped", "go on for ever"])
def test_a_cancelled_task_stops_whether_or_not_its_handler_listens(
    manager: PoolManager, swarm: Swarm, how: str
) -> None:
    manager.start("coder", 1, plan=PLAN)
    task = swarm.submit("x", role="coder", payload={"do": how}).id
    wait_until(lambda: swarm.tasks.find(task).status.fraction > 0.0, PATIENCE, "the task to begin")
    assert swarm.tasks.cancel(task, "not wanted") is TaskState.RUNNING
    with pytest.raises(TaskFailedError, match="is cancelled: not wanted"):
        swarm.tasks.wait(task, PATIENCE)
    assert swarm.tasks.wait(swarm.submit("the next", role="coder").id, PATIENCE)["attempt"] == 1
    assert swarm.agents.state("coder").accepted == 1


def test_nudges_that_the_broker_loses_cost_delay_only(
    manager: PoolManager, swarm: Swarm, client: Client, settings: Settings
) -> None:
    keys = SwarmKeys(settings.name)
    queue = keys.broker_prefix + keys.role_queue("coder")
    manager.start("coder", 1, plan=PLAN)
    stop_consuming(settings, "coder", "coder")
    wait_until(lambda: manager.list()[0].status == "draining", PATIENCE, "the pool to take no more tasks")
    task = swarm.submit("x", role="coder").id
    wait_until(lambda: client.llen(queue) == 1, PATIENCE, "the nudge")
    client.delete(queue)
    assert manager.start("coder", 1, plan=PLAN).status == "running"
    assert swarm.tasks.wait(task, PATIENCE)["attempt"] == 1


def test_waiting_tasks_without_a_pool_gather_no_more_nudges_than_the_bound(
    manager: PoolManager, swarm: Swarm, client: Client, settings: Settings
) -> None:
    keys = SwarmKeys(settings.name)
    queue = keys.broker_prefix + keys.role_queue("coder")
    for _ in range(50):
        swarm.submit("x", role="coder")
    manager.start("main", 1)
    wait_until(lambda: client.llen(queue) > 0, PATIENCE, "the nudges")
    before = manager.list()[0].beat_s
    wait_until(lambda: manager.list()[0].beat_s > before, PATIENCE, "more sweeps")
    assert client.llen(queue) == 32
    assert manager.list()[0].fault == ""


def test_a_pool_has_one_role_and_is_not_taken_for_another(manager: PoolManager) -> None:
    manager.start("coder", 1, plan=PLAN)
    with pytest.raises(InputError, match="does the tasks of role coder: stop it first"):
        manager.start("coder", 1, plan=RolePlan(role="tester", handlers=("role_handlers",)))
    assert manager.start("coder", 2).concurrency == 2
    assert manager.stop("coder") is True


def test_handlers_that_cannot_be_loaded_keep_the_pool_from_starting(manager: PoolManager) -> None:
    with pytest.raises(RuntimeSetupError, match=r"(?s)'coder' has ended.*cannot import the handlers 'no_such_module'"):
        manager.start("coder", 1, plan=RolePlan(role="coder", handlers=("no_such_module",)))
    with pytest.raises(RuntimeSetupError, match=r"(?s)'tester' has ended.*no handler for role 'tester'"):
        manager.start("tester", 1, plan=RolePlan(role="tester", handlers=("role_handlers",)))
    assert manager.list() == []
