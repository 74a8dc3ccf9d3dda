"""What one agent's adapter has learned bends the queries of the others, where that agent knows what they ask for."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence

import numpy as np
import pytest
from support import PrivateRedis
from swarm_support import DIM, present, some_vector

from swarm.embed import CallableEmbedder, EmbedderIdentity, HashedEmbedder
from swarm.errors import BoundsError
from swarm.services.background import Background
from swarm.services.hits import PatternHit
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.adapter import Adapter
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.instant import outcome_step
from swarm.sona.lora import LoraPair
from swarm.sona.standing import Verdict
from swarm.sona.vectors import Vector
from swarm.store.connection import Client, connect
from swarm.wire.codec import encode
from swarm.wire.records import Weights, encode_weights
from swarm_agents import Agent

CONFIG = SonaConfig(dim=DIM)
ROUND = 240
FIELDS = {"ann": (1, 2), "bob": (3, 4)}
"""What each of them works on: tasks between two answers."""


def meaning(texts: list[str]) -> list[Vector]:
    """`0.7@1 0.5@2` lies between directions 1 and 2, nearer to the former; other texts mean what they say."""
    return [_sum(text) if "@" in text else HashedEmbedder(DIM).embed_one(text) for text in texts]


def _sum(text: str) -> Vector:
    parts = [part.split("@") for part in text.split()]
    return np.asarray(sum(np.float32(weight) * some_vector(int(seed)) for weight, seed in parts), dtype=np.float32)


def task_of(name: str, number: int, *, is_left: bool, noise: float = 0.1) -> str:
    """A task in an agent's field: hardly nearer to the right answer, but there is a mark to be learned."""
    left, right = FIELDS[name]
    more, less, mark = (left, right, 0.3) if is_left else (right, left, -0.3)
    return f"0.62@{more} 0.58@{less} {mark}@{10 + left} {noise}@{1000 * left + number}"


QUESTIONS = {name: task_of(name, 999, is_left=True, noise=1.0) for name in FIELDS}
"""A task in each field that is unlike those that were done: there the ranking hangs on how the query is bent."""


@pytest.fixture(autouse=True)
def numbered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trajectories have the same ids in every run: these decide which outcomes are held out to judge new weights."""
    numbers = itertools.count(1)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers)))


def a_swarm(settings: Settings, client: Client) -> Swarm:
    """A swarm whose library has given each answer once, for what it fits best."""
    identity = EmbedderIdentity(id="places", dim=DIM, version="1")
    swarm = Swarm(settings, client=client, embedder=CallableEmbedder(meaning, identity))
    for number in (1, 2, 3, 4):
        swarm.store_pattern(f"1@{number}", f"answer {number}")
    Background(settings, client).drain(0.0)
    return swarm


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return a_swarm(settings, client)


def work(swarm: Swarm, background: Background, name: str) -> None:
    """An agent does a round of tasks in its field, trying both answers, and its new weights are published."""
    agent = Agent(name, swarm=swarm)
    for number in range(ROUND):
        is_left = number // 2 % 2 == 0
        advice = agent.before_task(task_of(name, number, is_left=is_left))
        tried = FIELDS[name][number % 2]
        [hit] = [hit for hit in advice.patterns if hit.response == f"answer {tried}"]
        agent.after_task(advice.trajectory_id, success=(number % 2 == 0) == is_left, used=hit)
    background.drain(0.0)
    state = swarm.agents.state(name)
    assert (state.verdict, state.weights_generation) == (Verdict.TRUSTED, state.generation)
    assert swarm.bank.experts()[name] == state.generation


def a_guest(swarm: Swarm) -> Agent:
    """An agent that has learned nothing itself, and looks at Redis at every hook."""
    return Agent("guest", swarm=swarm, refresh_interval=0.0)


def new_process(swarm: Swarm) -> Swarm:
    """The swarm as a process that begins now sees it: it loads the bank in one order, and adds up to the same bits."""
    return Swarm(swarm.settings, client=swarm.client, embedder=swarm.embedder)


def advised(agent: Agent, name: str = "ann") -> tuple[PatternHit, ...]:
    """What an agent is advised in somebody's field."""
    return agent.before_task(QUESTIONS[name]).patterns


def scores(patterns: Sequence[PatternHit]) -> dict[str, float]:
    return {hit.response: hit.share for hit in patterns}


