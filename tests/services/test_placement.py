"""Learned placement: tasks go to whoever does them best, less to the loaded, a few to the new, and it says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from swarm_support import DIM

from swarm.errors import InputError, UnknownIdError
from swarm.services.background import Background
from swarm.services.placement import MAX_CANDIDATES, Placement, candidates_of, choose
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm.sona.standing import Verdict
from swarm_agents import Agent

TAU = SonaConfig(dim=DIM).temperature
DOMAINS = {
    "ada": ["parse a date from a log line", "convert a date to another time zone", "parse a time stamp of a log"],
    "bob": ["resize a picture for the web", "crop a picture to a square", "rotate a picture by ninety degrees"],
}
QUESTIONS = {"ada": "parse the date of a log line", "bob": "crop a picture for the web"}
Submit = Callable[[str, str], Placement]


@pytest.fixture
def known(swarm: Swarm, background: Background) -> Swarm:
    """Two agents that did each other's tasks too, each well in its own domain and badly in the other's."""
    for name in DOMAINS:
        with Agent(name, role="coder", swarm=swarm) as agent:
            for _ in range(4):
                for expert, texts in DOMAINS.items():
                    for text in texts:
                        advice = agent.before_task(text)
                        agent.after_task(advice.trajectory_id, success=expert == name, output=f"{name}: {text}")
    background.drain(0.0)
    return swarm


@pytest.fixture
def submit(known: Swarm) -> Submit:
    def submit(text: str, key: str) -> Placement:
        receipt = known.submit(text, role="coder", place="learned", idempotency_key=key)
        assert receipt.placement is not None
        return receipt.placement

    return submit


def placed(submit: Submit, expert: str) -> Placement:
    """The placement of a task of an expert's domain, one that is not explored by chance."""
    return next(
        placement
        for number in range(100)
        if (placement := submit(QUESTIONS[expert], f"{expert}-{number}")).reason == "best"
    )


@pytest.mark.parametrize("expert", DOMAINS)
def test_a_task_goes_to_whoever_does_such_tasks_best_and_says_why(known: Swarm, submit: Submit, expert: str) -> None:
    placement = placed(submit, expert)
    first, second = placement.candidates
    assert (placement.agent, first.agent, placement.considered) == (expert, expert, 2)
    assert first.expected_quality > 0.7 > 0.45 > second.expected_quality
    assert min(first.evidence, second.evidence) > 1.0
    assert placement.why.startswith(f"{expert} has the best score of 2: expected quality 0.")
    task = known.tasks.claim("coder", "worker-1", 60.0)
    assert task is not None
    assert Placement.of(task.record.placement).agent == task.record.agent


def test_a_loaded_expert_yields_to_the_second_best_and_is_back_when_its_tasks_are_done(
    known: Swarm, submit: Submit
) -> None:
    first = placed(submit, "ada")
    gap = first.candidates[0].expected_quality - first.candidates[1].expected_quality
    for _ in range(int(gap / 0.02) + 2):
        known.submit("anything", role="coder", agent="ada")
    yielded = placed(lambda text, key: submit(text, f"{key}-loaded"), "ada")
    assert yielded.agent == "bob"
    assert yielded.candidates[1].load > yielded.candidates[0].load
    while (task := known.tasks.claim("coder", "worker-1", 60.0)) is not None:
        known.tasks.succeed(task, None)
    assert placed(lambda text, key: submit(text, f"{key}-done"), "ada").agent == "ada"


def test_the_choice_is_in_the_record_and_the_first_one_holds(known: Swarm, background: Background) -> None:
    text = QUESTIONS["ada"]
    first = known.submit(text, role="coder", place="learned", idempotency_key="k")
    assert first.placement is not None
    for _ in range(60):
        known.submit("anything", role="coder", agent=first.placement.agent)
    again = known.submit(text, role="coder", place="learned", idempotency_key="k")
    assert (again.id, again.is_new, again.placement) == (first.id, False, first.placement)
    record = known.tasks.find(first.id).record
    assert (record.agent, Placement.of(record.placement)) == (first.placement.agent, first.placement)
    assert first.as_dict()["placement"]["why"] == first.placement.why


def test_a_new_agent_is_not_starved_and_not_flooded(known: Swarm) -> None:
    known.register("new", "coder")
    chosen = Counter(known.place(QUESTIONS["ada"], "coder", seed=str(number)).agent for number in range(400))
    assert 8 <= chosen["new"] <= 40
    assert chosen["ada"] + chosen["new"] == 400


def test_where_nothing_is_known_the_load_decides(swarm: Swarm) -> None:
    for name in ("ada", "bob", "eve"):
        swarm.register(name, "coder")
    chosen = []
    for number in range(30):
        receipt = swarm.submit(f"task {number}", role="coder", place="learned")
        assert receipt.placement is not None
        chosen.append(receipt.placement.agent)
    assert set(Counter(chosen).values()) == {10}


def test_whose_feedback_is_not_believed_is_taken_only_where_there_is_no_other() -> None:
    verdicts = {"bad": Verdict.QUARANTINED, "good": Verdict.TRUSTED}
    for seed in map(str, range(50)):
        assert choose([], {"good": 30}, verdicts, TAU, seed).agent == "good"
    alone = choose([], {}, {"bad": Verdict.QUARANTINED}, TAU, "")
    assert (alone.agent, alone.reason, alone.why) == ("bad", "only", "bad is the only candidate")


def test_of_a_crowd_the_known_and_some_others_are_candidates(known: Swarm) -> None:
    crowd = [f"agent-{number:04}" for number in range(1000)]
    known.replica.refresh()
    near = known.replica.nearest(known.embed(QUESTIONS["ada"]), 256)
    found = [candidates_of(near, [*crowd, "ada", "bob"], str(seed)) for seed in range(20)]
    assert all(len(names) == MAX_CANDIDATES and {"ada", "bob"} <= set(names) for names in found)
    assert len(set().union(*found)) > 10 * MAX_CANDIDATES
    verdicts = dict.fromkeys(found[0], Verdict.TRUSTED)
    placement = choose(near, {}, verdicts, TAU, "seed")
    assert (placement.considered, len(placement.candidates)) == (MAX_CANDIDATES, 10)
    assert Placement.of(placement.as_dict()) == placement


def test_a_placement_survives_its_record(known: Swarm) -> None:
    placement = known.place(QUESTIONS["bob"], "coder", seed="x")
    changed = replace(placement, reason="explored")
    assert Placement.of(changed.as_dict()) == changed
    assert "is tried: least is known of it" in changed.why


def test_bad_input_is_refused(known: Swarm) -> None:
    with pytest.raises(UnknownIdError, match="no agent has the role 'tester'"):
        known.submit("x", role="tester", place="learned")
    with pytest.raises(UnknownIdError, match="agent 'eve' is not registered"):
        known.place("x", "coder", agents=["eve"])
    with pytest.raises(InputError, match=r"place must be 'learned', got 'anyhow'"):
        known.submit("x", role="coder", place="anyhow")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InputError, match=r"place must not be given with an agent, got agent 'ada'"):
        known.submit("x", role="coder", agent="ada", place="learned")
    with pytest.raises(InputError, match="place needs what was learned"):
        known.tasks.submit("x", role="coder", place="learned")
    assert known.tasks.counts() == ()
