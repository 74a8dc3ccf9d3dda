"""Agents that did the same task learn each from its own result, against what all of them came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from swarm_support import make_swarm, outcomes_in, present

from swarm.errors import BoundsError, CapacityError, InputError, SwarmError, UnknownIdError
from swarm.services.background import Background
from swarm.services.execution import Agreed, ExecutionReport
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.services.verdict import AgentResult, Threshold
from swarm.settings import Settings
from swarm.sona.consensus import Reliability
from swarm.store.connection import Client

NAMES = ("a", "b", "c", "d", "e")


@pytest.fixture
def team(swarm: Swarm) -> Swarm:
    """A swarm of five agents that have done nothing yet."""
    for name in NAMES:
        swarm.register(name)
    return swarm


def qualities(report: ExecutionReport) -> dict[str, float | None]:
    return {verdict.agent: verdict.quality for verdict in report.agents}


def test_who_agrees_succeeds_who_differs_fails_and_each_has_a_receipt(team: Swarm, background: Background) -> None:
    report = team.learn_from_swarm_execution("add two and two", {"a": "4", "b": "4", "c": "5", "d": " 4 "})
    assert report.answer is not None
    assert report.answer.strip() == "4"
    assert report.agreement == 0.75
    assert report.probability > 0.9
    assert {v.agent: v.agrees for v in report.agents} == {"a": True, "b": True, "c": False, "d": True}
    found = qualities(report)
    assert present(found["a"]) == report.probability
    assert present(found["c"]) < 0.1
    background.drain(0.0)
    for verdict in report.agents:
        assert team.wait(present(verdict.receipt), 1.0).state is ReceiptState.SEARCHABLE
    best = team.query("add two and two", k=1)[0]
    assert best.response.strip() == "4"
    assert {source.agent for source in best.sources} == {"a", "b", "d"}
    assert best.failures == 0.0


def test_an_outcome_needs_both_the_consensus_and_the_agents_own_word(team: Swarm) -> None:
    report = team.learn_from_swarm_execution(
        "add two and two",
        {
            "a": AgentResult(output="4", quality=0.5),
            "b": AgentResult(output="4", success=False),
            "c": AgentResult(output="4"),
            "d": AgentResult(output="5", success=True),
        },
        "majority",
    )
    assert report.probability == 0.75
    assert qualities(report) == {"a": 0.375, "b": 0.0, "c": 0.75, "d": 0.25}


@pytest.mark.parametrize("rule", ["majority", "weighted"])
@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param({"a": "x", "b": "y"}, id="tie"),
        pytest.param({"a": "x", "b": "y", "c": "z"}, id="all different"),
        pytest.param({"a": "x"}, id="one alone"),
        pytest.param({"a": "", "b": " \n"}, id="no answers"),
    ],
)
def test_what_nothing_confirms_counts_as_each_agent_says(team: Swarm, rule: str, outputs: Mapping[str, str]) -> None:
    results = {name: AgentResult(output=text, quality=0.8) for name, text in outputs.items()}
    report = team.learn_from_swarm_execution("a task", results, rule)  # type: ignore[arg-type]  # of both rules
    assert set(qualities(report).values()) == {0.8}
    assert all(verdict.probability is None for verdict in report.agents)


def test_who_neither_reports_nor_is_confirmed_has_no_outcome(team: Swarm) -> None:
    report = team.learn_from_swarm_execution("a task", {"a": "x", "b": "y"})
    assert report.answer is None
    assert [(v.quality, v.receipt) for v in report.agents] == [(None, None)] * 2
    assert team.agents.state("a").accepted == 0


def test_an_agent_without_an_answer_neither_votes_nor_loses_trust(team: Swarm) -> None:
    report = team.learn_from_swarm_execution("a task", {"a": "x", "b": "x", "c": "", "d": "", "e": ""})
    assert (report.answer, report.agreement) == ("x", 1.0)
    assert report.reliabilities["c"] == Reliability().mean
    assert qualities(report)["c"] is None


def test_a_threshold_that_is_not_reached_is_no_consensus(team: Swarm) -> None:
    results = {"a": "x", "b": "x", "c": "y"}
    clear = Threshold(min_probability=0.6, rule="majority")
    assert team.learn_from_swarm_execution("a task", results, clear).answer == "x"
    clearer = Threshold(min_probability=0.7, rule="majority")
    report = team.learn_from_swarm_execution("a task", results, clearer)
    assert report.answer is None
    assert report.probability == pytest.approx(2 / 3)


def test_a_known_answer_judges_everybody_even_if_nobody_gave_it(team: Swarm) -> None:
    report = team.learn_from_swarm_execution("a task", {"a": "x", "b": "x", "c": "z"}, Agreed(answer="z"))
    assert qualities(report) == {"a": 0.0, "b": 0.0, "c": 1.0}
    none = team.learn_from_swarm_execution("a task", {"a": "x"}, Agreed(answer="y"))
    assert (none.answer, none.agreement, qualities(none)) == ("y", 0.0, {"a": 0.0})


def test_a_judge_is_asked_and_may_leave_it_to_the_vote(team: Swarm) -> None:
    asked: list[tuple[str, Mapping[str, str]]] = []

    def judge(answer: str | None) -> Callable[[str, Mapping[str, str]], str | None]:
        def ask(task: str, outputs: Mapping[str, str]) -> str | None:
            asked.append((task, outputs))
            return answer

        return ask

    results = {"a": "x", "b": "x", "c": "z"}
    assert qualities(team.learn_from_swarm_execution("a task", results, judge("z")))["c"] == 1.0
    assert team.learn_from_swarm_execution("a task", results, judge(None)).answer == "x"
    assert asked == [("a task", results)] * 2


def test_reliability_once_known_outvotes_a_colluding_majority(team: Swarm) -> None:
    """Two in five collude; the tasks whose answer was known have shown it."""
    for number in range(12):
        results = dict.fromkeys("abc", f"answer {number}") | dict.fromkeys("de", f"lie {number}")
        team.learn_from_swarm_execution(f"known task {number}", results, Agreed(answer=f"answer {number}"))
    scattered = {"a": "right", "b": "slip", "c": "another slip", "d": "lie", "e": "lie"}
    assert team.learn_from_swarm_execution("a task", scattered | {"b": "right"}).answer == "right"
    report = team.learn_from_swarm_execution("a task", scattered)
    assert report.answer != "lie"
    assert report.reliabilities["a"] > 0.8
    assert report.reliabilities["d"] < 0.2
    assert team.learn_from_swarm_execution("a task", scattered, "majority").probability == 0.4


def test_reliabilities_survive_the_process_that_learned_them(team: Swarm, settings: Settings, client: Client) -> None:
    team.learn_from_swarm_execution("a task", {"a": "x", "b": "y"}, Agreed(answer="x"))
    again = make_swarm(settings, client)
    assert again.reliability.read() == {"a": Reliability(n=1.0, right=1.0), "b": Reliability(n=1.0, right=0.0)}


def test_the_order_of_the_results_does_not_matter(team: Swarm, settings: Settings) -> None:
    results = {"a": "x", "b": "y", "c": "x"}
    one = team.learn_from_swarm_execution("a task", results, "majority")
    other = team.learn_from_swarm_execution("a task", dict(reversed(results.items())), "majority")
    assert [(v.agent, v.quality) for v in one.agents] == [(v.agent, v.quality) for v in other.agents]


def test_a_repeated_call_has_one_effect_and_the_first_verdict_holds(team: Swarm) -> None:
    results = {"a": "x", "b": "x", "c": "y"}
    first = team.learn_from_swarm_execution("a task", results, "majority", idempotency_key="one")
    again = team.learn_from_swarm_execution("a task", results, Agreed(answer="y"), idempotency_key="one")
    assert qualities(again) == qualities(first)
    assert again.reliabilities == first.reliabilities
    assert [present(v.receipt).is_new for v in again.agents] == [False] * 3
    assert team.agents.state("a").accepted == 1
    with pytest.raises(InputError, match="'one' was used for other results"):
        team.learn_from_swarm_execution("a task", {"a": "z", "b": "x", "c": "y"}, idempotency_key="one")


def test_a_call_that_was_cut_off_is_finished_by_the_next_one(
    settings: Settings, client: Client, background: Background
) -> None:
    swarm = make_swarm(settings.model_copy(update={"max_pending": 1}), client)
    for name in "abc":
        swarm.register(name)
    swarm.store_pattern("another task", "something", agent="b")
    results = {"a": "x", "b": "x", "c": "x"}
    with pytest.raises(CapacityError):
        swarm.learn_from_swarm_execution("a task", results, idempotency_key="one")
    background.drain(0.0)
    report = swarm.learn_from_swarm_execution("a task", results, idempotency_key="one")
    background.drain(0.0)
    assert [present(v.receipt).is_new for v in report.agents] == [False, True, True]
    assert [outcomes_in(swarm.agents.clusters(name)) for name in "abc"] == [1.0, 2.0, 1.0]
    assert swarm.reliability.read()["a"].n == 1.0


def test_texts_can_be_the_same_by_a_callers_word_or_by_their_embeddings(team: Swarm) -> None:
    results = {"a": "Paris", "b": "PARIS", "c": "paris", "d": "Rome"}

    def same(one: str, other: str) -> bool:
        return one.casefold() == other.casefold()

    assert team.learn_from_swarm_execution("a capital", results, "majority").answer is None
    assert team.learn_from_swarm_execution("a capital", results, "majority", same=same).agreement == 0.75
    long = {"a": "use the json module", "b": "use the json module.", "c": "write a compiler of your own"}
    report = team.learn_from_swarm_execution("decode", long, same=0.8)
    assert [v.agrees for v in report.agents] == [True, True, False]


def test_what_cannot_be_judged_is_refused_before_anything_is_stored(team: Swarm) -> None:
    learn = team.learn_from_swarm_execution
    with pytest.raises(UnknownIdError, match="'nobody' is not registered"):
        learn("a task", {"a": "x", "nobody": "x"})
    refused: list[tuple[object, object, dict[str, object], type[SwarmError], str]] = [
        ({}, "weighted", {}, InputError, "results must be of 1..1000 agents, got 0"),
        (["x"], "weighted", {}, InputError, "results must map agents"),
        ({"a": "x"}, "wieghted", {}, InputError, "consensus must be 'majority'"),
        ({"a": 3}, "weighted", {}, InputError, "results of 'a' must be an AgentResult or a text"),
        ({"a": AgentResult(output="x", quality=1.5)}, "weighted", {}, BoundsError, "quality of 'a'"),
        (
            {"a": AgentResult(output="x", quality=1.0, success=True)},
            "weighted",
            {},
            InputError,
            "success .* or quality",
        ),
        ({"a": AgentResult(output="x", latency_ms=-1.0)}, "weighted", {}, BoundsError, "latency_ms of 'a'"),
        ({"a": "x", "b": "y"}, "weighted", {"same": 2.0}, BoundsError, "same"),
        ({"a": "x", "b": "y", "c": "z"}, "weighted", {"choices": 2}, BoundsError, "choices"),
        ({"a": "x"}, "weighted", {"idempotency_key": ""}, InputError, "idempotency_key"),
        ({"a": "x"}, Agreed(answer=" "), {}, InputError, "consensus"),
    ]
    for results, consensus, options, kind, words in refused:
        with pytest.raises(kind, match=words):
            learn("a task", results, consensus, **options)  # type: ignore[arg-type]  # what is wrong is the point
    assert team.reliability.read() == {}
    assert team.agents.state("a").accepted == 0
