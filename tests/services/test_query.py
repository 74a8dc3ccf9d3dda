"""Swarm-wide queries: what is found, whose evidence counts, and where it comes from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from swarm_support import make_swarm

from swarm.embed import HashedEmbedder
from swarm.errors import BoundsError, EmbedderMismatchError, InputError, UnknownIdError
from swarm.services.background import Background
from swarm.services.hits import PatternHit
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client


@pytest.fixture
def known(swarm: Swarm, background: Background) -> Swarm:
    """Three agents in two roles; two of them agree on JSON, one of them failed with it."""
    swarm.register("ann", "coder")
    swarm.register("bob", "coder")
    swarm.register("eve", "tester")
    swarm.register("new", "writer")
    swarm.store_pattern("decode a JSON document", "json", agent="ann")
    swarm.store_pattern("decode a JSON document", "json", 0.8, agent="bob")
    swarm.store_pattern("decode a JSON document", "json", success=False, agent="eve")
    swarm.store_pattern("match a pattern in a string", "re", 0.5, agent="eve", metadata={"source": "manual"})
    background.drain(0.0)
    return swarm


def actions(hits: list[PatternHit]) -> list[str]:
    return [hit.response for hit in hits]


def test_the_nearest_proven_pattern_comes_first(known: Swarm) -> None:
    assert actions(known.query("decode JSON documents")) == ["json", "re"]
    assert actions(known.query("match patterns in strings")) == ["re", "json"]
    assert actions(known.query("decode JSON documents", k=1)) == ["json"]


def test_an_empty_swarm_knows_nothing(swarm: Swarm) -> None:
    assert swarm.query("anything") == []
    assert swarm.query("anything", group_by="agent") == {}


def test_a_hit_says_who_learned_it_from_what_and_how_sure_that_is(known: Swarm) -> None:
    [hit] = known.query("decode a JSON document", k=1)
    assert [(s.agent, s.role, s.outcomes, s.mean_quality) for s in hit.sources] == [
        ("ann", "coder", 1.0, 1.0),
        ("bob", "coder", 1.0, 0.8),
    ]
    assert (hit.outcomes, hit.failures) == (2.0, 1.0)
    assert hit.mean_quality == pytest.approx(0.9)
    assert 0.5 < hit.expected_quality < 0.9
    assert 0.0 < hit.quality_error < 0.5
    assert hit.similarity == pytest.approx(1.0)
    assert {(e.text, e.agent, e.quality) for e in hit.examples} == {
        ("decode a JSON document", "ann", 1.0),
        ("decode a JSON document", "bob", 0.8),
    }
    assert len(set(hit.trajectory_ids)) == 2
    assert 0.0 < hit.first_s <= hit.last_s
    assert hit.task_type
    assert json.loads(json.dumps(hit.to_dict()))["trajectory_ids"] == list(hit.trajectory_ids)


def test_the_trajectory_ids_are_those_of_the_receipts(swarm: Swarm, background: Background) -> None:
    receipts = [swarm.store_pattern("decode a JSON document", "json") for _ in range(3)]
    background.drain(0.0)
    [hit] = swarm.query("decode a JSON document")
    assert sorted(hit.trajectory_ids) == sorted(receipt.idempotency_key for receipt in receipts)


def test_agents_limit_whose_evidence_counts(known: Swarm) -> None:
    assert actions(known.query("decode JSON", agents=["ann"])) == ["json"]
    assert actions(known.query("decode JSON", agents=["eve"])) == ["re"]
    assert known.query("decode JSON", agents=["new"]) == []
    assert known.query("decode JSON", agents=[]) == []
    assert actions(known.query("decode JSON", agents=("ann", "bob"))) == ["json"]
    # Of these two, one was right with it and one was wrong: less can be expected than of two who were right.
    doubtful = known.query("decode JSON", agents=("ann", "eve"))[0]
    agreed = known.query("decode JSON", agents=("ann", "bob"))[0]
    assert (doubtful.response, doubtful.failures) == ("json", 1.0)
    assert doubtful.score < agreed.score


def test_roles_limit_whose_evidence_counts(known: Swarm) -> None:
    assert actions(known.query("decode JSON", roles=["coder"])) == ["json"]
    assert actions(known.query("decode JSON", roles={"tester"})) == ["re"]
    assert known.query("decode JSON", roles=["coder"], agents=["eve"]) == []


def test_min_quality_leaves_out_what_did_worse(known: Swarm) -> None:
    assert actions(known.query("decode JSON", min_quality=0.85)) == ["json"]
    assert actions(known.query("decode JSON", min_quality=0.5)) == ["json", "re"]
    assert known.query("decode JSON", min_quality=0.95) == []


def test_grouped_by_agent_each_one_speaks_for_itself(known: Swarm) -> None:
    grouped = known.query("decode JSON", group_by="agent")
    assert {name: actions(hits) for name, hits in grouped.items()} == {"ann": ["json"], "bob": ["json"], "eve": ["re"]}
    assert list(known.query("decode JSON", group_by="agent", roles=["coder"])) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"agents": ["nobody"]}, UnknownIdError, "agent 'nobody' is not registered"),
        ({"agents": ["ann", "\ud800"]}, UnknownIdError, "not registered"),
        ({"roles": ["pilot"]}, UnknownIdError, "no agent has the role 'pilot'"),
        ({"agents": "ann"}, InputError, "must be a collection of names"),
        ({"roles": "coder"}, InputError, "must be a collection of names"),
        ({"k": 0}, BoundsError, "k must be"),
        ({"k": 1001}, BoundsError, "k must be"),
        ({"k": 2.5}, BoundsError, "k must be"),
        ({"k": True}, BoundsError, "k must be"),
        ({"min_quality": 7.5}, BoundsError, "min_quality must be"),
        ({"min_quality": float("nan")}, BoundsError, "min_quality must be"),
        ({"group_by": "role"}, InputError, "group_by must be"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    known: Swarm, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        known.query("decode JSON", **arguments)


def test_retrieve_patterns_filters_by_reward_agents_role_and_task_type(known: Swarm) -> None:
    assert actions(known.retrieve_patterns("decode JSON")) == ["json"]
    assert actions(known.retrieve_patterns("decode JSON", min_reward=0.0)) == ["json", "re"]
    assert actions(known.retrieve_patterns("decode JSON", k=1, min_reward=0.0)) == ["json"]
    assert known.retrieve_patterns("decode JSON", source_agents=["eve"]) == []
    assert actions(known.retrieve_patterns("decode JSON", min_reward=0.0, filters={"role": "tester"})) == ["re"]
    task_type = known.query("decode a JSON document", k=1)[0].task_type
    assert "json" in actions(known.retrieve_patterns("decode JSON", filters={"task_type": task_type}))
    assert known.retrieve_patterns("decode JSON", filters={"task_type": "Nonsense"}) == []


def test_retrieve_patterns_leaves_out_what_is_less_like_the_task(known: Swarm) -> None:
    first, second = known.retrieve_patterns("decode a JSON document", min_reward=0.0)
    assert first.similarity == pytest.approx(1.0)
    assert second.similarity < 0.8
    for least in (0.8, 0.85, 0.9):
        near = known.retrieve_patterns("decode a JSON document", min_reward=0.0, min_similarity=least)
        assert actions(near) == ["json"]
    assert known.retrieve_patterns("something else altogether", min_reward=0.0, min_similarity=0.9) == []


def test_retrieve_patterns_refuses_what_it_does_not_know(known: Swarm) -> None:
    with pytest.raises(InputError, match="filters may hold task_type and role, got colour"):
        known.retrieve_patterns("decode JSON", filters={"colour": "red"})
    with pytest.raises(BoundsError, match="k must be"):
        known.retrieve_patterns("decode JSON", k=0, filters={"task_type": "General"})
    with pytest.raises(BoundsError, match="min_quality"):
        known.retrieve_patterns("decode JSON", min_reward=7.5)
    with pytest.raises(BoundsError, match=r"min_similarity must be in 0\.\.1, got 1\.5"):
        known.retrieve_patterns("decode JSON", min_similarity=1.5)


def test_a_stored_failure_speaks_against_its_action(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("sort a list", "sorted")
    background.drain(0.0)
    [before] = swarm.query("sort a list")
    for _ in range(3):
        swarm.store_pattern("sort a list", "sorted", success=False)
    background.drain(0.0)
    [after] = swarm.query("sort a list")
    assert after.score < before.score
    assert after.failures == 3.0


def test_store_pattern_takes_the_input_into_account(swarm: Swarm, background: Background) -> None:
    swarm.store_pattern("summarise", "short", input="a long report about bees")
    background.drain(0.0)
    [hit] = swarm.query("a report about bees")
    assert hit.examples[0].text == "summarise\na long report about bees"


def test_store_pattern_counts_once_for_each_idempotency_key(swarm: Swarm, background: Background) -> None:
    first = swarm.store_pattern("sort a list", "sorted", idempotency_key="once")
    again = swarm.store_pattern("sort a list", "sorted", idempotency_key="once")
    assert (first.is_new, again.is_new, again.stream_id) == (True, False, first.stream_id)
    background.drain(0.0)
    assert swarm.query("sort a list")[0].outcomes == 1.0


def test_a_process_with_another_embedder_is_told_both_names(known: Swarm, settings: Settings, client: Client) -> None:
    other = Swarm(settings, client=client, embedder=HashedEmbedder(64))
    for call in (
        lambda: other.query("decode JSON"),
        lambda: other.store_pattern("decode JSON", "json"),
        lambda: other.register("zoe"),
    ):
        with pytest.raises(EmbedderMismatchError, match=r"hashed@1 \(64-d\).*hashed@1 \(32-d\)"):
            call()
    assert known.status().pending == 0


def test_two_processes_of_one_swarm_find_the_same(known: Swarm, settings: Settings) -> None:
    other = make_swarm(settings)
    assert other.query("decode JSON") == known.query("decode JSON")
