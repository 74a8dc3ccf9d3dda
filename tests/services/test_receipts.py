"""Receipts: every outcome can be asked for, from the moment it was accepted."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from support import wait_until
from swarm_support import Report, some_outcome, some_vector

from swarm.errors import CapacityError, InputError, SwarmError, UnknownIdError
from swarm.services.background import Background
from swarm.services.find import MergeReceipt
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.reply import stream_position


def test_an_outcome_goes_from_accepted_to_consolidated_to_searchable(
    swarm: Swarm, background: Background, report: Report
) -> None:
    [receipt] = report("coder-1", 0, 1)
    assert (receipt.state, receipt.is_new) == (ReceiptState.ACCEPTED, True)
    assert swarm.receipt("coder-1", "coder-1-0").state is ReceiptState.ACCEPTED
    background.consolidate("coder-1", "worker", 0.0)
    assert swarm.receipt("coder-1", "coder-1-0").state is ReceiptState.CONSOLIDATED
    background.merge("worker", 0.0)
    found = swarm.receipt("coder-1", "coder-1-0")
    assert (found.state, found.stream_id, found.reason) == (ReceiptState.SEARCHABLE, receipt.stream_id, "")
    assert found.as_dict()["state"] == "searchable"


def test_a_dead_outcome_stays_dead_after_the_merge(swarm: Swarm, background: Background, report: Report) -> None:
    report("coder-1", 0, 1)
    swarm.outcomes("coder-1").append(b"junk", "broken", "")
    assert swarm.receipt("coder-1", "broken").state is ReceiptState.ACCEPTED
    background.consolidate("coder-1", "worker", 0.0)
    assert swarm.receipt("coder-1", "broken").state is ReceiptState.DEAD
    background.merge("worker", 0.0)
    found = swarm.wait(swarm.receipt("coder-1", "broken"), 1.0)
    assert found.state is ReceiptState.DEAD
    assert "trajectory record" in found.reason


def test_a_key_that_was_never_used_is_unknown(swarm: Swarm, report: Report) -> None:
    report("coder-1", 0, 1)
    for agent, key in (("coder-1", "never"), ("nobody", "coder-1-0")):
        with pytest.raises(UnknownIdError, match=f"no receipt for idempotency key {key!r} of agent {agent}"):
            swarm.receipt(agent, key)


def test_waiting_ends_when_the_outcome_is_searchable(swarm: Swarm, background: Background, report: Report) -> None:
    [receipt] = report("coder-1", 0, 1)
    found: list[Receipt] = []
    thread = threading.Thread(target=lambda: found.append(swarm.wait(receipt, 20.0)))
    thread.start()
    background.drain(0.0)
    thread.join()
    assert found[0].state is ReceiptState.SEARCHABLE


def test_waiting_in_vain_says_how_far_it_came_and_what_to_look_at(
    swarm: Swarm, background: Background, report: Report
) -> None:
    [receipt] = report("coder-1", 0, 1)
    with pytest.raises(SwarmError, match=r"coder-1-0 of agent coder-1 is accepted after 0.05 s: are workers running"):
        swarm.wait(receipt, 0.05)
    background.consolidate("coder-1", "worker", 0.0)
    with pytest.raises(SwarmError, match="is consolidated after"):
        swarm.wait(receipt, 0.0)


def test_waiting_for_a_spooled_outcome_follows_it_into_redis(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("coder-1", 0, 1)
    spooled = Receipt(agent="coder-1", idempotency_key="later", state=ReceiptState.SPOOLED)
    with pytest.raises(SwarmError, match="is spooled after"):
        swarm.wait(spooled, 0.0)
    swarm.record(some_outcome(7), "later")
    background.drain(0.0)
    assert swarm.wait(spooled, 5.0).state is ReceiptState.SEARCHABLE


def test_waiting_for_an_unknown_outcome_is_an_error_at_once(swarm: Swarm, report: Report) -> None:
    report("coder-1", 0, 1)
    unknown = Receipt(agent="coder-1", idempotency_key="never", state=ReceiptState.ACCEPTED)
    with pytest.raises(UnknownIdError):
        swarm.wait(unknown, 20.0)


def test_a_full_stream_is_an_explicit_error_and_the_outcome_can_come_again(
    settings: Settings, swarm: Swarm, background: Background, report: Report
) -> None:
    swarm.settings = settings.model_copy(update={"max_pending": 3})
    report("coder-1", 0, 3)
    with pytest.raises(CapacityError, match="max_pending"):
        report("coder-1", 3, 4)
    with pytest.raises(UnknownIdError):
        swarm.receipt("coder-1", "coder-1-3")
    background.drain(0.0)
    assert report("coder-1", 3, 4)[0].is_new


def test_stream_ids_are_in_the_order_of_the_stream() -> None:
    ids = ["9-0", "10-0", "10-2", "10-11"]
    assert sorted(ids, key=stream_position) == ids
    assert stream_position("7") == (7, 0)


def test_no_receipt_of_a_dead_outcome_is_ever_called_searchable(
    swarm: Swarm, settings: Settings, background: Background, report: Report
) -> None:
    report("coder-1", 0, 1)
    swarm.outcomes("coder-1").append(b"junk", "broken", "")
    seen: set[ReceiptState] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(swarm.receipt("coder-1", "broken").state)

    thread = threading.Thread(target=watch)
    thread.start()
    wait_until(lambda: ReceiptState.ACCEPTED in seen, 30.0, "the first look")
    background.drain(0.0)
    wait_until(lambda: ReceiptState.DEAD in seen, 30.0, "the outcome to be dead")
    done.set()
    thread.join()
    assert seen == {ReceiptState.ACCEPTED, ReceiptState.DEAD}


def test_everything_that_was_accepted_is_found_by_its_id(swarm: Swarm, background: Background, report: Report) -> None:
    [first] = report("coder-1", 0, 1)
    background.drain(0.0)
    [second] = report("coder-1", 1, 2)
    background.consolidate("coder-1", "worker", 0.0)
    found = swarm.find(first.id)
    assert isinstance(found, Receipt)
    assert (found.id, found.state, found.generation) == ("outcome/coder-1/coder-1-0", ReceiptState.SEARCHABLE, 1)
    found = swarm.find(second.id)
    assert isinstance(found, Receipt)
    assert (found.state, found.generation) == (ReceiptState.CONSOLIDATED, 2)
    assert [swarm.find(f"consolidation/coder-1/{number}").state for number in (1, 2)] == ["searchable", "committed"]
    merge = swarm.find(f"merge/{swarm.bank.version()}")
    assert isinstance(merge, MergeReceipt)
    assert (merge.state, merge.put, merge.removed) == ("published", 1, 0)
    task = swarm.submit("say hello", role="coder")
    assert (
        swarm.find(task.id).as_dict() == swarm.find(f"task/{task.id}").as_dict() == swarm.tasks.find(task.id).as_dict()
    )


@pytest.mark.parametrize(
    "unknown",
    [
        "outcome/coder-1/never",
        "consolidation/coder-1/7",
        "consolidation/coder-1/one",
        "consolidation/nobody/1",
        "merge/1-1",
        "merge/*",
        "coder:" + 32 * "0",
    ],
)
def test_an_id_of_nothing_is_unknown(swarm: Swarm, report: Report, unknown: str) -> None:
    report("coder-1", 0, 1)
    with pytest.raises(UnknownIdError):
        swarm.find(unknown)


@pytest.mark.parametrize(
    "bad", ["", "outcome", "outcome/", "outcome/a{b}/key", "outcome/coder-1/", "else/where", None, 7]
)
def test_what_is_no_id_is_refused(swarm: Swarm, bad: object) -> None:
    with pytest.raises(InputError):
        swarm.find(bad)  # type: ignore[arg-type]


def test_many_outcomes_are_recorded_at_once_each_with_its_receipt(swarm: Swarm, background: Background) -> None:
    for agent in ("ada", "bob"):
        swarm.register(agent, "coder")
    outcomes = [some_outcome(number, "ada" if number % 2 else "bob") for number in range(6)]
    receipts = swarm.record_many(outcomes)
    assert [receipt.id for receipt in receipts] == [f"outcome/{one.agent}/{one.id}" for one in outcomes]
    assert not any(receipt.is_new for receipt in swarm.record_many(outcomes))
    background.drain(0.0)
    assert {swarm.wait(receipt, 1.0).state for receipt in receipts} == {ReceiptState.SEARCHABLE}
    assert swarm.record_many([]) == []


def test_of_many_outcomes_with_a_bad_one_none_is_taken(swarm: Swarm) -> None:
    swarm.register("ada", "coder")
    good = some_outcome(0, "ada")
    for bad in (replace(good, quality=2.0), replace(good, agent="nobody"), replace(good, embedding=some_vector(1, 16))):
        with pytest.raises(InputError):
            swarm.record_many([good, bad], ["good", "bad"])
    with pytest.raises(InputError, match="one for each trajectory, got 1"):
        swarm.record_many([good, good], ["one"])
    assert swarm.agents.state("ada").accepted == 0
