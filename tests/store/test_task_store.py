"""The ledger of tasks beside a plain model: nothing is lost, nothing ends twice, turns are fair, bounds hold."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import msgpack
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from support import wait_until
from swarm_support import present

from swarm.errors import DamagedRecordError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store import task_scripts
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm.store.tallies import read_replayed
from swarm.store.tasks import Hold, RoleCounts, TaskStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.task_records import (
    TaskRecord,
    TaskState,
    decode_result,
    encode_result,
    encode_task,
    task_id,
)

OF_ROLE, OF_SUBMITTER = 8, 5
LEASE = 60.0
SUBMITTERS = ("", "a", "ab")
SCRIPTS = {
    name: text
    for name, text in vars(task_scripts).items()
    if name.isupper() and not name.startswith("_") and name != "TELL"
}
STATES = ("waiting", "retrying", "running", "succeeded", "dead", "cancelled", "dropped")


def make_store(client: Client, keys: SwarmKeys, *, ttl: float = 600.0, of_role: int = OF_ROLE) -> TaskStore:
    return TaskStore(client, keys, max_of_role=of_role, max_of_submitter=OF_SUBMITTER, ttl=ttl)


@pytest.fixture
def tasks(client: Client, keys: SwarmKeys) -> TaskStore:
    return make_store(client, keys)


def record(**values: Any) -> TaskRecord:
    given: dict[str, Any] = {"role": "coder", "text": "a task", "backoff": 0.0}
    return TaskRecord(**given | values)


def submit(tasks: TaskStore, one: TaskRecord | None = None) -> str:
    one = one or record()
    name = task_id(one.role, one.idempotency_key)
    assert not tasks.submit(name, one, encode_task(one)).refused_by
    return name


def claim(tasks: TaskStore, token: str = "token", lease: float = LEASE, role: str = "coder") -> str | None:
    found = tasks.claim(role, token, "worker-1", lease)
    return None if found is None else found.id


def state(tasks: TaskStore, task: str) -> TaskState | None:
    found = tasks.find(task)
    return None if found is None else found.status.state


def counts(tasks: TaskStore) -> RoleCounts:
    (found,) = tasks.counts()
    return found


class Clock:
    """Lets the times that are written in Redis pass, because nobody can turn Redis's clock."""

    def __init__(self, client: Client, keys: SwarmKeys) -> None:
        self._client, self._keys = client, keys

    def lease_is_over(self, task: str) -> None:
        self._pass(self._keys.running, task)

    def is_due(self, task: str) -> None:
        self._pass(self._keys.later, task)

    def deadline_is_over(self, task: str) -> None:
        packed = self._client.hget(self._keys.live_tasks, task)
        assert isinstance(packed, bytes)
        kind, version, values = msgpack.unpackb(packed)
        self._client.hset(self._keys.live_tasks, task, msgpack.packb([kind, version, values | {"deadline": 1.0}]))
        self._client.zadd(self._keys.deadlines, {task: 1.0})

    def death_is_long_ago(self, task: str) -> None:
        self._pass(self._keys.dead_tasks, task)

    def _pass(self, key: str, task: str) -> None:
        assert self._client.zscore(key, task) is not None
        self._client.zadd(key, {task: 1.0})


@pytest.fixture
def clock(client: Client, keys: SwarmKeys) -> Clock:
    return Clock(client, keys)


def test_what_ends_in_nobody_s_hands_after_it_was_begun_waits_for_a_report(
    tasks: TaskStore, clock: Clock, client: Client, keys: SwarmKeys
) -> None:
    died, late, fresh, cancelled, told = (submit(tasks, record(max_attempts=1)) for _ in range(5))
    for token in ("died", "late"):
        assert claim(tasks, token) in (died, late)
    clock.lease_is_over(died)
    for name in (late, fresh):
        clock.deadline_is_over(name)
    tasks.sweep()
    assert tasks.unreported("coder", 10) == [died, late], "nobody had begun the fresh one"
    assert claim(tasks, "cancelled") == cancelled
    tasks.cancel(cancelled, "not wanted")
    clock.lease_is_over(cancelled)
    tasks.sweep()
    assert claim(tasks, "told") == told
    tasks.fail(told, "told", "it broke", again=False)
    assert tasks.unreported("coder", 10) == [died, late, cancelled], "a worker reports itself what it ends"
    assert tasks.waiting() == {"coder": 1}, "something is to be reported"
    tasks.report_later("coder", died, 100.0)
    tasks.reported("coder", late)
    assert tasks.unreported("coder", 10) == [cancelled]
    tasks.replay(late, 0)
    claim(tasks, "again")
    clock.lease_is_over(late)
    tasks.sweep()
    assert tasks.unreported("coder", 10) == [cancelled, f"{late}.1"]
    client.zadd(keys.unreported("coder"), {cancelled: tasks.now_s() - 601.0})
    tasks.replay(late, 1)
    claim(tasks, "once more")
    clock.lease_is_over(late)
    tasks.sweep()
    assert tasks.unreported("coder", 10) == [f"{late}.1", f"{late}.2"], "older than a receipt"


