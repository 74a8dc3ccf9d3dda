"""Retention in a swarm: evidence decays and expires by the sweep alone, pins keep it, and off means as before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from swarm_support import DIM, make_swarm, some_outcome, some_vector

from swarm.errors import BoundsError, CapacityError, UnknownIdError
from swarm.services.agent_ageing import Ages
from swarm.services.background import Background
from swarm.services.merge import bank_of
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.clusters import Cluster
from swarm.sona.config import SonaConfig
from swarm.store import retention as retention_module
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm.store.retention import RetentionStore
from swarm.wire.records import encode_cluster

DAY = 86_400.0


def report(swarm: Swarm, agent: str, numbers: range, days_old: float, action: str = "") -> None:
    """Outcomes of some days ago, all successes."""
    if swarm.agents.registration(agent) is None:
        swarm.register(agent, "coder", SonaConfig(dim=DIM))
    for number in numbers:
        outcome = replace(some_outcome(number, agent), quality=1.0, at_s=time.time() - days_old * DAY)
        if action:
            outcome = replace(outcome, action=action, response=action, embedding=some_vector(1))
        swarm.record(outcome, outcome.id)


def tend(background: Background) -> list[str]:
    """Do what a sweep finds due until it finds nothing; what that was."""
    done: list[str] = []
    while some := sweep_once(background):
        done += some
        assert len(done) < 20, f"the sweep does not come to rest: {done}"
    return done


def sweep_once(background: Background) -> list[str]:
    """Do what one sweep finds due; what that was."""
    due: list[tuple[str, str]] = []
    background.sweep(lambda task, agent: due.append((task, agent)))
    for task, agent in due:
        if task == "merge":
            background.merge("test", 0.0)
        else:
            background.consolidate(agent, "test", 0.0)
    return [task for task, _ in due]


def patterns(swarm: Swarm) -> dict[str, Cluster]:
    return {pattern.id: pattern for pattern in swarm.bank.patterns()}


def test_a_half_life_makes_old_evidence_weigh_less(swarm: Swarm, background: Background) -> None:
    report(swarm, "old", range(8), 30.0, action="old way")
    report(swarm, "new", range(8, 12), 0.0, action="new way")
    tend(background)
    assert swarm.query("anything", k=1)[0].response in ("old way", "new way")
    assert {p.response: p.n for p in swarm.bank.patterns()} == {"old way": 8.0, "new way": 4.0}
    swarm.set_retention(half_life_s=10 * DAY)
    assert "merge" in tend(background)
    by_response = {p.response: p for p in swarm.bank.patterns()}
    assert by_response["old way"].n == pytest.approx(1.0, rel=0.01)
    assert by_response["new way"].n == pytest.approx(4.0, rel=0.01)
    assert by_response["old way"].mean_quality == pytest.approx(1.0)
    for pattern in by_response.values():
        assert sum(tally.n for tally in pattern.agents.values()) == pytest.approx(pattern.n)
    # What agents hold is kept as of its newest outcome, and switched off the bank is as it was.
    assert {c.n for c in swarm.agents.clusters("old")} == {8.0}
    swarm.set_retention()
    tend(background)
    assert {p.response: p.n for p in swarm.bank.patterns()} == {"old way": 8.0, "new way": 4.0}


def test_an_idle_agent_s_patterns_expire_by_the_sweep_alone(swarm: Swarm, background: Background) -> None:
    report(swarm, "idle", range(8), 200.0)
    report(swarm, "busy", range(100, 108), 0.0)
    tend(background)
    before = patterns(swarm)
    replica = make_swarm(swarm.settings, swarm.client).replica
    replica.refresh()
    swarm.set_retention(ttl_s=180 * DAY)
    tend(background)
    gone = {name for name, pattern in before.items() if set(pattern.agents) == {"idle"}}
    assert gone
    assert patterns(swarm).keys() == before.keys() - gone
    assert swarm.retention().expired == len(gone)
    # A replica that stood still learns of it, and the agent's own clusters are gone, too.
    replica.refresh()
    assert {cluster.id for cluster in replica.index.clusters()} == patterns(swarm).keys()
    assert swarm.agents.clusters("idle") == []
    newest = swarm.history("idle")[0]
    assert (newest.figures["expired"], newest.outcomes) == (len(gone), 0)
    # All of what it reported is accounted for as before.
    [status] = [agent for agent in swarm.status().agents if agent.name == "idle"]
    assert (status.accepted, status.consolidated, status.lost) == (8, 8, 0)


def test_what_expires_while_nothing_happens_goes_within_a_hundredth_of_its_time(
    swarm: Swarm, background: Background
) -> None:
    swarm.set_retention(ttl_s=2.0)
    report(swarm, "coder", range(4), 0.0)
    tend(background)
    assert swarm.bank.count() > 0
    deadline = time.monotonic() + 30.0
    while swarm.bank.count():
        assert time.monotonic() < deadline
        # A step of age is a fiftieth of a second here: on a busy machine the next is due before a sweep comes to rest.
        sweep_once(background)
        time.sleep(0.05)
    assert swarm.agents.clusters("coder") == []


def test_the_bank_is_a_function_of_the_generations_and_the_time(swarm: Swarm, background: Background) -> None:
    swarm.set_retention(half_life_s=20 * DAY, ttl_s=60 * DAY)
    for agent, days in (("a", 10.0), ("b", 50.0), ("c", 70.0)):
        report(swarm, agent, range(20), days)
        tend(background)
    rules = RetentionStore(swarm.client, swarm.keys).rules()
    ageing = rules.on_grid(time.time())
    parts = {name: swarm.agents.clusters(name) for name in reversed(swarm.agents.names())}
    verdicts = {name: state.verdict for name, state in swarm.agents.states(parts).items()}
    expected = {p.id: replace(p, label="") for p in bank_of(Ages(common=ageing).parts(parts), verdicts)}
    found = {name: replace(p, label="") for name, p in patterns(swarm).items()}
    assert {k: encode_cluster(v) for k, v in found.items()} == {k: encode_cluster(v) for k, v in expected.items()}
    # Another process with nothing in memory would publish the same, so it is not due.
    assert tend(Background(swarm.settings, swarm.client)) == []


@pytest.fixture
def twin(settings: Settings, client: Client) -> Iterator[Swarm]:
    """A second swarm."""
    other = settings.model_copy(update={"name": f"{settings.name}-twin"})
    yield make_swarm(other, client)
    erase_swarm(client, make_swarm(other, client).keys)


def test_off_means_byte_for_byte_as_a_swarm_that_never_had_it(
    swarm: Swarm, background: Background, twin: Swarm
) -> None:
    swarm.set_retention(half_life_s=DAY, ttl_s=DAY)
    swarm.set_retention()
    for one, work in ((swarm, background), (twin, Background(twin.settings, twin.client))):
        one.register("coder", "coder", SonaConfig(dim=DIM))
        for first in (0, 40):
            for number in range(first, first + 40):
                one.record(some_outcome(number, "coder"), f"{number}")
            tend(work)
    assert swarm.client.hgetall(swarm.keys.bank) == twin.client.hgetall(twin.keys.bank)
    mine, yours = swarm.keys.agent("coder"), twin.keys.agent("coder")
    assert swarm.client.hgetall(mine.clusters) == twin.client.hgetall(yours.clusters)
    assert swarm.agents.values("coder") == twin.agents.values("coder")
    assert swarm.client.hkeys(swarm.keys.meta) == twin.client.hkeys(twin.keys.meta)


def test_a_rewind_learns_again_as_of_the_times_it_was_learned(swarm: Swarm, twin: Swarm) -> None:
    for one in (swarm, twin):
        one.set_retention(half_life_s=10 * DAY)
        one.register("coder", "coder", SonaConfig(dim=DIM))
        for number in range(60):
            outcome = replace(some_outcome(number, "coder"), at_s=time.time() - (60 - number) * DAY)
            if one is swarm or number != 17:
                one.record(outcome, outcome.id)
            if number % 20 == 19:
                Background(one.settings, one.client).drain(0.0)
    swarm.rewind("coder-17")
    mine, yours = ({c.id: c for c in one.agents.clusters("coder")} for one in (swarm, twin))
    assert mine.keys() == yours.keys()
    for name, cluster in mine.items():
        assert cluster.n == pytest.approx(yours[name].n, rel=1e-4)
        np.testing.assert_allclose(cluster.sum_embedding, yours[name].sum_embedding, rtol=1e-3, atol=1e-4)


def test_a_pin_keeps_its_pattern_and_the_clusters_that_feed_it(swarm: Swarm, background: Background) -> None:
    report(swarm, "one", range(4), 200.0, action="keep")
    report(swarm, "two", range(4, 8), 300.0, action="keep")
    report(swarm, "one", range(20, 25), 200.0)
    tend(background)
    [kept] = [p for p in swarm.bank.patterns() if p.response == "keep"]
    assert set(kept.agents) == {"one", "two"}
    view = swarm.pin(kept.id, by="ada")
    assert (view.id, view.pattern_id, view.outcomes, view.by) == (kept.id, kept.id, 8.0, "ada")
    swarm.set_retention(half_life_s=10 * DAY, ttl_s=180 * DAY)
    tend(background)
    [left] = swarm.bank.patterns()
    assert (left.id, left.n) == (kept.id, 8.0)
    assert [c.response for c in swarm.agents.clusters("one")] == ["keep"]
    # More evidence may change its id; the pin follows, and is found by the new one.
    report(swarm, "three", range(30, 34), 400.0, action="keep")
    tend(background)
    [left] = swarm.bank.patterns()
    assert left.id != kept.id
    assert left.n == 12.0
    assert [pin.pattern_id for pin in swarm.retention().pins] == [left.id]
    assert swarm.unpin(left.id).id == kept.id
    tend(background)
    assert swarm.bank.patterns() == []
    assert swarm.retention().pins == ()


def test_pins_are_bounded_and_refused_for_what_is_not_there(
    swarm: Swarm, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(swarm, "coder", range(4), 0.0)
    tend(background)
    first, second, *_ = sorted(patterns(swarm))
    monkeypatch.setattr(retention_module, "MAX_PINS", 1)
    assert swarm.pin(first).id == swarm.pin(first).id
    with pytest.raises(CapacityError, match="which is the bound"):
        swarm.pin(second)
    with pytest.raises(UnknownIdError, match="'nothing' is not in the bank"):
        swarm.pin("nothing")
    with pytest.raises(UnknownIdError, match="no pin keeps pattern"):
        swarm.unpin(second)
    for wrong in (0.0, -1.0, float("nan"), float("inf"), 1e12):
        with pytest.raises(BoundsError, match="half_life_s must be in"):
            swarm.set_retention(half_life_s=wrong)
