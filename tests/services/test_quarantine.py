"""Quarantine by an operator: kept, not counted, whatever the reports say, until it is taken back."""

from __future__ import annotations

import pytest
from swarm_support import Report, outcomes_in

from swarm.errors import UnknownIdError
from swarm.services.background import Background
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.sona.standing import Verdict
from swarm.wire.keys import SwarmKeys


def agents_in_bank(swarm: Swarm) -> set[str]:
    return {name for pattern in swarm.bank.patterns() for name in pattern.agents}


def test_the_next_merge_publishes_the_bank_without_its_part_and_with_it_again(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("a", 0, 20)
    report("b", 20, 40)
    background.drain(0.0)
    before = {pattern.id: pattern.n for pattern in swarm.bank.patterns()}
    assert agents_in_bank(swarm) == {"a", "b"}
    done = swarm.quarantine("b", by="ann")
    assert (done.silenced, done.verdict) == (True, Verdict.QUARANTINED)
    assert background.merge("worker", 0.0)["status"] == "published"
    assert agents_in_bank(swarm) == {"a"}
    assert outcomes_in(swarm.agents.clusters("b")) == 20
    assert swarm.release("b", by="ann").verdict == Verdict.PROBATION
    assert background.merge("worker", 0.0)["status"] == "published"
    assert {pattern.id: pattern.n for pattern in swarm.bank.patterns()} == before


def test_what_it_goes_on_to_report_is_learned_by_itself_and_stays_out(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("a", 0, 10)
    report("b", 10, 20)
    background.drain(0.0)
    swarm.quarantine("b")
    report("b", 20, 30)
    background.drain(0.0)
    assert agents_in_bank(swarm) == {"a"}
    status = {agent.name: agent for agent in swarm.status().agents}
    assert (status["b"].verdict, status["b"].silenced, status["b"].consolidated) == ("quarantined", True, 20)
    assert (status["a"].verdict, status["a"].silenced) == ("probation", False)
    assert swarm.receipt("b", "b-25").state is ReceiptState.QUARANTINED


def test_the_history_says_who_did_it_and_a_rollback_goes_past_it(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("b", 0, 10)
    background.drain(0.0)
    first = swarm.history("b")[0]
    swarm.quarantine("b", by="ann")
    swarm.release("b", by="bo")
    released, silenced, learned = swarm.history("b")
    assert [(one.kind, one.cause) for one in (released, silenced)] == [("release", "bo"), ("quarantine", "ann")]
    assert learned.version == first.version
    assert silenced.clusters == learned.clusters > 0
    before = {cluster.id: cluster.n for cluster in swarm.agents.clusters("b")}
    assert swarm.rollback("b", learned.version).changed == 0
    assert {cluster.id: cluster.n for cluster in swarm.agents.clusters("b")} == before


def test_an_agent_without_a_generation_is_silenced_before_its_first(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("b", 0, 5)
    assert swarm.quarantine("b").generation == 0
    background.drain(0.0)
    assert swarm.status().patterns == 0
    assert swarm.history("b")[0].kind == "learned"


def test_who_comes_after_a_forgotten_agent_of_that_name_is_free(
    swarm: Swarm, background: Background, report: Report
) -> None:
    report("b", 0, 5)
    background.drain(0.0)
    swarm.quarantine("b")
    swarm.forget(agent="b")
    report("b", 5, 10)
    assert swarm.agents.state("b").silenced == 0
    assert swarm.agents.state("b").verdict is Verdict.PROBATION


def test_an_agent_that_nobody_knows_cannot_be_silenced(swarm: Swarm) -> None:
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        swarm.quarantine("nobody")
    assert not swarm.client.exists(SwarmKeys(swarm.settings.name).agent("nobody").state)
