"""Finetuning: examples of a named task are outcomes as all others, learned at once, gated, and reported on others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sona_support import near, unit_vectors

from swarm.embed.function import CallableEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.errors import CapacityError, InputError, StoreUnavailableError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.reservoir import HELD_OUT_EVERY, priority_of
from swarm.sona.vectors import Vector, unit
from swarm.store.connection import Client
from swarm_agents import Agent, FinetuneReport
from swarm_agents.lessons import MAX_EXAMPLES, lessons_of, split, trajectory_id

DIM = 32
CENTRES = unit_vectors(np.random.default_rng(1), 12, DIM)
CONFIG = SonaConfig(dim=DIM, base_lora_lr=0.01)


def vector_of(text: str) -> Vector:
    """`at home K` is prototype K. `review K N` and `triage K N` lie there, and of even K beyond the next prototype.

    Half of what is asked is where the library says: who says otherwise everywhere would not be believed.
    """
    words = text.split()
    if words[:2] == ["at", "home"]:
        return unit(CENTRES[int(words[2])])
    if words[0] in ("review", "triage") and len(words) == 3:
        k = int(words[1])
        towards = np.float32(1.2 * (k % 2 == 0)) * CENTRES[(k + 1) % 12]
        rng = np.random.default_rng([ord(words[0][0]), k, int(words[2])])
        return near(rng, unit(CENTRES[k] + towards), 0.5)
    return unit(unit_vectors(np.random.default_rng(len(text)), 1, DIM)[0])


def examples(task: str, n: int, **values: object) -> list[dict[str, object]]:
    """Six answers of each task, one after the other."""
    first = 0 if task == "review" else 6
    return [
        {"input": f"{task} {first + i % 6} {i}", "output": f"do {first + i % 6}", "reward": 1.0, **values}
        for i in range(n)
    ]


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    """One whose library knows twelve answers."""
    identity = EmbedderIdentity(id="world", dim=DIM, version="1")
    embedder = CallableEmbedder(lambda texts: [vector_of(text) for text in texts], identity)
    made = Swarm(settings, client=client, embedder=embedder)
    for k in range(12):
        made.store_pattern(f"at home {k}", f"do {k}")
    Background(settings, client).drain(0.0)
    return made


@pytest.fixture
def agent(swarm: Swarm) -> Agent:
    return Agent("ada", swarm=swarm, config=CONFIG)


def top1(agent: Agent, task: str) -> float:
    """Share of new queries for which the hooks advise the right answer first."""
    first = 0 if task == "review" else 6
    right = []
    for i in range(60):
        advice = agent.before_task(f"{task} {first + i % 6} {5_000 + i}", k=1)
        agent.abandon(advice.trajectory_id)
        right.append(advice.best is not None and advice.best.response == f"do {first + i % 6}")
    return float(np.mean(right))


def test_two_tasks_one_after_the_other_are_learned_and_the_first_is_kept(agent: Agent, swarm: Swarm) -> None:
    start = top1(agent, "review")
    first = agent.finetune("review", examples("review", 240), epochs=10)
    after_first = top1(agent, "review")
    second = agent.finetune("triage", examples("triage", 240), epochs=10)
    assert (first.update, second.update) == ("promoted", "promoted")
    assert (first.is_new_task, second.is_new_task) == (False, True)
    assert after_first > start + 0.2
    assert top1(agent, "review") > after_first - 0.05
    for report in (first, second):
        assert report.recorded + report.before.n == report.examples == 240
        assert report.before.n == report.after.n > 10
        assert report.after.top1 > report.before.top1 + 0.1
        assert report.after.mrr > report.before.mrr
        assert (report.loss_after or 0.0) < (report.loss_before or 0.0)
        assert report.judges >= 5
    newest = swarm.history("ada")[0]
    assert newest.version == second.generations[-1] == agent.generation
    assert newest.figures["tasks"] == 1


def test_examples_count_once_and_a_second_call_with_them_changes_nothing(agent: Agent, swarm: Swarm) -> None:
    given = examples("review", 60)
    first = agent.finetune("review", [*given, given[0]], epochs=2)
    again = agent.finetune("review", given, epochs=2)
    assert first.examples == 60
    assert (again.recorded, again.known, again.generations) == (0, first.recorded, ())
    assert again.why == "nothing new: every example was recorded before"
    assert again.before == again.after == first.after
    # Part of them were new: as after a call that was killed half way.
    more = agent.finetune("review", examples("review", 80), epochs=2)
    assert more.known == first.recorded
    assert swarm.agents.state("ada").consolidated == first.recorded + more.recorded
    assert not more.is_new_task


def test_answers_that_nobody_knows_found_their_patterns_first(agent: Agent, swarm: Swarm) -> None:
    def new(example: dict[str, object]) -> dict[str, object]:
        return {**example, "output": f"{example['output']} anew"}

    report = agent.finetune("review", [new(example) for example in examples("review", 120)], epochs=5)
    assert len(report.generations) == 2
    assert report.before.top1 == 0.0
    # The library's answers, which are right for these tasks too, stay beside them.
    assert report.after.mrr > 0.5
    founding, training = (swarm.history("ada")[row].figures for row in (1, 0))
    assert founding["trained_on"] == 0
    assert training["trained_on"] > 0


def test_epochs_are_the_passes_of_the_base_tier(agent: Agent, swarm: Swarm) -> None:
    def moved(name: str, epochs: int) -> float:
        learner = Agent(name, swarm=swarm, config=replace(CONFIG, base_lora_lr=0.002))
        report = learner.finetune("review", examples("review", 120), epochs=epochs)
        assert report.update == "promoted"
        assert learner.config.base_epochs == CONFIG.base_epochs
        return sum(float(np.abs(pair.up).sum()) for pair in learner.adapter.base)

    assert moved("bob", 20) > 3.0 * moved("eve", 1)


def test_an_update_that_is_refused_is_reported(agent: Agent) -> None:
    """Feedback that is right nowhere: each example says that the answer of another one worked."""
    lies = [{**example, "output": f"do {(i * 7 + 3) % 12}"} for i, example in enumerate(examples("review", 200))]
    report = agent.finetune("review", lies, epochs=10)
    assert report.update == "refused"
    assert report.why.startswith("refused: ")
    assert all(pair.is_untrained for pair in agent.adapter.base)


def test_what_waits_from_before_belongs_to_no_finetuning(agent: Agent, swarm: Swarm) -> None:
    for i in range(3):
        agent.after_task(agent.before_task(f"review 0 {i}").trajectory_id, success=True, output="do 0")
    report = agent.finetune("triage", examples("triage", 40))
    assert swarm.history("ada")[-1].outcomes == 3
    assert report.generations == (2,)
    assert report.is_new_task


BAD: list[tuple[dict[str, Any], str]] = [
    ({"task": " "}, "task must hold more than white space"),
    ({"epochs": 0}, "epochs must be in 1..100, got 0"),
    ({"hold_out": 0.95}, "hold_out must be in 0..0.9, got 0.95"),
    ({"examples": "text"}, "examples must be a sequence of mappings, got str"),
    ({"examples": [3]}, r"examples\[0\] must be a mapping, got int"),
    ({"examples": [{"output": "x"}]}, r"examples\[0\] must hold input or task"),
    ({"examples": [{"input": "x"}]}, r"examples\[0\] must hold output"),
    ({"examples": [{"input": "x", "output": "y", "reward": 2.0}]}, r"examples\[0\]: reward must be in 0..1, got 2"),
    ({"examples": [{"input": "x", "output": "y", "reward": 1, "quality": 1}]}, "reward or quality, not both"),
    ({"examples": [{"input": "x", "output": "y", "label": 1}]}, "got 'label'"),
]


def test_what_cannot_be_learned_is_refused_and_nothing_is_recorded(agent: Agent, swarm: Swarm) -> None:
    for changes, message in BAD:
        values = {"task": "review", "examples": examples("review", 2), **changes}
        with pytest.raises(InputError, match=message):
            agent.finetune(values.pop("task"), values.pop("examples"), **values)
    assert swarm.agents.state("ada").accepted == 0


def test_more_examples_than_the_bound_are_refused() -> None:
    endless = ({"input": str(number), "output": "x"} for number in range(10**9))
    with pytest.raises(CapacityError, match=f"examples must be {MAX_EXAMPLES:,} at most"):
        lessons_of(endless, "review", "ada")


def test_without_redis_nothing_is_learned(new_agent: Callable[..., Agent], own_redis: Any) -> None:
    agent = new_agent()
    own_redis.kill()
    with pytest.raises(StoreUnavailableError, match="nothing was learned"):
        agent.finetune("review", [{"input": "a", "output": "b"}])


def test_the_split_hangs_on_the_examples_alone() -> None:
    lessons = lessons_of(examples("review", 200), "review", "ada")
    parts = split(lessons, 0.1, ())
    assert sum(map(len, (parts.founding, parts.training, parts.judges, parts.aside))) == 200
    assert split(lessons[::-1], 0.1, ()).aside == parts.aside[::-1]
    assert 5 <= len(parts.judges) <= 20
    for lesson in parts.judges:
        assert priority_of(trajectory_id(lesson.key, True)) % HELD_OUT_EVERY == 0
        assert priority_of(trajectory_id(lesson.key, False)) % HELD_OUT_EVERY != 0
    assert split(lessons, 0.0, ()).aside == ()


def test_a_report_is_plain_values(agent: Agent) -> None:
    report = agent.finetune("review", examples("review", 12))
    assert isinstance(report, FinetuneReport)
    assert report.as_dict()["before"].keys() == {"n", "top1", "mrr"}