# The model


@dataclass
class Modelled:
    """A task as the plain model sees it."""

    submitter: str
    priority: int
    number: int
    max_attempts: int
    backoff: float
    state: str = "waiting"
    attempts: int = 0
    token: str = ""
    is_cancelled: bool = False
    is_overdue: bool = False
    lease_over: bool = False
    is_due: bool = False
    result: int | None = None


class Model:
    """What the ledger should do, with lists and dictionaries."""

    def __init__(self) -> None:
        self.tasks: dict[str, Modelled] = {}
        self.dropped = 0
        self.submitted = 0
        self.now = 0.0
        self.turn: dict[str, float] = {}

    def ids(self, *states: str) -> list[str]:
        return [name for name, task in self.tasks.items() if not states or task.state in states]

    def refused_by(self, submitter: str) -> str:
        if len(self.ids("waiting", "retrying")) >= OF_ROLE:
            return "role"
        mine = [name for name in self.ids("waiting") if self.tasks[name].submitter == submitter]
        return "submitter" if len(mine) >= OF_SUBMITTER else ""

    def enqueue(self, name: str) -> None:
        task = self.tasks[name]
        task.state = "waiting"
        self.turn[task.submitter] = max(self.now, self.turn.get(task.submitter, 0.0))

    def next(self) -> str | None:
        waiting = self.ids("waiting")
        if not waiting:
            return None
        submitter = min((self.tasks[name].submitter for name in waiting), key=lambda one: (self.turn[one], one))
        mine = [name for name in waiting if self.tasks[name].submitter == submitter]
        return min(mine, key=lambda name: (-self.tasks[name].priority, self.tasks[name].number))

    def claim(self, token: str) -> str | None:
        while (name := self.next()) is not None and self.tasks[name].is_overdue:
            self.tasks[name].state = "dead"
        if name is None:
            self.turn.clear()
            return None
        task = self.tasks[name]
        self.now = self.turn[task.submitter]
        self.turn[task.submitter] += 1.0
        task.state, task.token, task.attempts, task.lease_over = "running", token, task.attempts + 1, False
        return name

    def fail(self, name: str, again: bool, why_retry: bool = True) -> None:
        task = self.tasks[name]
        if task.is_cancelled:
            task.state = "cancelled"
        elif not again or task.attempts >= task.max_attempts:
            task.state = "dead"
        elif task.backoff == 0.0 or not why_retry:
            self.enqueue(name)
        else:
            task.state, task.is_due = "retrying", False

    def sweep(self) -> None:
        for name, task in self.tasks.items():
            if task.state in ("waiting", "retrying", "running") and task.is_overdue:
                task.state, task.token = "dead", ""
            elif task.state == "running" and task.lease_over:
                task.token = ""
                self.fail(name, again=True, why_retry=False)
            elif task.state == "retrying" and task.is_due:
                self.enqueue(name)