def own_adapter(swarm: Swarm, name: str) -> Adapter:
    """What a process of that agent begins with."""
    adapter = Adapter.initial(CONFIG, np.random.default_rng(CONFIG.seed))
    adapter.set_base(present(swarm.agents.weights(name)).base)
    return adapter


def ranked(swarm: Swarm, question: str, y: Vector, asker: str) -> dict[str, float]:
    """The shares for a query that is bent to `y`."""
    hits = swarm.replica.rank(swarm.embed(question), 5, y=y, asker=asker)
    return {hit.pattern.response: hit.share for hit in hits}


def test_what_one_agent_has_learned_bends_the_queries_of_all_in_its_field(swarm: Swarm, background: Background) -> None:
    work(swarm, background, "ann")
    work(swarm, background, "bob")
    for name in FIELDS:
        query, adapter = swarm.embed(QUESTIONS[name]), own_adapter(swarm, name)
        right, wrong = (some_vector(number) for number in FIELDS[name])
        bent = adapter.apply(query)
        assert float(bent.dot(right - wrong)) > float(query.dot(right - wrong))
        frozen = scores(swarm.query(QUESTIONS[name]))
        for asker in ("ann", "bob", "guest"):
            agent = Agent(asker, swarm=swarm)
            found = scores(advised(agent, name))
            assert found == pytest.approx(ranked(swarm, QUESTIONS[name], bent, asker), abs=1e-6)
            # It is another ranking, and a better one, than without: by far more than the tolerance.
            assert found[f"answer {FIELDS[name][0]}"] > frozen[f"answer {FIELDS[name][0]}"] + 1e-4
        assert Agent("guest", swarm=swarm).adapter.trained == ()
    # Each by its own: the other's adapter would do something else there.
    query = swarm.embed(QUESTIONS["ann"])
    assert np.abs(own_adapter(swarm, "ann").apply(query) - own_adapter(swarm, "bob").apply(query)).max() > 1e-3


def test_an_agent_alone_is_advised_by_its_own_adapter_exactly(swarm: Swarm, background: Background) -> None:
    work(swarm, background, "ann")
    agent = Agent("ann", swarm=swarm)
    for _ in range(3):
        advice = agent.before_task(QUESTIONS["ann"])
        agent.after_task(advice.trajectory_id, success=False, used=advice.best)
    assert len(agent.adapter.trained) > len(own_adapter(swarm, "ann").trained)
    for question in (*QUESTIONS.values(), "decode a JSON document"):
        query = swarm.embed(question)
        expected = ranked(swarm, question, agent.adapter.apply(query), "ann")
        assert scores(agent.before_task(question).patterns) == expected
    assert scores(advised(agent)) != scores(swarm.query(QUESTIONS["ann"]))


def test_whose_experience_does_not_count_does_not_bend_the_query_either(swarm: Swarm, background: Background) -> None:
    work(swarm, background, "ann")
    work(swarm, background, "bob")
    guest, question = Agent("guest", swarm=swarm), QUESTIONS["ann"]
    query = swarm.embed(question)
    found = scores(guest.before_task(question, agents=["ann", "library"]).patterns)
    hits = swarm.replica.rank(query, 5, y=query, agents=["ann", "library"], asker="guest")
    assert found == {hit.pattern.response: hit.share for hit in hits}
    # Bent by ann's adapter it would be another ranking.
    bent = swarm.replica.bend(query, guest.adapter, "guest")
    others = swarm.replica.rank(query, 5, y=bent, agents=["ann", "library"], asker="guest")
    assert found != pytest.approx({hit.pattern.response: hit.share for hit in others}, abs=1e-6)


def test_a_newcomer_learns_at_once_from_where_the_experts_have_bent_its_query(
    swarm: Swarm, background: Background
) -> None:
    work(swarm, background, "ann")
    guest, twin = a_guest(swarm), own_adapter(swarm, "ann")
    advice = guest.before_task(QUESTIONS["ann"])
    query, best = swarm.embed(QUESTIONS["ann"]), present(advice.best)
    guest.after_task(advice.trajectory_id, success=False, used=best)
    assert outcome_step(twin, swarm.replica.index, query, best.action, 0.0, CONFIG)
    np.testing.assert_allclose(guest.adapter.micro.up, twin.micro.up, rtol=1e-4, atol=1e-8)
    unbent = Adapter.initial(CONFIG, np.random.default_rng(CONFIG.seed))
    assert outcome_step(unbent, swarm.replica.index, query, best.action, 0.0, CONFIG)
    assert not np.allclose(guest.adapter.micro.up, unbent.micro.up, rtol=1e-3, atol=1e-8)


