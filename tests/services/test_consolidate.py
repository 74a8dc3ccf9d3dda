"""Consolidation: each outcome is in exactly one generation, whoever runs it, how often, and whatever it finds."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import msgpack
import pytest
from support import wait_until
from swarm_support import (
    DIM,
    Report,
    a_registration,
    outcomes_in,
    present,
    some_outcome,
    some_vector,
    start_program,
)

from swarm.errors import NewerRecordError, StaleWriterError, UnknownIdError
from swarm.services.background import Background
from swarm.services.consolidate import MAX_OUTCOMES, Consolidation, consolidate
from swarm.services.receipts import ReceiptState
from swarm.services.replica import Replica
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.reservoir import HELD_OUT_EVERY, priority_of
from swarm.sona.standing import Verdict
from swarm.store.bank import BankStore
from swarm.store.connection import Client
from swarm.store.reply import to_entries
from swarm.wire.codec import VERSION, decode
from swarm.wire.memory_records import decode_learner, decode_sample
from swarm.wire.records import Registration, encode_cluster, encode_trajectory

NEWER = msgpack.packb(["trajectory", VERSION + 1, {}])


def assert_each_once(swarm: Swarm, agent: str, count: int, dead: int = 0) -> None:
    """Every accepted outcome is in the clusters exactly once, or dead."""
    state = swarm.agents.state(agent)
    assert (state.accepted, state.processed, state.dead) == (count, count, dead)
    assert outcomes_in(swarm.agents.clusters(agent)) == pytest.approx(count - dead)


def logged(client: Client, swarm: Swarm, agent: str) -> list[int]:
    """Outcomes of each generation, from its log entry."""
    entries = to_entries(client.xrange(swarm.keys.agent(agent).log))
    return [decode("figures", fields[b"figures"])["outcomes"] for _, fields in entries]


def test_a_generation_is_patterns_cursor_counts_and_log(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    receipts = report("coder-1", 0, 20)
    found = background.consolidate("coder-1", "worker", 0.0)
    assert (found["status"], found["generation"], found["outcomes"], found["dead"]) == ("committed", 1, 20, 0)
    assert_each_once(swarm, "coder-1", 20)
    assert swarm.agents.state("coder-1").cursor == receipts[-1].stream_id
    assert logged(client, swarm, "coder-1") == [20]
    clusters = swarm.agents.clusters("coder-1")
    assert {name for cluster in clusters for name in cluster.agents} == {"coder-1"}
    assert sum(tally.n for cluster in clusters for tally in cluster.routes.values()) == 20
    assert sum(cluster.sum_quality for cluster in clusters) == sum(some_outcome(n).quality for n in range(20))


def test_weights_are_committed_when_the_gate_lets_them_pass(swarm: Swarm, background: Background) -> None:
    swarm.register("coder-1", "coder")
    right, wrong = some_vector(1), some_vector(2)
    for action, vector in (("right", right), ("wrong", wrong)):
        outcome = replace(some_outcome(0), id=action, action=action, embedding=vector)
        swarm.record(outcome, action)
    assert background.consolidate("coder-1", "worker", 0.0)["promoted"] is False
    assert swarm.agents.weights("coder-1") is None
    background.merge("worker", 0.0)
    # These queries are nearer to the wrong pattern, and it fails there every time: they have to be bent.
    for number in range(200):
        query = 0.6 * right + 0.8 * wrong + 0.1 * some_vector(100 + number)
        tried = ("right", 1.0) if number % 2 else ("wrong", 0.0)
        outcome = replace(some_outcome(number), embedding=query, action=tried[0], quality=tried[1])
        swarm.record(outcome, f"key-{number}")
    assert background.consolidate("coder-1", "worker", 0.0)["promoted"] is True
    weights, state = present(swarm.agents.weights("coder-1")), swarm.agents.state("coder-1")
    assert state.weights_generation == state.generation == 2
    assert (state.promotions, state.refusals) == (1, 0)
    assert not weights.base[0].is_untrained
    # The task lasts: nothing is consolidated before another begins.
    assert weights.ewc.tasks == 0


def figures(client: Client, swarm: Swarm, agent: str) -> dict[str, Any]:
    """What the log says of the newest generation."""
    [(_, entry)] = to_entries(client.xrevrange(swarm.keys.agent(agent).log, count=1))
    return decode("figures", entry[b"figures"])


def held_out(key: str) -> bool:
    return priority_of(key) % HELD_OUT_EVERY == 0


def contested(swarm: Swarm, background: Background, right: Callable[[str, str], float], agent: str = "coder-1") -> None:
    """Report 240 outcomes between two patterns that the library gave; `right` says how well each went."""
    places = some_vector(1), some_vector(2)
    for action, vector in zip(("one", "two"), places, strict=True):
        outcome = replace(some_outcome(0, "library"), id=action, action=action, embedding=vector, quality=1.0)
        if swarm.agents.registration("library") is None:
            swarm.register("library", "library", SonaConfig(dim=DIM))
        swarm.record(outcome, action)
    background.drain(0.0)
    swarm.register(agent, "coder", SonaConfig(dim=DIM))
    for number in range(240):
        near = number // 2 % 2
        query = 0.7 * places[near] + 0.5 * places[1 - near] + 0.15 * some_vector(100 + number)
        outcome = some_outcome(number, agent)
        tried, wanted = ("one", "two")[number % 2], ("one", "two")[near]
        quality = right(tried, wanted) if not held_out(outcome.id) else 1.0 - right(tried, wanted)
        swarm.record(replace(outcome, embedding=query, action=tried, quality=quality), outcome.id)


def test_a_refused_update_is_in_the_log_with_its_figures_and_stores_no_weights(
    swarm: Swarm, background: Background, client: Client
) -> None:
    # What is held out contradicts what is trained on.
    contested(swarm, background, lambda tried, wanted: float(tried == wanted))
    assert background.consolidate("coder-1", "worker", 0.0)["promoted"] is False
    found = figures(client, swarm, "coder-1")
    judges = sum(held_out(f"coder-1-{number}") for number in range(240))
    assert (found["promoted"], found["why"]) == (False, "refused: no better on what was held out")
    assert (found["outcomes"], found["trained_on"], found["held_out"]) == (240, 240 - judges, judges)
    assert found["loss_after"] >= found["loss_before"] > 0.0
    assert found["verdict"] == "trusted"
    assert swarm.agents.weights("coder-1") is None
    state = swarm.agents.state("coder-1")
    assert (state.weights_generation, state.promotions, state.refusals) == (0, 0, 1)
    assert_each_once(swarm, "coder-1", 240)


def test_base_weights_of_a_quarantined_agent_do_not_move(swarm: Swarm, background: Background, client: Client) -> None:
    contested(swarm, background, lambda tried, wanted: float(tried != wanted))
    assert background.consolidate("coder-1", "worker", 0.0)["promoted"] is False
    found = figures(client, swarm, "coder-1")
    assert (found["verdict"], found["why"]) == ("quarantined", "refused: the feedback is not believed")
    assert found["trained_on"] == 0
    assert found["z_prior"] < 0.0
    assert swarm.agents.weights("coder-1") is None
    # Its outcomes are kept, and its standing is stored.
    assert_each_once(swarm, "coder-1", 240)
    standing = decode_learner(present(swarm.agents.values("coder-1")["learner"])).standing
    assert standing.verdict is Verdict.QUARANTINED
    assert standing.n == found["audited"] == 200
    assert len(decode_sample(present(swarm.agents.values("coder-1")["sample"]))) == 240


def test_running_it_twice_is_the_same_as_once(swarm: Swarm, background: Background, report: Report) -> None:
    report("coder-1", 0, 10)
    background.consolidate("coder-1", "worker", 0.0)
    state, clusters = swarm.agents.state("coder-1"), swarm.agents.clusters("coder-1")
    assert background.consolidate("coder-1", "worker", 0.0)["status"] == "idle"
    assert swarm.agents.state("coder-1") == state
    assert list(map(encode_cluster, swarm.agents.clusters("coder-1"))) == list(map(encode_cluster, clusters))


def test_a_generation_repeated_after_a_crash_is_the_same(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    report("coder-1", 0, 150)
    background.consolidate("coder-1", "worker", 0.0)
    first = list(map(encode_cluster, swarm.agents.clusters("coder-1")))
    keys = swarm.keys.agent("coder-1")
    client.delete(keys.clusters, keys.weights, keys.log)
    client.hset(keys.state, mapping={"generation": 0, "cursor": "0-0", "processed": 0, "weights_generation": 0})
    background.consolidate("coder-1", "worker", 0.0)
    assert list(map(encode_cluster, swarm.agents.clusters("coder-1"))) == first


def test_threads_that_consolidate_one_agent_at_once_share_its_outcomes(
    swarm: Swarm, settings: Settings, report: Report, client: Client
) -> None:
    report("coder-1", 0, 1)
    stop = threading.Event()
    statuses: list[object] = []

    def work() -> None:
        background = Background(settings)
        while not stop.is_set():
            statuses.append(background.consolidate("coder-1", "worker", 0.0)["status"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    report("coder-1", 1, 200)
    wait_until(lambda: swarm.agents.state("coder-1").pending == 0, 20.0, "the consolidations")
    stop.set()
    for thread in threads:
        thread.join()
    assert_each_once(swarm, "coder-1", 200)
    assert sum(logged(client, swarm, "coder-1")) == 200
    assert set(statuses) <= {"committed", "busy", "idle"}


def test_processes_that_consolidate_one_agent_at_once_share_its_outcomes(
    swarm: Swarm, settings: Settings, report: Report, client: Client
) -> None:
    report("coder-1", 0, 1)
    processes = [start_program("consolidate_until", settings, "coder-1", 400) for _ in range(3)]
    report("coder-1", 1, 400)
    statuses = [
        json.loads(line)["status"]
        for process in processes
        for line in process.communicate(timeout=60.0)[0].splitlines()
    ]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert_each_once(swarm, "coder-1", 400)
    assert sum(logged(client, swarm, "coder-1")) == 400
    assert statuses.count("committed") == swarm.agents.state("coder-1").generation


def prepare_slow_work(swarm: Swarm, background: Background, count: int) -> None:
    """Leave `count` outcomes waiting whose consolidation takes a moment: a hundred passes over them."""
    swarm.register("coder-1", "coder", SonaConfig(dim=DIM, base_epochs=100))
    for number in range(300):
        swarm.record(some_outcome(number), f"key-{number}")
    background.drain(0.0)
    for number in range(300, 300 + count):
        swarm.record(some_outcome(number), f"key-{number}")


def test_a_worker_frozen_past_its_lease_commits_nothing_when_it_wakes(
    swarm: Swarm, settings: Settings, background: Background, client: Client
) -> None:
    prepare_slow_work(swarm, background, 1000)
    lease = swarm.keys.agent("coder-1").lease
    brief = settings.model_copy(update={"lease_ttl": 1.0})
    process = start_program("consolidate_until", brief, "coder-1", 1300)
    wait_until(lambda: client.exists(lease), 20.0, "the worker to take the lease")
    os.kill(process.pid, signal.SIGSTOP)
    assert swarm.agents.state("coder-1").generation == 1
    wait_until(lambda: not client.exists(lease), 30.0, "the lease to expire")
    assert background.consolidate("coder-1", "other", 0.0)["status"] == "committed"
    os.kill(process.pid, signal.SIGCONT)
    printed, _ = process.communicate(timeout=30.0)
    # Frozen before it had read anything, it finds nothing left to do.
    assert [json.loads(line)["status"] for line in printed.splitlines()] in (["stale"], ["idle"])
    assert swarm.agents.state("coder-1").generation == 2
    assert_each_once(swarm, "coder-1", 1300)


class WatchedReplica(Replica):
    """Lets something happen while a worker looks at the bank, in the middle of its consolidation."""

    def __init__(self, bank: BankStore, config: SonaConfig, meanwhile: Callable[[], object]) -> None:
        super().__init__(bank, config)
        self._meanwhile = meanwhile

    def refresh(self) -> bool:
        self._meanwhile()
        return super().refresh()


def consolidate_while(swarm: Swarm, meanwhile: Callable[[], object], lease_ttl: float) -> Consolidation:
    """Consolidate coder-1, with something else happening in the middle of it."""
    replica = partial(WatchedReplica, swarm.bank, meanwhile=meanwhile)
    return consolidate("coder-1", swarm.agents, swarm.outcomes("coder-1"), replica, lease_ttl)


def test_work_that_takes_longer_than_the_lease_still_commits(swarm: Swarm, report: Report) -> None:
    report("coder-1", 0, 10)
    began = time.monotonic()
    found = consolidate_while(
        swarm, lambda: wait_until(lambda: time.monotonic() > began + 1.5, 30.0, "more than the lease's time"), 0.6
    )
    assert found.status == "committed"
    assert_each_once(swarm, "coder-1", 10)


def test_a_worker_that_was_overtaken_is_refused_and_breaks_nothing(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    report("coder-1", 0, 10)

    def overtake() -> None:
        client.delete(swarm.keys.agent("coder-1").lease)
        assert background.consolidate("coder-1", "other", 0.0)["status"] == "committed"

    with pytest.raises(StaleWriterError):
        consolidate_while(swarm, overtake, 30.0)
    assert swarm.agents.state("coder-1").generation == 1
    assert_each_once(swarm, "coder-1", 10)


def test_while_somebody_else_has_the_lease_it_does_nothing(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("coder-1", 0, 3)
    lease = swarm.agents.lease("coder-1", 30.0)
    assert lease is not None
    assert background.consolidate("coder-1", "worker", 0.0)["status"] == "busy"
    assert swarm.agents.state("coder-1").processed == 0
    lease.release()
    assert background.consolidate("coder-1", "worker", 0.0)["status"] == "committed"


def test_an_agent_nobody_registered_is_an_error(background: Background) -> None:
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        background.consolidate("nobody", "worker", 0.0)


def test_more_than_one_batch_is_taken_in_order(swarm: Swarm, background: Background, report: Report) -> None:
    swarm.settings = swarm.settings.model_copy(update={"max_pending": 10_000})
    receipts = report("coder-1", 0, MAX_OUTCOMES + 10)
    background.consolidate("coder-1", "worker", 0.0)
    assert swarm.agents.state("coder-1").cursor == receipts[MAX_OUTCOMES - 1].stream_id
    assert swarm.agents.state("coder-1").pending == 10
    background.consolidate("coder-1", "worker", 0.0)
    assert_each_once(swarm, "coder-1", MAX_OUTCOMES + 10)


def test_a_damaged_outcome_becomes_dead_with_a_reason_and_the_rest_is_learned(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("coder-1", 0, 5)
    store = swarm.outcomes("coder-1")
    good = encode_trajectory(some_outcome(50))
    bad = {
        "cut": good[:-7],
        "empty": b"",
        "of another dimension": encode_trajectory(replace(some_outcome(51), embedding=some_vector(1, 16))),
    }
    for key, record in bad.items():
        store.append(record, key, "")
    report("coder-1", 5, 10)
    found = background.consolidate("coder-1", "worker", 0.0)
    assert (found["outcomes"], found["dead"]) == (10, 3)
    assert_each_once(swarm, "coder-1", 13, dead=3)
    background.merge("worker", 0.0)
    for key in bad:
        receipt = swarm.receipt("coder-1", key)
        assert receipt.state is ReceiptState.DEAD
        assert receipt.reason
    assert "expected 32 numbers, got 16" in swarm.receipt("coder-1", "of another dimension").reason
    assert swarm.receipt("coder-1", "coder-1-9").state is ReceiptState.SEARCHABLE


def test_a_batch_of_nothing_but_damaged_outcomes_is_passed_over(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("coder-1", 0, 0)
    for number in range(3):
        swarm.outcomes("coder-1").append(b"junk", f"key-{number}", "")
    assert background.consolidate("coder-1", "worker", 0.0)["dead"] == 3
    assert_each_once(swarm, "coder-1", 3, dead=3)


def test_an_outcome_of_a_newer_version_blocks_and_loses_nothing(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("coder-1", 0, 5)
    place = swarm.outcomes("coder-1").append(NEWER, "newer", "").stream_id
    report("coder-1", 5, 10)
    # Those before it are learned; it and what comes behind it wait for an upgrade.
    assert background.consolidate("coder-1", "worker", 0.0)["outcomes"] == 5
    state = swarm.agents.state("coder-1")
    for _ in range(2):
        with pytest.raises(NewerRecordError, match="upgrade"):
            background.consolidate("coder-1", "worker", 0.0)
    assert swarm.agents.state("coder-1") == state
    assert (state.processed, state.pending) == (5, 6)
    waiting = swarm.outcomes("coder-1").read_after(state.cursor, 100)
    assert len(waiting) == 6
    assert waiting[0] == (place, NEWER)
    assert swarm.receipt("coder-1", "newer").state is ReceiptState.ACCEPTED


def test_an_agent_that_cannot_be_consolidated_keeps_nobody_else_from_it(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("blocked", 0, 0)
    swarm.outcomes("blocked").append(NEWER, "newer", "")
    report("coder-1", 0, 5)
    with pytest.raises(NewerRecordError):
        background.consolidate("blocked", "worker", 0.0)
    assert background.consolidate("coder-1", "worker", 0.0)["status"] == "committed"
    assert background.merge("worker", 0.0)["status"] == "published"
    assert swarm.receipt("coder-1", "coder-1-4").state is ReceiptState.SEARCHABLE


def test_a_registration_without_role_or_with_another_configuration_still_finds_its_weights(
    swarm: Swarm, background: Background, report: Report, client: Client, settings: Settings
) -> None:
    report("coder-1", 0, 30)
    background.drain(0.0)
    changed = Registration(role="coder", config=replace(a_registration().config, base_lora_rank=4), registered_s=1.0)
    swarm.agents.register("coder-1", changed)
    report("coder-1", 30, 60)
    background.drain(0.0)
    assert_each_once(swarm, "coder-1", 60)