class LedgerMachine(RuleBasedStateMachine):
    """Drives the ledger and the model side by side."""

    make: ClassVar[Callable[[], Client]]

    def __init__(self) -> None:
        super().__init__()
        self.client = type(self).make()
        self.keys = SwarmKeys(f"t-{uuid.uuid4().hex[:12]}")
        self.tasks, self.clock = make_store(self.client, self.keys), Clock(self.client, self.keys)
        self.model = Model()
        self.tokens: list[tuple[str, str]] = []

    def teardown(self) -> None:
        erase_swarm(self.client, self.keys)
        self.client.close()

    def pick(self, data: st.DataObject, *states: str) -> str:
        return data.draw(st.sampled_from(self.model.ids(*states)))

    def pick_token(self, data: st.DataObject) -> tuple[str, str]:
        """Any token that there ever was, most often one of those that may still hold."""
        held = [pair for pair in self.tokens if pair[0] in self.model.ids("running")]
        return data.draw(st.sampled_from(held) | st.sampled_from(self.tokens) if held else st.sampled_from(self.tokens))

    @rule(
        submitter=st.sampled_from(SUBMITTERS),
        priority=st.integers(0, 9),
        max_attempts=st.integers(1, 3),
        backoff=st.sampled_from([0.0, 1000.0]),
        key=st.sampled_from(["", "", "", "one", "two"]),
    )
    def submit(self, submitter: str, priority: int, max_attempts: int, backoff: float, key: str) -> None:
        one = record(
            submitter=submitter,
            priority=priority,
            max_attempts=max_attempts,
            backoff=backoff,
            max_backoff=backoff,
            idempotency_key=key,
        )
        name = task_id("coder", key)
        is_known, refused_by = name in self.model.tasks, self.model.refused_by(submitter)
        answer = self.tasks.submit(name, one, encode_task(one))
        if is_known:
            assert (answer.is_new, answer.refused_by) == (False, "")
        elif refused_by:
            assert (answer.is_new, answer.refused_by) == (False, refused_by)
            assert 0.05 <= answer.number <= 60.0
            assert self.tasks.find(name) is None
        else:
            assert (answer.is_new, answer.refused_by) == (True, "")
            self.model.submitted += 1
            self.model.tasks[name] = Modelled(submitter, priority, self.model.submitted, max_attempts, backoff)
            self.model.enqueue(name)

    @rule(times=st.integers(1, 3))
    def claim(self, times: int) -> None:
        for _ in range(times):
            self.claim_one()

    def claim_one(self) -> None:
        token = uuid.uuid4().hex
        expected = self.model.claim(token)
        assert claim(self.tasks, token) == expected
        if expected is not None:
            assert claim(self.tasks, token) == expected, "the same token must get the same task"
            self.tokens.append((expected, token))

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), fraction=st.sampled_from([None, 0.0, 0.5]))
    def renew(self, data: st.DataObject, fraction: float | None) -> None:
        name, token = self.pick_token(data)
        task = self.model.tasks.get(name)
        answer = self.tasks.renew(name, token, LEASE, fraction, "half way")
        if task is None or task.state != "running" or task.token != token:
            assert answer is Hold.LOST
        elif task.is_cancelled:
            assert answer is Hold.CANCELLED
        else:
            assert answer is Hold.RUNNING
            task.lease_over = False

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), number=st.integers(0, 99))
    def succeed(self, data: st.DataObject, number: int) -> None:
        name, token = self.pick_token(data)
        task = self.model.tasks.get(name)
        answer = self.tasks.succeed(name, token, encode_result(number))
        if task is None or not token or task.token != token or task.state in ("waiting", "retrying"):
            assert answer is None
        elif task.state != "running":
            assert answer == task.state
        elif task.is_cancelled:
            assert answer is TaskState.CANCELLED
            task.state = "cancelled"
        else:
            assert answer is TaskState.SUCCEEDED
            task.state, task.result = "succeeded", number

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), again=st.booleans())
    def fail(self, data: st.DataObject, again: bool) -> None:
        name, token = self.pick_token(data)
        task = self.model.tasks.get(name)
        answer = self.tasks.fail(name, token, "it broke", again=again)
        if task is None or task.token != token:
            assert answer is None
        else:
            if task.state == "running":
                self.model.fail(name, again)
            assert answer == task.state

    @precondition(lambda self: self.model.tasks)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = self.pick(data)
        task = self.model.tasks[name]
        if task.state == "running":
            task.is_cancelled = True
        elif task.state in ("waiting", "retrying"):
            task.state = "cancelled"
        assert self.tasks.cancel(name, "not wanted") == task.state

    @precondition(lambda self: self.model.ids("running"))
    @rule(data=st.data(), then_sweep=st.booleans())
    def let_a_lease_run_out(self, data: st.DataObject, then_sweep: bool) -> None:
        name = self.pick(data, "running")
        self.clock.lease_is_over(name)
        self.model.tasks[name].lease_over = True
        if then_sweep:
            self.sweep()

    @precondition(lambda self: self.model.ids("retrying"))
    @rule(data=st.data(), then_sweep=st.booleans())
    def let_a_back_off_pass(self, data: st.DataObject, then_sweep: bool) -> None:
        name = self.pick(data, "retrying")
        self.clock.is_due(name)
        self.model.tasks[name].is_due = True
        if then_sweep:
            self.sweep()

    @precondition(lambda self: self.model.ids("waiting", "retrying", "running"))
    @rule(data=st.data(), then_sweep=st.booleans())
    def let_a_deadline_pass(self, data: st.DataObject, then_sweep: bool) -> None:
        name = self.pick(data, "waiting", "retrying", "running")
        self.clock.deadline_is_over(name)
        self.model.tasks[name].is_overdue = True
        if then_sweep:
            self.sweep()

    @rule()
    def sweep(self) -> None:
        before = {name: task.state for name, task in self.model.tasks.items()}
        # The ledger tends leases, back-offs and deadlines in this order; the model in any, as far as turns allow.
        swept = self.tasks.sweep()
        self.model.sweep()
        after = {name: task.state for name, task in self.model.tasks.items()}
        assert swept == {name: state for name, state in after.items() if state != before[name]}

    @precondition(lambda self: self.model.ids("dead"))
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        name = self.pick(data, "dead")
        task = self.model.tasks[name]
        refused_by = self.model.refused_by(task.submitter)
        before = present(self.tasks.find(name)).status.replays
        answer = self.tasks.replay(name, before)
        assert answer is not None
        assert answer.refused_by == refused_by
        if not refused_by:
            task.attempts, task.token, task.is_overdue, task.is_cancelled = 0, "", False, False
            self.model.enqueue(name)

    @precondition(lambda self: self.model.ids("dead"))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        name = self.pick(data, "dead")
        assert self.tasks.drop(name)
        assert self.tasks.drop(name), "a second one finds it gone"
        del self.model.tasks[name]
        self.model.dropped += 1

    @invariant()
    def every_task_is_where_the_model_has_it(self) -> None:
        for name, task in self.model.tasks.items():
            found = self.tasks.find(name)
            assert found is not None
            assert (found.status.state, found.status.attempts) == (task.state, task.attempts)
            assert found.record.submitter == task.submitter
            assert found.status.is_cancelled == task.is_cancelled
            assert (None if found.result is None else decode_result(found.result)) == task.result

    @invariant()
    def the_counts_are_those_of_the_model_and_sum_to_what_was_submitted(self) -> None:
        if not self.model.submitted:
            assert self.tasks.counts() == ()
            return
        found = counts(self.tasks)
        expected = {name: len(self.model.ids(name)) for name in STATES} | {"dropped": self.model.dropped}
        assert {name: getattr(found, name) for name in STATES} == expected
        assert found.submitted == self.model.submitted
        assert found.lost == 0
        assert (found.oldest_waiting_s is None) == (found.waiting == 0)

    @invariant()
    def no_index_holds_what_is_not_there(self) -> None:
        keys, client = self.keys, self.client
        live = self.model.ids("waiting", "retrying", "running")
        running = {name.encode() for name in self.model.ids("running")}
        assert set(client.hkeys(keys.live_tasks)) == set(client.hkeys(keys.task_records)) == {n.encode() for n in live}
        assert set(client.zrange(keys.running, 0, -1)) == set(client.hvals(keys.claims)) == running
        assert set(client.zrange(keys.later, 0, -1)) == {name.encode() for name in self.model.ids("retrying")}
        assert set(client.zrange(keys.queued("coder"), 0, -1)) == {n.encode() for n in self.model.ids("waiting")}
        assert client.zcard(keys.waiting("coder")) == len(self.model.ids("waiting"))
        assert set(self.tasks.dead(100)) == set(self.model.ids("dead"))
        assert set(client.zrange(keys.deadlines, 0, -1)) <= {name.encode() for name in live}


