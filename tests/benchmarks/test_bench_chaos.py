"""`bench_chaos` sees a loss, a doubled effect and a stall when there is one, and kills what it says it kills."""

from __future__ import annotations

import random
import time
from pathlib import Path

import psutil
import pytest
from support import wait_until
from swarm_support import make_swarm, some_outcome

from benchmarks.chaos_account import account
from benchmarks.chaos_journal import Journal, Sent
from benchmarks.chaos_victims import KINDS, Killer
from benchmarks.chaos_watch import Stalls, work_of
from benchmarks.own_swarm import OwnSwarm
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.reply import to_entries


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    swarm = make_swarm(settings, client)
    swarm.register("ann", "chaos")
    for number in range(3):
        swarm.record(some_outcome(number, "ann"), f"key-{number}")
    for n in range(2):
        swarm.submit("double", role="doubler", payload={"n": n}, idempotency_key=f"task-{n}")
    return swarm


def _rest(swarm: Swarm, settings: Settings) -> None:
    Background(settings, swarm.client).drain(time.time())
    while (claimed := swarm.tasks.claim("doubler", "worker", 60.0)) is not None:
        swarm.tasks.succeed(claimed, 2 * claimed.record.payload["n"])


def _sent(*keys: str) -> Sent:
    return Sent(tried={*keys, "tried only"}, accepted=set(keys))


def test_what_was_accepted_and_has_its_effect_is_neither_lost_nor_doubled(swarm: Swarm, settings: Settings) -> None:
    tasks = [swarm.submit("double", role="doubler", idempotency_key=f"task-{n}").id for n in range(2)]
    unfinished = account(swarm, {"ann": _sent("key-0", "key-1", "key-2")}, {})
    assert (unfinished.lost, unfinished.effects) == (3, 0)
    _rest(swarm, settings)
    found = account(swarm, {"ann": _sent("key-0", "key-1", "key-2")}, {"sue": Sent(set(tasks), set(tasks))})
    assert (found.sent, found.accepted, found.effects, found.lost, found.doubled) == (6, 5, 5, 0, 0)
    assert found.unreported == 2


def test_what_is_missing_is_lost(swarm: Swarm, settings: Settings) -> None:
    _rest(swarm, settings)
    task = "doubler:" + 32 * "0"
    found = account(swarm, {"ann": _sent("key-0", "gone")}, {"sue": Sent({task}, {task})})
    assert (found.lost, found.doubled) == (2, 0)


def test_a_task_with_a_wrong_result_is_lost(swarm: Swarm, settings: Settings) -> None:
    task = swarm.submit("double", role="doubler", payload={"n": 7}).id
    while (claimed := swarm.tasks.claim("doubler", "worker", 60.0)) is not None:
        swarm.tasks.succeed(claimed, 13)
    assert account(swarm, {}, {"sue": Sent({task}, {task})}).lost == 1 + 3


def test_a_key_that_is_twice_in_a_stream_is_doubled(swarm: Swarm, settings: Settings) -> None:
    stream = swarm.keys.agent("ann").stream
    _, first = to_entries(swarm.client.xrange(stream))[0]
    swarm.client.xadd(stream, dict(first.items()))
    swarm.client.hincrby(swarm.keys.agent("ann").state, "accepted", 1)
    _rest(swarm, settings)
    assert account(swarm, {"ann": _sent("key-0")}, {}).doubled == 1


def test_journals_say_what_was_tried_and_what_was_accepted(tmp_path: Path) -> None:
    for key in ("a", "b"):
        journal = Journal(tmp_path / "journal")
        journal.tried(key)
    journal.got("b")
    sent = Sent()
    sent.read(tmp_path / "journal")
    assert (sent.tried, sent.accepted) == ({"a", "b"}, {"b"})


def test_a_pool_stalls_while_it_has_work_and_does_none_of_it(swarm: Swarm) -> None:
    assert work_of(swarm) == {"background": (3, 0), "doubler": (2, 0)}
    stalls = Stalls()
    stalls.look(0.0, {"idle": (0, 5), "busy": (3, 5), "stuck": (3, 5)})
    stalls.look(10.0, {"idle": (0, 5), "busy": (3, 6), "stuck": (3, 5)})
    stalls.look(14.0, {"idle": (0, 5), "busy": (3, 6), "stuck": (3, 5)})
    stalls.still(20.0, "stuck")
    stalls.look(21.0, {"idle": (1, 5), "busy": (0, 6), "stuck": (3, 6)})
    assert stalls.longest_s == {"idle": 7.0, "busy": 4.0, "stuck": 20.0}


def test_the_killer_finds_redis_workers_and_children_and_kills_one_of_them() -> None:
    with OwnSwarm() as own:
        own.swarm("up", "--concurrency", "1")
        killer = Killer(own, random.Random(0))
        victims = killer.victims()
        assert [len(victims[kind]) for kind in ("redis", "worker", "child", "agent", "submitter")] == [1, 1, 1, 0, 0]
        while not killer.kills:
            killer.strike([])
        struck = [process for kind in KINDS for process in victims[kind]]
        wait_until(lambda: not all(map(_runs, struck)), 30.0, "one of them to be gone")
        killer.thaw(everybody=True)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
