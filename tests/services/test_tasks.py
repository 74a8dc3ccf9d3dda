"""Tasks as a user meets them: submitted, waited for, cancelled, replayed; bad input is refused, and nothing is kept."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from swarm_support import make_swarm

from swarm.errors import (
    BoundsError,
    CapacityError,
    InputError,
    QueueFullError,
    SwarmError,
    TaskFailedError,
    TextError,
    UnknownIdError,
    WaitTimeoutError,
)
from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask, Tasks
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.tasks import Hold
from swarm.wire.task_records import TaskState, task_id

LEASE = 60.0


@pytest.fixture
def tasks(swarm: Swarm) -> Tasks:
    return swarm.tasks


def claim(tasks: Tasks, role: str = "coder") -> ClaimedTask:
    found = tasks.claim(role, "worker-1", LEASE)
    assert found is not None
    return found


def stored(client: Client, settings: Settings) -> set[bytes]:
    return set(client.scan_iter(match=f"{{{settings.name}*"))


def test_a_task_is_submitted_claimed_done_and_its_result_waited_for(swarm: Swarm) -> None:
    receipt = swarm.submit("rename a column", role="coder", payload={"file": "a.csv"}, submitter="ada", priority=7)
    assert receipt.is_new
    view = swarm.tasks.find(receipt.id)
    assert (view.state, view.status.attempts, view.has_ended) == (TaskState.WAITING, 0, False)
    task = claim(swarm.tasks)
    assert (task.id, task.attempts, task.record) == (receipt.id, 1, view.record)
    assert (task.record.text, task.record.payload, task.record.priority) == ("rename a column", {"file": "a.csv"}, 7)
    assert swarm.tasks.succeed(task, {"rows": 3, "names": ("a", "b")}) is TaskState.SUCCEEDED
    assert swarm.tasks.wait(receipt.id, 0.0) == {"rows": 3, "names": ["a", "b"]}
    view = swarm.tasks.find(receipt.id)
    assert (view.state, view.status.worker, view.status.fraction) == (TaskState.SUCCEEDED, "worker-1", 1.0)
    assert view.status.ended >= view.status.submitted > 0.0


def test_a_task_may_be_a_payload_alone(swarm: Swarm) -> None:
    receipt = swarm.submit({"file": "a.csv", "bytes": b"\xff"}, role="coder")
    task = claim(swarm.tasks)
    assert (task.id, task.record.text, task.record.payload) == (receipt.id, "", {"file": "a.csv", "bytes": b"\xff"})


def test_the_same_key_is_one_task_the_first_also_after_its_end(swarm: Swarm) -> None:
    first = swarm.submit("one", role="coder", idempotency_key="key")
    again = swarm.submit("two", role="coder", idempotency_key="key")
    assert (again.id, again.is_new) == (first.id, False)
    task = claim(swarm.tasks)
    assert task.record.text == "one"
    swarm.tasks.succeed(task, "done")
    assert swarm.submit("three", role="coder", idempotency_key="key").is_new is False
    assert swarm.tasks.claim("coder", "w", LEASE) is None
    assert swarm.submit("four", role="tester", idempotency_key="key").is_new


def test_an_agent_s_task_waits_in_the_queue_of_its_role(swarm: Swarm) -> None:
    swarm.register("ada", "coder")
    swarm.submit("rename a column", agent="ada")
    task = claim(swarm.tasks)
    assert (task.record.role, task.record.agent) == ("coder", "ada")
    with pytest.raises(InputError, match=r"role must be 'coder', the role of agent ada, got 'tester'"):
        swarm.submit("rename a column", agent="ada", role="tester")
    with pytest.raises(UnknownIdError, match=r"agent 'eve' is not registered: give a role"):
        swarm.submit("rename a column", agent="eve")
    assert swarm.submit("rename a column", agent="eve", role="tester").is_new


@pytest.mark.parametrize(
    ("task", "options", "error", "message"),
    [
        ("x", {}, InputError, "role must be given"),
        ("x", {"role": ""}, InputError, "role must be 1-63"),
        ("x", {"role": 7}, InputError, "role must be"),
        ("x", {"agent": "a b"}, InputError, "agent must be"),
        ("", {"role": "coder"}, TextError, "task must hold"),
        (None, {"role": "coder"}, TextError, "task must be text"),
        ({}, {"role": "coder"}, InputError, "task must hold|payload"),
        ({"a": object()}, {"role": "coder"}, InputError, "payload may hold"),
        ({"a": 1}, {"role": "coder", "payload": {}}, InputError, "two payloads"),
        ("x", {"role": "coder", "priority": 10}, BoundsError, r"priority must be in 0\.\.9, got 10"),
        ("x", {"role": "coder", "deadline": 1000.0}, InputError, "deadline must be later than .*, got 1000"),
        ("x", {"role": "coder", "time_limit": 0}, BoundsError, "time_limit must be in"),
        ("x", {"role": "coder", "max_attempts": 0}, BoundsError, "max_attempts must be in"),
        ("x", {"role": "coder", "backoff": -1}, BoundsError, "backoff must be in"),
        ("x", {"role": "coder", "idempotency_key": ""}, InputError, "idempotency_key must be at least 1"),
        ("x", {"role": "coder", "submitter": "a\0"}, InputError, "submitter must be"),
        ("x", {"role": "coder", "urgency": 1}, InputError, "submit has no option urgency"),
        ("x", {"role": "coder", "payload": {"a": b"x" * 9_000_000}}, CapacityError, "payload must fit"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    swarm: Swarm, client: Client, settings: Settings, task: Any, options: Any, error: type[SwarmError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        swarm.submit(task, **options)
    assert "\n" not in str(caught.value)
    assert stored(client, settings) == set()


def test_a_full_queue_says_when_to_come_back_and_takes_nothing(settings: Settings, client: Client) -> None:
    swarm = make_swarm(settings.model_copy(update={"max_waiting_tasks": 3, "max_waiting_of_submitter": 2}), client)
    for _ in range(2):
        swarm.submit("x", role="coder", submitter="noisy")
    with pytest.raises(QueueFullError, match=r"2 tasks of submitter 'noisy' wait for role coder") as caught:
        swarm.submit("x", role="coder", submitter="noisy", idempotency_key="key")
    assert 0.05 <= caught.value.retry_after_s <= 60.0
    swarm.submit("x", role="coder", submitter="quiet")
    with pytest.raises(QueueFullError, match=r"3 tasks wait for role coder \(max_waiting_tasks\); retry in") as caught:
        swarm.submit("x", role="coder", submitter="third")
    assert isinstance(caught.value, CapacityError)
    (counts,) = swarm.tasks.counts()
    assert (counts.submitted, counts.waiting) == (3, 3)
    with pytest.raises(UnknownIdError):
        swarm.tasks.find(task_id("coder", "key"))
    claim(swarm.tasks)
    assert swarm.submit("x", role="coder", submitter="third").is_new


def test_waiting_for_a_task_that_fails_raises_why(swarm: Swarm, tasks: Tasks) -> None:
    receipt = swarm.submit("x", role="coder", max_attempts=1)
    assert tasks.fail(claim(tasks), "no such file", retry=True) is TaskState.DEAD
    with pytest.raises(TaskFailedError, match=f"task {receipt.id} is dead: no such file"):
        tasks.wait(receipt.id)
    other = swarm.submit("x", role="coder")
    tasks.cancel(other.id, "not wanted")
    with pytest.raises(TaskFailedError, match="is cancelled: not wanted"):
        tasks.wait(other.id)


def test_waiting_in_vain_is_a_timeout(swarm: Swarm, tasks: Tasks) -> None:
    receipt = swarm.submit("x", role="coder")
    with pytest.raises(WaitTimeoutError, match=r"is waiting after 0\.05 s") as caught:
        tasks.wait(receipt.id, 0.05)
    assert isinstance(caught.value, TimeoutError)
    assert tasks.find(receipt.id).state is TaskState.WAITING


def test_waiting_sees_a_result_that_comes_meanwhile(swarm: Swarm, settings: Settings) -> None:
    receipt = swarm.submit("x", role="coder")
    answers: list[Any] = []
    waiter = threading.Thread(target=lambda: answers.append(swarm.tasks.wait(receipt.id, 30.0)))
    waiter.start()
    with connect(settings) as other:
        mine = make_swarm(settings, other).tasks
        mine.succeed(claim(mine), "done")
    waiter.join(30.0)
    assert answers == ["done"]


def test_a_worker_learns_of_a_cancellation_and_its_result_is_not_kept(swarm: Swarm, tasks: Tasks) -> None:
    receipt = swarm.submit("x", role="coder")
    task = claim(tasks)
    assert tasks.progress(task, LEASE, 0.5, "half way") is Hold.RUNNING
    assert (tasks.find(receipt.id).status.fraction, tasks.find(receipt.id).status.note) == (0.5, "half way")
    assert tasks.cancel(receipt.id) is TaskState.RUNNING
    assert tasks.find(receipt.id).status.is_cancelled
    assert tasks.renew(task, LEASE) is Hold.CANCELLED
    assert tasks.progress(task, LEASE, 0.6) is Hold.CANCELLED
    assert tasks.succeed(task, "too late") is TaskState.CANCELLED
    view = tasks.find(receipt.id)
    assert (view.state, view.result, view.status.fraction) == (TaskState.CANCELLED, None, 0.5)
    assert tasks.cancel(receipt.id) is TaskState.CANCELLED


def test_dead_tasks_are_listed_shown_replayed_and_dropped(swarm: Swarm, tasks: Tasks) -> None:
    names = [swarm.submit(f"task {number}", role="coder", deadline=time.time() + 1000.0).id for number in range(2)]
    for number in range(2):
        tasks.fail(claim(tasks), f"why {number}", retry=False)
    assert [view.id for view in tasks.dead()] == names[::-1]
    assert [view.status.why for view in tasks.dead(1)] == ["why 1"]
    assert tasks.replay(names[0]).id == names[0]
    assert [view.id for view in tasks.dead()] == [names[1]]
    view = tasks.find(names[0])
    assert (view.state, view.status.attempts, view.status.replays, view.status.deadline) == ("waiting", 0, 1, 0.0)
    task = claim(tasks)
    assert (task.report_key, task.record.text) == (f"{names[0]}.1", "task 0")
    tasks.succeed(task, "done at last")
    assert tasks.wait(names[0]) == "done at last"
    tasks.drop(names[1])
    for call in (tasks.find, tasks.drop, tasks.replay):
        with pytest.raises(UnknownIdError, match="no task"):
            call(names[1])
    for call in (tasks.drop, tasks.replay):
        with pytest.raises(UnknownIdError, match="is not dead: it is succeeded"):
            call(names[0])
    (counts,) = tasks.counts()
    assert (counts.submitted, counts.succeeded, counts.dropped, counts.dead, counts.lost) == (2, 1, 1, 0, 0)


def test_a_replay_and_a_drop_that_are_sent_twice_have_one_effect(tasks: Tasks, swarm: Swarm) -> None:
    name = swarm.submit("x", role="coder").id
    tasks.fail(claim(tasks), "it broke", retry=False)
    for _ in range(2):
        # The second comes from whoever got no answer to the first.
        assert tasks.replay(name, 0).id == name
    assert tasks.find(name).status.replays == 1
    tasks.fail(claim(tasks), "it broke again", retry=False)
    # However late it comes, and though the task is dead again.
    assert tasks.replay(name, 0).id == name
    assert tasks.find(name).state is TaskState.DEAD
    for replays in (2, 5):
        with pytest.raises(UnknownIdError, match="is not dead"):
            tasks.replay(name, replays)
    assert [tasks.store.drop(name), tasks.store.drop(name)] == [True, True]
    (counts,) = tasks.counts()
    assert (counts.submitted, counts.dropped, counts.lost) == (1, 1, 0)
    with pytest.raises(BoundsError, match="replays must be"):
        tasks.replay(name, -1)


def test_tasks_that_name_an_agent_count_for_it_until_they_end(swarm: Swarm, tasks: Tasks) -> None:
    for agent in ("ada", "ada", "bob", None):
        swarm.submit("x", role="coder", agent=agent)  # type: ignore[arg-type]  # None is as if it were not given
    assert tasks.store.assigned("coder") == {"ada": 2, "bob": 1}
    first = claim(tasks)
    assert tasks.store.assigned("coder") == {"ada": 2, "bob": 1}
    tasks.fail(first, "it broke", retry=False)
    assert tasks.store.assigned("coder") == {"ada": 1, "bob": 1}
    tasks.replay(first.id)
    assert tasks.store.assigned("coder") == {"ada": 2, "bob": 1}
    for _ in range(4):
        tasks.succeed(claim(tasks), None)
    assert tasks.store.assigned("coder") == {}


def test_a_replay_without_room_leaves_the_task_dead(settings: Settings, client: Client) -> None:
    swarm = make_swarm(settings.model_copy(update={"max_waiting_tasks": 1}), client)
    name = swarm.submit("x", role="coder").id
    swarm.tasks.fail(claim(swarm.tasks), "it broke", retry=False)
    swarm.submit("x", role="coder")
    with pytest.raises(QueueFullError):
        swarm.tasks.replay(name)
    assert swarm.tasks.find(name).state is TaskState.DEAD


def test_the_outcome_s_key_is_the_task_s_id_for_every_attempt(swarm: Swarm, tasks: Tasks) -> None:
    receipt = swarm.submit("x", role="coder", backoff=0.0)
    first = claim(tasks)
    tasks.fail(first, "it broke", retry=True)
    second = claim(tasks)
    assert (first.attempts, second.attempts) == (1, 2)
    assert first.report_key == second.report_key == receipt.id
    assert first.token != second.token


@pytest.mark.parametrize("call", ["find", "cancel", "replay", "drop", "wait"])
def test_what_is_unknown_is_said_to_be(tasks: Tasks, call: str) -> None:
    with pytest.raises(UnknownIdError, match="no task"):
        getattr(tasks, call)(task_id("coder"))
    for bad in ("", "coder", 7, "coder:" + "g" * 32, "a}b:" + "0" * 32):
        with pytest.raises(InputError, match="task id"):
            getattr(tasks, call)(bad)


@pytest.mark.parametrize("lease", [0.0, -1.0, float("nan"), 3601.0, "1", None])
def test_a_lease_is_bounded(swarm: Swarm, tasks: Tasks, lease: Any) -> None:
    with pytest.raises(BoundsError, match="lease must be"):
        tasks.claim("coder", "w", lease)
    swarm.submit("x", role="coder")
    task = claim(tasks)
    with pytest.raises(BoundsError, match="lease must be"):
        tasks.renew(task, lease)
    with pytest.raises(BoundsError, match="lease must be"):
        tasks.progress(task, lease, 0.5)


def test_what_a_worker_says_is_checked(swarm: Swarm, tasks: Tasks) -> None:
    swarm.submit("x", role="coder")
    task = claim(tasks)
    for fraction in (-0.1, 1.1, float("nan"), "half"):
        with pytest.raises(BoundsError, match="fraction must be"):
            tasks.progress(task, LEASE, fraction)  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(InputError, match="note must be text"):
        tasks.progress(task, LEASE, 0.5, 7)  # type: ignore[arg-type]  # that is what is tested
    with pytest.raises(InputError, match="result may hold"):
        tasks.succeed(task, object())
    with pytest.raises(BoundsError, match="delay must be"):
        tasks.fail(task, "x", retry=True, delay=-1.0)
    assert tasks.progress(task, LEASE, 0.5, "\ud800" * 5000) is Hold.RUNNING
    assert tasks.fail(task, "\ud800" * 5000, retry=False) is TaskState.DEAD


def test_a_view_is_plain_values_on_one_level(swarm: Swarm) -> None:
    receipt = swarm.submit("x", role="coder", payload={"a": 1})
    values = swarm.tasks.find(receipt.id).as_dict()
    assert (values["id"], values["role"], values["state"], values["payload"]) == (
        receipt.id,
        "coder",
        "waiting",
        {"a": 1},
    )
    assert receipt.as_dict() == {"id": receipt.id, "is_new": True}