def test_the_ledger_does_what_a_plain_model_does(settings: Settings) -> None:
    class Machine(LedgerMachine):
        make = staticmethod(lambda: connect(settings))

    run_state_machine_as_test(
        Machine,
        settings=hypothesis_settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


# Turns


def drain(tasks: TaskStore) -> list[str]:
    """Claim and finish all that waits; the submitters in the order of their turns."""
    order = []
    while (found := tasks.claim("coder", "token", "worker-1", LEASE)) is not None:
        order.append(found.record.submitter)
        assert tasks.succeed(found.id, "token", encode_result(None)) is TaskState.SUCCEEDED
    return order


def test_submitters_with_tasks_waiting_take_turns_whatever_their_priorities(client: Client, keys: SwarmKeys) -> None:
    tasks = TaskStore(client, keys, max_of_role=1000, max_of_submitter=1000, ttl=600.0)
    for _ in range(100):
        submit(tasks, record(submitter="noisy", priority=9))
    for _ in range(10):
        submit(tasks, record(submitter="quiet", priority=0))
    assert drain(tasks) == ["noisy", "quiet"] * 10 + ["noisy"] * 90


def test_who_comes_late_is_served_soon_and_has_no_credit_for_the_time_before(client: Client, keys: SwarmKeys) -> None:
    tasks = TaskStore(client, keys, max_of_role=1000, max_of_submitter=1000, ttl=600.0)
    for _ in range(30):
        submit(tasks, record(submitter="first"))
    for number in range(20):
        claim(tasks, f"token-{number}")
    for _ in range(5):
        submit(tasks, record(submitter="late"))
    order = drain(tasks)
    assert order[:10].count("late") == 5
    assert not any(order[place] == order[place + 1] == "late" for place in range(9))


def test_one_task_at_a_time_is_no_way_to_overtake(tasks: TaskStore) -> None:
    # Forgotten as soon as it has nothing waiting, a submitter would be new each time, and new ones come next.
    for _ in range(4):
        submit(tasks, record(submitter="patient"))
    order = []
    for number in range(8):
        submit(tasks, record(submitter="hasty"))
        found = tasks.claim("coder", f"token-{number}", "worker-1", LEASE)
        assert found is not None
        order.append(found.record.submitter)
    assert order.count("patient") == 4


def test_priorities_and_then_the_order_of_submission_decide_among_the_tasks_of_one_submitter(tasks: TaskStore) -> None:
    names = [submit(tasks, record(priority=priority)) for priority in (0, 5, 9, 5, 9)]
    order = [claim(tasks, f"token-{number}") for number in range(5)]
    assert order == [names[place] for place in (2, 4, 1, 3, 0)]


def test_roles_have_queues_of_their_own(tasks: TaskStore) -> None:
    coder, tester = submit(tasks), submit(tasks, record(role="tester"))
    assert claim(tasks, "one", role="tester") == tester
    assert claim(tasks, "two", role="tester") is None
    assert claim(tasks, "three") == coder
    assert [(found.role, found.running) for found in tasks.counts()] == [("coder", 1), ("tester", 1)]


# Many at once


def test_each_task_is_claimed_once_however_many_claim(settings: Settings, client: Client, keys: SwarmKeys) -> None:
    tasks = TaskStore(client, keys, max_of_role=1000, max_of_submitter=1000, ttl=600.0)
    names = {submit(tasks) for _ in range(200)}

    def work(number: int) -> list[str]:
        with connect(settings) as mine:
            store = make_store(mine, keys)
            claimed: list[str] = []
            while (name := claim(store, f"{number}-{len(claimed)}")) is not None:
                claimed.append(name)
            return claimed

    with ThreadPoolExecutor(8) as executor:
        claimed = [name for names in executor.map(work, range(8)) for name in names]
    assert len(claimed) == 200
    assert set(claimed) == names


def test_one_key_at_once_from_many_is_one_task(settings: Settings, client: Client, keys: SwarmKeys) -> None:
    one = record(idempotency_key="the key")

    def post(_: int) -> bool:
        with connect(settings) as mine:
            return make_store(mine, keys).submit(task_id("coder", "the key"), one, encode_task(one)).is_new

    with ThreadPoolExecutor(16) as executor:
        assert sum(executor.map(post, range(64))) == 1
    assert counts(make_store(client, keys)).submitted == 1


# Leases and attempts


def test_a_lease_that_ran_out_gives_the_task_to_another_and_the_first_can_change_nothing(
    tasks: TaskStore, client: Client, keys: SwarmKeys
) -> None:
    name = submit(tasks)
    assert claim(tasks, "first", lease=0.05) == name
    wait_until(lambda: tasks.sweep() == {name: "waiting"}, 30.0, "the lease to run out")
    assert claim(tasks, "second") == name
    before = everything(client, keys)
    assert tasks.renew(name, "first", LEASE, 0.5, "note") is Hold.LOST
    assert tasks.succeed(name, "first", encode_result("wrong")) is None
    assert tasks.fail(name, "first", "wrong", again=True) is None
    assert tasks.fail(name, "first", "wrong", again=False) is None
    assert everything(client, keys) == before
    assert tasks.succeed(name, "second", encode_result("right")) is TaskState.SUCCEEDED
    before = everything(client, keys)
    for token in ("first", "third", ""):
        assert tasks.succeed(name, token, encode_result("wrong")) is None
        assert tasks.fail(name, token, "wrong", again=True) is None
        assert tasks.renew(name, token, LEASE) is Hold.LOST
    assert tasks.cancel(name, "late") is TaskState.SUCCEEDED
    assert everything(client, keys) == before


def everything(client: Client, keys: SwarmKeys) -> dict[bytes, object]:
    """Every key of the swarm with its content."""
    return {key: client.dump(key) for key in client.scan_iter(match=keys.patterns[0])}


def test_nothing_is_tended_before_it_is_due(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    # A sweep looks and then tends; between the two a lease may have been renewed.
    held, waiting, later = submit(tasks), submit(tasks), submit(tasks, record(priority=9, backoff=1000.0))
    assert claim(tasks, "later") == later
    tasks.fail(later, "later", "it broke", again=True)
    assert claim(tasks) == held
    before = everything(client, keys)
    assert [tasks.tend(name) for name in (held, waiting, later, task_id("coder"))] == ["", "", "", ""]
    assert everything(client, keys) == before


def test_a_cancelled_task_is_told_so_and_its_lease_is_not_renewed(
    tasks: TaskStore, client: Client, keys: SwarmKeys, clock: Clock
) -> None:
    name = submit(tasks)
    claim(tasks)
    tasks.cancel(name, "not wanted")
    before = everything(client, keys)
    assert tasks.renew(name, "token", LEASE, 0.5, "note") is Hold.CANCELLED
    assert everything(client, keys) == before
    clock.lease_is_over(name)
    assert tasks.sweep() == {name: "cancelled"}


def test_after_its_deadline_a_running_task_is_dead_and_its_worker_has_lost_it(tasks: TaskStore, clock: Clock) -> None:
    name = submit(tasks)
    claim(tasks)
    clock.deadline_is_over(name)
    assert tasks.sweep() == {name: "dead"}
    assert tasks.renew(name, "token", LEASE) is Hold.LOST
    assert tasks.succeed(name, "token", encode_result("too late")) is None
    assert tasks.fail(name, "token", "too late", again=True) is None
    assert state(tasks, name) is TaskState.DEAD


def test_a_renewed_lease_does_not_run_out(tasks: TaskStore, clock: Clock) -> None:
    name = submit(tasks)
    claim(tasks)
    clock.lease_is_over(name)
    assert tasks.renew(name, "token", LEASE) is Hold.RUNNING
    assert tasks.sweep() == {}


def test_a_task_whose_workers_keep_dying_is_dead_after_its_attempts(tasks: TaskStore, clock: Clock) -> None:
    name = submit(tasks, record(max_attempts=3))
    for attempt in range(3):
        assert state(tasks, name) is TaskState.WAITING
        assert claim(tasks, f"token-{attempt}") == name
        clock.lease_is_over(name)
        tasks.sweep()
    found = tasks.find(name)
    assert found is not None
    assert (found.status.state, found.status.why) == (TaskState.DEAD, "the worker died 3 times")


def test_the_back_off_doubles_up_to_its_bound(tasks: TaskStore, clock: Clock, client: Client, keys: SwarmKeys) -> None:
    name = submit(tasks, record(backoff=10.0, max_backoff=35.0, max_attempts=5))
    pauses = []
    for attempt in range(4):
        assert claim(tasks, f"token-{attempt}") == name
        now_s = tasks.now_s()
        assert tasks.fail(name, f"token-{attempt}", "it broke", again=True) is TaskState.RETRYING
        pauses.append(present(client.zscore(keys.later, name)) - now_s)
        clock.is_due(name)
        assert tasks.sweep() == {name: "waiting"}
        assert (counts(tasks).waiting, counts(tasks).retrying, client.zcard(keys.later)) == (1, 0, 0)
    assert pauses == pytest.approx([10.0, 20.0, 35.0, 35.0], abs=1.0)


def test_a_delay_takes_the_place_of_the_back_off(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    name = submit(tasks, record(backoff=10.0))
    claim(tasks)
    assert tasks.fail(name, "token", "not yet", again=True, delay=500.0) is TaskState.RETRYING
    assert present(client.zscore(keys.later, name)) - tasks.now_s() == pytest.approx(500.0, abs=1.0)


def test_a_task_past_its_deadline_is_not_given_out_even_before_a_sweep(tasks: TaskStore, clock: Clock) -> None:
    late, good = submit(tasks, record(priority=9)), submit(tasks)
    clock.deadline_is_over(late)
    assert claim(tasks) == good
    found = tasks.find(late)
    assert found is not None
    assert (found.status.state, found.status.why) == (TaskState.DEAD, "deadline")


def test_a_cancellation_does_not_outlive_a_replay(tasks: TaskStore, clock: Clock) -> None:
    name = submit(tasks)
    claim(tasks, "first")
    assert tasks.cancel(name, "not wanted") is TaskState.RUNNING
    clock.deadline_is_over(name)
    assert tasks.sweep() == {name: "dead"}
    tasks.replay(name, 0)
    assert claim(tasks, "second") == name
    assert tasks.renew(name, "second", LEASE) is Hold.RUNNING
    assert tasks.succeed(name, "second", encode_result("done")) is TaskState.SUCCEEDED


def test_a_replay_is_counted_once(tasks: TaskStore, clock: Clock, client: Client, keys: SwarmKeys) -> None:
    name = submit(tasks)
    clock.deadline_is_over(name)
    assert tasks.sweep() == {name: "dead"}
    assert read_replayed(client, keys) == {}
    for _ in range(2):
        tasks.replay(name, 0)
    assert read_replayed(client, keys) == {"coder": 1}


def test_a_deadline_that_has_passed_is_refused(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    one = record(deadline=1000.0)
    answer = tasks.submit(task_id("coder"), one, encode_task(one))
    assert answer.refused_by == "deadline"
    assert answer.number == pytest.approx(tasks.now_s(), abs=5.0)
    assert everything(client, keys) == {}


def test_progress_is_kept_until_the_next_attempt(tasks: TaskStore) -> None:
    name = submit(tasks)
    claim(tasks, "first")
    assert tasks.renew(name, "first", LEASE, 0.25, "a quarter") is Hold.RUNNING
    assert tasks.renew(name, "first", LEASE) is Hold.RUNNING
    found = tasks.find(name)
    assert found is not None
    assert (found.status.fraction, found.status.note, found.status.worker) == (0.25, "a quarter", "worker-1")
    tasks.fail(name, "first", "it broke", again=True)
    claim(tasks, "second")
    found = tasks.find(name)
    assert found is not None
    assert (found.status.fraction, found.status.note, found.status.attempts) == (0.0, "", 2)


def test_a_task_of_which_the_record_cannot_be_read_is_dead_and_the_next_is_given_out(
    tasks: TaskStore, client: Client, keys: SwarmKeys
) -> None:
    broken, good = submit(tasks, record(priority=9)), submit(tasks)
    client.hset(keys.task_records, broken, b"\xc1 no record")
    with pytest.raises(DamagedRecordError):
        tasks.find(broken)
    assert claim(tasks) == good
    assert tasks.dead(10) == [broken]
    found = present(tasks.find(broken))
    assert (found.record.role, found.record.text, found.status.state) == ("coder", "", TaskState.DEAD)
    assert found.status.why.startswith("DamagedRecordError: task record")
    assert tasks.drop(broken)


# Bounds


def test_when_to_try_again_comes_from_how_fast_tasks_have_ended(
    tasks: TaskStore, client: Client, keys: SwarmKeys
) -> None:
    for number in range(OF_ROLE):
        submit(tasks, record(submitter=f"agent-{number % 4}"))
    client.hset(keys.pace("coder"), mapping={"gap": 2.5, "ended": tasks.now_s()})
    one = record(submitter="agent-0")
    answer = tasks.submit(task_id("coder"), one, encode_task(one))
    assert answer.refused_by == "role"
    assert answer.number == pytest.approx(2.5, abs=0.5)
    # Nothing has ended for longer than that: then this is the pace.
    client.hset(keys.pace("coder"), "ended", tasks.now_s() - 30.0)
    assert tasks.submit(task_id("coder"), one, encode_task(one)).number == pytest.approx(30.0, abs=1.0)


def test_a_submitter_s_share_comes_free_at_its_turns(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    for _ in range(OF_SUBMITTER):
        submit(tasks, record(submitter="noisy"))
    submit(tasks, record(submitter="quiet"))
    client.hset(keys.pace("coder"), mapping={"gap": 2.5, "ended": tasks.now_s()})
    one = record(submitter="noisy")
    answer = tasks.submit(task_id("coder"), one, encode_task(one))
    assert answer.refused_by == "submitter"
    assert answer.number == pytest.approx(5.0, abs=1.0)
    submit(tasks, record(submitter="quiet"))


def test_tasks_that_back_off_count_in_the_bound_of_the_role(tasks: TaskStore) -> None:
    for number in range(OF_ROLE):
        name = submit(tasks, record(submitter=f"agent-{number}", backoff=1000.0))
        claim(tasks, f"token-{number}")
        tasks.fail(name, f"token-{number}", "it broke", again=True)
    assert counts(tasks).retrying == OF_ROLE
    assert tasks.submit(task_id("coder"), record(), encode_task(record())).refused_by == "role"


def test_the_pace_is_measured(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    for _ in range(3):
        submit(tasks)
        name = claim(tasks)
        assert name is not None
        tasks.succeed(name, "token", encode_result(1))
    pace = client.hgetall(keys.pace("coder"))
    assert 0.0 < float(pace[b"gap"]) < 5.0
    assert float(pace[b"ended"]) == pytest.approx(tasks.now_s(), abs=5.0)


def test_a_task_that_comes_back_is_never_refused(tasks: TaskStore, clock: Clock) -> None:
    submit(tasks)
    name = claim(tasks)
    assert name is not None
    for number in range(OF_ROLE):
        submit(tasks, record(submitter=f"agent-{number}"))
    clock.lease_is_over(name)
    assert tasks.sweep() == {name: "waiting"}
    assert counts(tasks).waiting == OF_ROLE + 1


# Lifetimes


def test_what_has_ended_well_expires_and_its_key_can_be_used_again(client: Client, keys: SwarmKeys) -> None:
    tasks = make_store(client, keys, ttl=0.05)
    name = submit(tasks, record(idempotency_key="key"))
    claim(tasks)
    tasks.succeed(name, "token", encode_result("x"))
    wait_until(lambda: tasks.find(name) is None, 30.0, "the task to expire")
    assert submit(tasks, record(idempotency_key="key")) == name
    assert state(tasks, name) is TaskState.WAITING


def test_what_waits_or_is_dead_does_not_expire_by_itself(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    name = submit(tasks)
    assert {client.ttl(key) for key in client.scan_iter(match=keys.patterns[0])} == {-1}
    claim(tasks)
    tasks.fail(name, "token", "it broke", again=False)
    assert client.ttl(keys.task(name)) == -1
    live = submit(tasks)
    assert tasks.cancel(live, "not wanted") is TaskState.CANCELLED
    assert 500 < client.ttl(keys.task(live)) <= 600


def test_a_dead_task_is_dropped_after_the_lifetime_of_a_receipt_and_counted(tasks: TaskStore, clock: Clock) -> None:
    name = submit(tasks)
    claim(tasks)
    tasks.fail(name, "token", "it broke", again=False)
    assert tasks.sweep() == {}
    clock.death_is_long_ago(name)
    assert tasks.sweep() == {name: "dropped"}
    assert tasks.find(name) is None
    assert (counts(tasks).dropped, counts(tasks).dead, counts(tasks).lost) == (1, 0, 0)


# Form


@pytest.mark.parametrize("script", SCRIPTS, ids=SCRIPTS.keys())
def test_a_script_touches_declared_keys_only(script: str) -> None:
    declared = re.findall(r"local ([\w, ]+) = unpack\(KEYS", SCRIPTS[script])
    names = {name for group in declared for name in group.split(", ")} | {"key"}
    used = re.findall(r"redis\.call\('(\w+)',? ?([^,)]*)", SCRIPTS[script])
    assert len(used) > 20
    assert {key for command, key in used if command != "TIME"} <= names
    assert "KEYS" not in re.sub(r"unpack\(KEYS, \d+, \d+\)", "", SCRIPTS[script]).replace("keys:", "")


def test_all_keys_of_a_script_share_the_swarm_s_tag(tasks: TaskStore, client: Client, keys: SwarmKeys) -> None:
    name = submit(tasks, record(submitter="x}:{y", deadline=tasks.now_s() + 1000.0))
    claim(tasks)
    tasks.fail(name, "token", "it broke", again=False)
    submit(tasks)
    found = list(client.scan_iter(match="*" + keys.swarm + "*"))
    assert len(found) > 8
    assert all(key.startswith(f"{{{keys.swarm}}}:".encode()) for key in found)


def test_without_redis_every_call_is_one_clear_error(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.state_dir}/none.sock"})
    tasks, name = make_store(connect(away), SwarmKeys("s")), task_id("coder")
    calls: list[Callable[[], object]] = [
        lambda: tasks.submit(name, record(), encode_task(record())),
        lambda: tasks.find(name),
        lambda: tasks.cancel(name, "why"),
        lambda: claim(tasks),
        lambda: tasks.renew(name, "token", 1.0),
        lambda: tasks.succeed(name, "token", b""),
        lambda: tasks.fail(name, "token", "why", again=True),
        lambda: tasks.sweep(),
        lambda: tasks.tend(name),
        lambda: tasks.dead(1),
        lambda: tasks.replay(name, 0),
        lambda: tasks.drop(name),
        lambda: tasks.counts(),
        lambda: tasks.waiting(),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailableError, match="cannot "):
            call()