def test_a_rollback_of_one_agent_gives_the_others_back_the_very_advice(swarm: Swarm, background: Background) -> None:
    work(swarm, background, "ann")
    guest = a_guest(new_process(swarm))
    expected = advised(guest)
    assert scores(expected) != scores(swarm.query(QUESTIONS["ann"]))
    version = swarm.agents.state("ann").generation
    work(swarm, background, "ann")
    assert advised(guest) != expected
    swarm.rollback("ann", version)
    background.drain(0.0)
    assert advised(guest) == expected
    assert advised(a_guest(new_process(swarm))) == expected


def test_an_agent_that_is_taken_back_bends_nobody_any_more(swarm: Swarm, background: Background) -> None:
    guest = a_guest(swarm)
    before = advised(guest)
    work(swarm, background, "ann")
    assert scores(advised(guest)) != scores(swarm.query(QUESTIONS["ann"]))
    swarm.rewind(agent="ann")
    assert advised(guest) == before
    assert list(before) == swarm.query(QUESTIONS["ann"])


@pytest.mark.parametrize("record", [b"junk", encode("experts", {"ann": -1}), b"\x93\xa7experts\x09\x80"])
def test_experts_that_cannot_be_read_do_not_break_the_hooks(
    swarm: Swarm, background: Background, client: Client, record: bytes
) -> None:
    guest = a_guest(swarm)
    work(swarm, background, "ann")
    expected = advised(guest)
    client.hset(swarm.keys.meta, "experts", record)
    # Whoever has seen this bank already has no need to look.
    assert guest.before_task(QUESTIONS["ann"]).is_fresh
    late = Agent("late", swarm=new_process(swarm))
    advice = late.before_task(QUESTIONS["ann"])
    assert not advice.is_fresh
    # The bank's patterns as they are: what is known is found, unbent.
    assert list(advice.patterns) == late.swarm.query(QUESTIONS["ann"])
    assert late.after_task(advice.trajectory_id, success=True, used=advice.best).stream_id
    assert "experts" in late.health().last_error
    assert advised(guest) == expected
    # The next merge mends it.
    background.drain(0.0)
    assert late.refresh()
    assert swarm.bank.experts() == {"ann": 1}
    mended = a_guest(late.swarm)
    assert scores(advised(mended)) != scores(late.swarm.query(QUESTIONS["ann"]))


@pytest.mark.parametrize("is_whole", [False, True], ids=["damaged", "diverged"])
def test_an_adapter_that_went_wrong_is_no_trouble_of_the_others(
    swarm: Swarm, background: Background, client: Client, is_whole: bool
) -> None:
    work(swarm, background, "ann")
    pair = LoraPair(np.full((1, DIM), 1e15, dtype=np.float32), np.full((1, DIM), 1e10, dtype=np.float32), 1.0)
    record = encode_weights(Weights(base=(pair,), ewc=EwcMemory.empty()))
    client.set(swarm.keys.agent("ann").weights, record if is_whole else b"junk")
    guest = a_guest(swarm)
    advice = guest.before_task(QUESTIONS["ann"])
    assert advice.is_fresh
    assert list(advice.patterns) == swarm.query(QUESTIONS["ann"])
    assert guest.after_task(advice.trajectory_id, success=True, used=advice.best).stream_id
    # It is its own agent's, who hears of it.
    ann = Agent("ann", swarm=swarm)
    if is_whole:
        with pytest.raises(BoundsError, match="diverged"):
            ann.before_task(QUESTIONS["ann"])
    else:
        assert not ann.before_task(QUESTIONS["ann"]).is_fresh
        assert "weights" in ann.health().last_error


def test_without_redis_others_are_still_bent(own_settings: Settings, own_redis: PrivateRedis) -> None:
    swarm = a_swarm(own_settings, connect(own_settings))
    work(swarm, Background(own_settings, connect(own_settings)), "ann")
    guest = a_guest(swarm)
    expected = advised(guest)
    assert scores(expected) != scores(swarm.query(QUESTIONS["ann"]))
    own_redis.kill()
    advice = guest.before_task(QUESTIONS["ann"])
    assert (advice.patterns, advice.is_fresh) == (expected, False)
