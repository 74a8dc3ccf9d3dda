"""Learning in the caller, and what consolidation gives back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from swarm_support import DIM, some_outcome, some_vector

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.store.connection import Client
from swarm.store.reply import to_hash
from swarm.wire.codec import encode
from swarm.wire.records import encode_trajectory
from swarm_agents import Agent

TASK = "decode a JSON document into a string"


def vector_outcome(number: int, vector: Vector, action: str, quality: float, agent: str) -> Trajectory:
    """An outcome for a query given as its vector."""
    return replace(some_outcome(number, agent), embedding=vector, action=action, quality=quality)


def score(agent: Agent, response: str) -> float:
    """How much the patterns speak for `response`, as this agent sees them."""
    return next(hit.share for hit in agent.before_task(TASK).patterns if hit.response == response)


def test_before_anything_was_learned_the_ranking_is_the_frozen_one(known: Swarm, agent: Agent) -> None:
    assert list(agent.before_task(TASK).patterns) == known.query(TASK)


@pytest.mark.parametrize(("is_right", "sign"), [(True, 1.0), (False, -1.0)])
def test_one_outcome_moves_the_ranking_of_its_agent_at_once(
    known: Swarm, agent: Agent, background: Background, is_right: bool, sign: float
) -> None:
    # Where feedback backs the actions: what nobody has tried yet the novelty guard keeps as it was given.
    for answer, task in (("re", "match a pattern in a string"), ("json", "decode a JSON document")):
        for _ in range(3):
            known.store_pattern(task, answer, agent="coder-0")
    background.drain(0.0)
    agent.refresh()
    bystander = Agent("coder-2", swarm=known)
    before, elsewhere = score(agent, "re"), score(bystander, "re")
    advice = agent.before_task(TASK)
    hit = next(hit for hit in advice.patterns if hit.response == "re")
    agent.after_task(advice.trajectory_id, success=is_right, used=hit)
    assert sign * (score(agent, "re") - before) > 0.0
    assert agent.instant_updates == 1
    # The others learn it when it was consolidated, not from this process.
    assert score(bystander, "re") == elsewhere


def test_an_outcome_that_counted_already_teaches_nothing_again(known: Swarm, agent: Agent) -> None:
    for _ in range(3):
        advice = agent.before_task(TASK)
        agent.after_task(advice.trajectory_id, success=True, used=advice.best, idempotency_key="once")
    assert agent.instant_updates == 1


def test_an_action_nobody_knows_yet_teaches_nothing_at_once(known: Swarm, agent: Agent) -> None:
    agent.after_task(agent.before_task(TASK).trajectory_id, success=True, output="something new")
    assert agent.instant_updates == 0


def test_new_weights_are_picked_up_after_consolidation(swarm: Swarm, background: Background, client: Client) -> None:
    right, wrong = some_vector(1), some_vector(2)
    swarm.register("library", "library")
    for action, vector in (("right", right), ("wrong", wrong)):
        swarm.record(vector_outcome(0, vector, action, 1.0, "library"), action)
    background.drain(0.0)
    agent = Agent("coder-1", swarm=swarm, config=SonaConfig(dim=DIM), refresh_interval=0.0)
    assert (agent.generation, agent.adapter.base[0].is_untrained) == (0, True)
    for number in range(240):
        # Both are tried for queries nearer to the one and nearer to the other; each works where it is nearer.
        is_nearer = number // 2 % 2 == 0
        query = (0.7, 0.5)[not is_nearer] * right + (0.5, 0.7)[not is_nearer] * wrong + 0.15 * some_vector(100 + number)
        action = ("right", "wrong")[number % 2]
        quality = float((action == "right") == is_nearer)
        swarm.record(vector_outcome(number, query, action, quality, "coder-1"), f"key-{number}")
    assert background.consolidate("coder-1", "worker", 0.0)["promoted"] is True
    query = 0.7 * right + 0.5 * wrong
    frozen = float(agent.adapter.apply(query).dot(right - wrong))
    agent.before_task("anything")
    assert agent.generation == 1
    assert not agent.adapter.base[0].is_untrained
    assert float(agent.adapter.apply(query).dot(right - wrong)) > frozen
    other = Agent("coder-1", swarm=swarm)
    assert (other.adapter.base[0].up == agent.adapter.base[0].up).all()


def test_a_new_process_learns_again_what_no_generation_contains(
    known: Swarm, agent: Agent, background: Background
) -> None:
    for _ in range(5):
        advice = agent.before_task(TASK)
        agent.after_task(advice.trajectory_id, success=True, used=advice.best)
    again = Agent("coder-1", swarm=known)
    assert again.instant_updates == 5
    assert again.adapter.micro.up.tobytes() == agent.adapter.micro.up.tobytes()
    background.drain(0.0)
    assert Agent("coder-1", swarm=known).instant_updates == 0


def test_after_a_rollback_a_process_forgets_what_it_learned_by_itself(
    known: Swarm, agent: Agent, background: Background
) -> None:
    advice = agent.before_task(TASK)
    agent.after_task(advice.trajectory_id, success=True, used=advice.best)
    background.drain(0.0)
    agent.refresh()
    assert agent.adapter.micro.up.any()
    known.rollback("coder-1", 0)
    background.drain(0.0)
    agent.refresh()
    assert agent.adapter.trained == ()
    assert list(agent.before_task(TASK).patterns) == known.query(TASK)
    # From here on it learns as ever.
    advice = agent.before_task(TASK)
    agent.after_task(advice.trajectory_id, success=True, used=advice.best)
    agent.refresh()
    assert agent.adapter.micro.up.any()


def test_a_new_process_begins_although_a_waiting_outcome_is_damaged(known: Swarm, agent: Agent) -> None:
    advice = agent.before_task(TASK)
    agent.after_task(advice.trajectory_id, success=True, used=advice.best)
    store = known.outcomes("coder-1")
    store.append(b"junk", "junk", "")
    store.append(b"\x93\xaatrajectory\x09\x80", "newer", "")
    store.append(encode_trajectory(vector_outcome(1, some_vector(1, 16), "a", 1.0, "coder-1")), "small", "")
    again = Agent("coder-1", swarm=known)
    assert again.instant_updates == 1
    assert again.before_task(TASK).is_fresh


@pytest.mark.parametrize("record", [b"junk", b"\x93\xa7cluster\x09\x80", b"\x93\xa7weights\x09\x80"])
def test_bytes_in_redis_that_cannot_be_read_do_not_break_the_hooks(
    known: Swarm, background: Background, client: Client, record: bytes
) -> None:
    agent = Agent("coder-1", swarm=known, refresh_interval=0.0)
    expected = agent.before_task(TASK).patterns
    if b"weights" in record:
        client.set(known.keys.agent("coder-1").weights, record)
        client.hset(known.keys.agent("coder-1").state, "weights_generation", 7)
    else:
        known.store_pattern("another task", "another answer")
        background.drain(0.0)
        client.hset(known.keys.bank, known.bank.patterns()[0].id, record)
        touched = list(to_hash(client.hgetall(known.keys.bank)))
        client.xadd(known.keys.banklog, {"c": encode("change", {"put": touched, "removed": []})})
    advice = agent.before_task(TASK)
    assert (advice.patterns, advice.is_fresh) == (expected, False)
    receipt = agent.after_task(advice.trajectory_id, success=True, used=advice.best)
    # What cannot be read does not keep outcomes from being sent.
    assert receipt.stream_id
    health = agent.health()
    assert health.redis_failures > 0
    assert "record" in health.last_error


def test_an_agent_loads_no_scikit_learn_and_no_celery() -> None:
    code = "import swarm_agents, sys; print([m for m in ('sklearn', 'celery', 'scipy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_an_agent_ranks_by_its_own_temperature_and_failure_weight(known: Swarm) -> None:
    text = "decode the JSON of a file"
    agents = [
        Agent(f"agent-{number}", swarm=known, config=SonaConfig(dim=DIM, temperature=tau, failure_weight=phi))
        for number, (tau, phi) in enumerate([(0.05, 1.0), (0.5, 1.0)])
    ]
    sharp, soft = ([hit.score for hit in agent.before_task(text).patterns] for agent in agents)
    # A wide kernel tells the answers less apart.
    assert sharp[0] - sharp[-1] > soft[0] - soft[-1]
