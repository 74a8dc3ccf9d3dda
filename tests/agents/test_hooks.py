"""The hooks before and after a task."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from swarm_support import DIM, outcomes_in

from swarm.embed import HashedEmbedder
from swarm.errors import BoundsError, CapacityError, EmbedderMismatchError, InputError, TextError, UnknownIdError
from swarm.services.background import Background
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.sona.clusters import action_of
from swarm.sona.config import SonaConfig
from swarm.store import outcomes as outcomes_module
from swarm.store.erase import erase_swarm
from swarm.wire.records import decode_trajectory
from swarm_agents import Agent
from swarm_agents import agent as agent_module


def recorded(swarm: Swarm, agent: str = "coder-1") -> list[Any]:
    """The trajectories in an agent's stream."""
    return [decode_trajectory(record) for _, record in swarm.outcomes(agent).read_after("0-0", 1000)]


def test_what_one_agent_did_the_others_find_with_its_name(swarm: Swarm, agent: Agent, background: Background) -> None:
    advice = agent.before_task("decode a JSON document")
    assert (advice.patterns, advice.best, advice.route, advice.is_fresh) == ((), None, None, True)
    receipt = agent.after_task(advice.trajectory_id, success=True, output="use json")
    assert (receipt.state, receipt.is_new) == (ReceiptState.ACCEPTED, True)
    background.drain(0.0)
    assert agent.receipt(receipt.idempotency_key).state is ReceiptState.SEARCHABLE
    other = Agent("tester-1", role="tester", swarm=swarm)
    best = other.before_task("decode JSON documents").best
    assert best is not None
    assert (best.response, best.sources[0].agent, best.sources[0].role) == ("use json", "coder-1", "coder")
    assert best.trajectory_ids == (advice.trajectory_id,)


def test_a_trajectory_of_a_given_id_begins_anew_whoever_had_it(swarm: Swarm, agent: Agent) -> None:
    assert agent.before_task("decode a JSON document", trajectory_id="task-1").trajectory_id == "task-1"
    agent.step("task-1", 0.5)
    successor = Agent(agent.name, role="coder", swarm=swarm)
    successor.before_task("encode a JSON document", trajectory_id="task-1")
    assert swarm.client.hlen(swarm.keys.agent(agent.name).open) == 1
    successor.after_task("task-1", success=True, output="json")
    assert swarm.client.hlen(swarm.keys.agent(agent.name).open) == 0
    [outcome] = recorded(swarm)
    assert (outcome.id, outcome.text, outcome.steps) == ("task-1", "encode a JSON document", ())
    for bad in ("", "a\0b", "x" * 201):
        with pytest.raises(InputError, match="trajectory_id must be 1-200"):
            agent.before_task("x", trajectory_id=bad)


def test_an_outcome_is_recorded_as_it_was_reported(known: Swarm, agent: Agent) -> None:
    advice = agent.before_task("decode a JSON document")
    best = advice.best
    assert best is not None
    agent.after_task(
        advice.trajectory_id, quality=0.75, used=best, route="model-a", latency_ms=12.5, cost=0.25, idempotency_key="k"
    )
    [outcome] = recorded(known)
    assert (outcome.id, outcome.text, outcome.quality) == (advice.trajectory_id, "decode a JSON document", 0.75)
    assert (outcome.action, outcome.response) == (action_of("json"), "json")
    assert (outcome.route, outcome.latency_ms, outcome.cost, outcome.agent) == ("model-a", 12.5, 0.25, "coder-1")
    assert (outcome.embedding == known.embed("decode a JSON document")).all()
    assert outcome.task_type == advice.task_type
    assert outcome.context["pattern"] == best.pattern_id
    assert outcome.at_s > 0.0


@pytest.mark.parametrize("as_id", [False, True])
def test_a_pattern_is_named_by_the_hit_or_by_its_id(known: Swarm, agent: Agent, as_id: bool) -> None:
    advice = agent.before_task("match a pattern")
    best = advice.best
    assert best is not None
    agent.after_task(advice.trajectory_id, success=False, used=best.pattern_id if as_id else best)
    [outcome] = recorded(known)
    assert (outcome.action, outcome.response, outcome.quality) == (best.action, "re", 0.0)


def test_a_pattern_that_is_applied_gets_the_outcome_of_the_new_task(known: Swarm, agent: Agent) -> None:
    hit = agent.before_task("decode a JSON document").best
    assert hit is not None
    for pattern in (hit, hit.pattern_id):
        applied = agent.apply(pattern, "decode the JSON of an order")
        assert (applied.text, applied.pattern_id) == ("json", hit.pattern_id)
        assert "Task: decode the JSON of an order" in applied.prompt
        assert "(outcomes: 1, mean quality 1.00): json\nIt was done for: decode a JSON document" in applied.prompt
        # Another process ends it, and does not know which pattern it was.
        successor = Agent(agent.name, role="coder", swarm=known)
        successor.after_task(applied.trajectory_id, success=True, output="parsed the order")
    outcomes = recorded(known)
    assert {(one.action, one.response, one.context["pattern"]) for one in outcomes} == {
        (action_of("json"), "json", hit.pattern_id)
    }
    with pytest.raises(UnknownIdError, match="pattern 'nope' is unknown"):
        agent.apply("nope", "decode the JSON of an order")


def test_without_pattern_and_output_the_task_itself_is_remembered(swarm: Swarm, agent: Agent) -> None:
    agent.after_task(agent.before_task("do something").trajectory_id, success=True)
    [outcome] = recorded(swarm)
    assert (outcome.action, outcome.response) == ("", "")


def test_equal_outputs_are_one_action(swarm: Swarm, agent: Agent) -> None:
    for output in ("use json", " use  json\n"):
        agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True, output=output)
    assert len({outcome.action for outcome in recorded(swarm)}) == 1


def test_a_route_is_recommended_from_what_was_seen(swarm: Swarm, agent: Agent, background: Background) -> None:
    for number in range(6):
        route = "good" if number % 2 else "bad"
        task = agent.before_task("decode a JSON document")
        agent.after_task(task.trajectory_id, success=route == "good", output="json", route=route)
    background.drain(0.0)
    agent.refresh()
    advice = agent.before_task("decode a JSON document").route
    assert advice is not None
    assert advice.route == "good"
    asked = agent.before_task("decode a JSON document", routes=["bad", "new"]).route
    assert asked is not None
    assert asked.route == "new"


def test_steps_are_recorded_with_the_outcome(swarm: Swarm, agent: Agent) -> None:
    task = agent.before_task("decode JSON").trajectory_id
    agent.step(task, 0.5, node="search", latency_ms=3.0)
    agent.step(task, 1.0)
    agent.after_task(task, success=True)
    [outcome] = recorded(swarm)
    assert [(s.reward, s.node, s.latency_ms) for s in outcome.steps] == [(0.5, "search", 3.0), (1.0, "", 0.0)]


def test_a_step_that_makes_no_sense_is_refused_and_the_task_goes_on(swarm: Swarm) -> None:
    agent = Agent("coder-1", swarm=swarm, config=SonaConfig(dim=DIM, max_trajectory_steps=2))
    task = agent.before_task("decode JSON").trajectory_id
    for reward in (7.5, -1.0, float("nan"), "1", None, True):
        with pytest.raises(BoundsError, match="reward must be"):
            agent.step(task, reward)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="node must be text"):
        agent.step(task, 0.5, node=5)  # type: ignore[arg-type]
    with pytest.raises(BoundsError, match="latency_ms"):
        agent.step(task, 0.5, latency_ms=-1.0)
    agent.step(task, 0.5)
    agent.step(task, 0.5)
    with pytest.raises(CapacityError, match="max_trajectory_steps is 2"):
        agent.step(task, 0.5)
    agent.after_task(task, success=True)
    assert len(recorded(swarm)[0].steps) == 2


def test_a_task_opened_by_one_process_is_stepped_and_ended_by_another(swarm: Swarm, agent: Agent) -> None:
    task = agent.before_task("decode JSON").trajectory_id
    agent.step(task, 0.5, node="one")
    other = Agent("coder-1", role="coder", swarm=swarm)
    other.step(task, 0.7, node="two")
    assert other.after_task(task, success=True).is_new
    [outcome] = recorded(swarm)
    assert [step.node for step in outcome.steps] == ["one", "two"]
    third = Agent("coder-1", role="coder", swarm=swarm)
    assert not third.after_task(task, success=True).is_new
    # The first one still believes it open; its report is the same outcome and counts once.
    assert not agent.after_task(task, success=False).is_new
    assert len(recorded(swarm)) == 1


def test_two_agents_do_not_end_each_others_tasks(swarm: Swarm, agent: Agent) -> None:
    task = agent.before_task("decode JSON").trajectory_id
    with pytest.raises(UnknownIdError):
        Agent("coder-2", swarm=swarm).after_task(task, success=True)


@pytest.mark.parametrize("trajectory_id", ["unknown", "", "\ud800", "x" * 300, 5, None, b"id"])
def test_a_task_that_was_never_begun_is_refused(swarm: Swarm, agent: Agent, trajectory_id: Any) -> None:
    with pytest.raises(InputError, match="trajectory_id"):
        agent.after_task(trajectory_id, success=True)
    with pytest.raises(InputError, match="trajectory_id"):
        agent.step(trajectory_id, 0.5)
    task = agent.before_task("decode JSON").trajectory_id
    agent.after_task(task, success=True)
    with pytest.raises(UnknownIdError, match="unknown or has ended"):
        agent.step(task, 0.5)
    with pytest.raises(UnknownIdError, match="unknown or has ended"):
        agent.after_task(task, success=True, idempotency_key="another")
    assert len(recorded(swarm)) == 1


@pytest.mark.parametrize(
    ("report", "error", "message"),
    [
        ({}, InputError, "exactly one of success and quality"),
        ({"success": True, "quality": 1.0}, InputError, "exactly one of success and quality"),
        ({"success": "yes"}, InputError, "success must be True or False"),
        ({"success": 1}, InputError, "success must be True or False"),
        ({"quality": 7.5}, BoundsError, "quality must be"),
        ({"quality": float("nan")}, BoundsError, "quality must be"),
        ({"quality": float("inf")}, BoundsError, "quality must be"),
        ({"quality": True}, BoundsError, "quality must be"),
        ({"quality": "0.5"}, BoundsError, "quality must be"),
        ({"success": True, "latency_ms": -1.0}, BoundsError, "latency_ms must be"),
        ({"success": True, "cost": float("nan")}, BoundsError, "cost must be"),
        ({"success": True, "output": b"bytes"}, TextError, "output must be text"),
        ({"success": True, "output": "\ud800"}, TextError, "output must be valid Unicode"),
        ({"success": True, "output": "x" * 10_000_000}, TextError, "output may have"),
        ({"success": True, "output": " \n"}, TextError, "output must hold more"),
        ({"success": True, "route": 5}, InputError, "route must be text"),
        ({"success": True, "route": "x" * 2000}, InputError, "route may have"),
        ({"success": True, "route": "\ud800"}, InputError, "route must be valid"),
        ({"success": True, "used": "no such pattern"}, UnknownIdError, "pattern 'no such pattern' is unknown"),
        ({"success": True, "used": {"id": 1}}, UnknownIdError, "is unknown"),
        ({"success": True, "idempotency_key": ""}, InputError, "idempotency_key must be"),
        ({"success": True, "idempotency_key": "a\nb"}, InputError, "idempotency_key must be"),
    ],
)
def test_a_report_that_makes_no_sense_is_refused_and_the_task_stays_open(
    swarm: Swarm, agent: Agent, report: dict[str, Any], error: type[Exception], message: str
) -> None:
    task = agent.before_task("decode JSON").trajectory_id
    with pytest.raises(error, match=message):
        agent.after_task(task, **report)
    assert (recorded(swarm), agent.health().open_tasks) == ([], 1)
    agent.after_task(task, success=True)
    assert agent.health().open_tasks == 0


@pytest.mark.parametrize("text", ["", " ", "x" * 10_000_000, b"decode", "\ud800", 5, None], ids=lambda t: str(t)[:9])
def test_a_task_without_usable_text_is_refused_and_opens_nothing(swarm: Swarm, agent: Agent, text: Any) -> None:
    with pytest.raises(TextError, match="text"):
        agent.before_task(text)
    assert agent.health().open_tasks == swarm.status().agents[0].open == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"k": 0}, BoundsError),
        ({"k": 2.5}, BoundsError),
        ({"min_quality": 7.5}, BoundsError),
        ({"min_quality": "good"}, BoundsError),
        ({"agents": ["nobody"]}, UnknownIdError),
        ({"roles": ["pilot"]}, UnknownIdError),
        ({"agents": "coder-1"}, InputError),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_and_opens_nothing(
    swarm: Swarm, agent: Agent, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        agent.before_task("decode JSON", **arguments)
    assert agent.health().open_tasks == swarm.status().agents[0].open == 0


def test_the_agents_roles_and_quality_asked_for_limit_the_patterns(known: Swarm, background: Background) -> None:
    known.store_pattern("decode a JSON document", "simplejson", 0.6, agent="other")
    background.drain(0.0)
    agent = Agent("coder-1", role="coder", swarm=known)

    def found(**arguments: Any) -> set[str]:
        return {hit.response for hit in agent.before_task("decode a JSON document", **arguments).patterns}

    assert found() == {"json", "re", "gzip", "simplejson"}
    assert found(k=1) == {"json"}
    assert found(agents=["other"]) == {"simplejson"}
    assert found(agents=[]) == set()
    assert found(roles=["coder"]) == set()
    assert found(min_quality=0.9) == {"json", "re", "gzip"}
    only = Agent("coder-2", swarm=known, sources=["other"])
    assert {hit.response for hit in only.before_task("decode a JSON document").patterns} == {"simplejson"}


def test_reports_under_one_idempotency_key_count_once(swarm: Swarm, agent: Agent) -> None:
    receipts = [
        agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True, idempotency_key="the key")
        for _ in range(3)
    ]
    assert [receipt.is_new for receipt in receipts] == [True, False, False]
    assert len({receipt.stream_id for receipt in receipts}) == 1
    assert len(recorded(swarm)) == 1
    assert swarm.status().agents[0].open == 0


def test_tasks_under_way_are_bounded_in_the_process(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "MAX_OPEN", 2)
    tasks = [agent.before_task("decode JSON").trajectory_id for _ in range(2)]
    with pytest.raises(CapacityError, match="2 tasks are under way"):
        agent.before_task("decode JSON")
    agent.step(tasks[0], 0.5)
    agent.after_task(tasks[0], success=True)
    assert agent.before_task("decode JSON").trajectory_id


def test_at_the_bound_tasks_that_nobody_ended_in_time_make_room_here_and_in_redis(
    swarm: Swarm, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_module, "MAX_OPEN", 2)
    old = [agent.before_task("decode JSON").trajectory_id for _ in range(2)]
    later_s = time.time() + swarm.settings.open_ttl + 1.0
    monkeypatch.setattr(time, "time", lambda: later_s)
    young = [agent.before_task("decode JSON").trajectory_id for _ in range(2)]
    assert (agent.health().open_tasks, agent.health().expired_tasks) == (2, 2)
    [status] = swarm.status().agents
    assert (status.open, status.expired_open) == (2, 2)
    # Those that are not old are refused room as ever.
    with pytest.raises(CapacityError, match="2 tasks are under way"):
        agent.before_task("decode JSON")
    with pytest.raises(UnknownIdError, match="unknown or has ended"):
        agent.after_task(old[0], success=True)
    assert all(agent.after_task(name, success=True).is_new for name in young)


def test_too_many_open_trajectories_in_redis_are_counted_and_hold_nobody_up(
    swarm: Swarm, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_module, "MAX_OPEN", 2)
    tasks = [agent.before_task("decode JSON").trajectory_id for _ in range(3)]
    assert (agent.health().open_tasks, swarm.status().agents[0].open) == (3, 2)
    assert "2 trajectories are open" in agent.health().last_error
    assert agent.after_task(tasks[2], success=True).is_new
    agent.abandon(tasks[0])
    assert (agent.health().open_tasks, swarm.status().agents[0].open) == (1, 1)
    with pytest.raises(UnknownIdError, match="unknown or has ended"):
        agent.after_task(tasks[0], success=True)


def test_a_report_that_is_repeated_answers_the_first_receipt(swarm: Swarm, agent: Agent) -> None:
    task = agent.before_task("decode JSON").trajectory_id
    first = agent.after_task(task, success=True)
    again = agent.after_task(task, success=False)
    assert (again.stream_id, again.is_new) == (first.stream_id, False)
    [recorded_once] = recorded(swarm)
    assert recorded_once.quality == 1.0


def test_an_agent_whose_swarm_lost_its_data_registers_again(swarm: Swarm, agent: Agent, background: Background) -> None:
    agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True, output="use json")
    erase_swarm(swarm.client, swarm.keys)
    agent.refresh()
    receipt = agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True, output="use json")
    background.drain(0.0)
    assert agent.receipt(receipt.idempotency_key).state == "searchable"
    assert swarm.roles() == {"coder-1": "coder"}


def test_entries_that_nobody_reported_do_not_count(swarm: Swarm, agent: Agent, background: Background) -> None:
    stream = swarm.keys.agent(agent.name).stream
    swarm.client.xadd(stream, {"r": b"\x00garbage"})
    swarm.client.xadd(stream, {"zz": b"1"})
    receipts = [
        agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True, output="use json")
        for _ in range(2)
    ]
    background.drain(0.0)
    assert [agent.receipt(receipt.idempotency_key).state for receipt in receipts] == ["searchable"] * 2
    [status] = swarm.status().agents
    assert (status.accepted, status.consolidated, status.pending, status.dead, status.lost) == (2, 2, 0, 0, 0)


def test_a_role_that_is_not_given_stays_what_it_was(swarm: Swarm, agent: Agent) -> None:
    assert Agent("coder-1", swarm=swarm).role == agent.role == "coder"
    assert Agent("newcomer", swarm=swarm).role == "agent"


@pytest.mark.parametrize("names", ["small-model", [1, 2], [""]])
def test_names_that_would_be_read_letter_by_letter_are_refused(swarm: Swarm, agent: Agent, names: list[str]) -> None:
    with pytest.raises(InputError, match="routes must be a collection of names"):
        agent.before_task("decode JSON", routes=names)
    with pytest.raises(InputError, match="sources must be a collection of names"):
        Agent("coder-2", swarm=swarm, sources=names)


def test_a_full_stream_refuses_the_report_and_the_task_stays_open(swarm: Swarm, background: Background) -> None:
    swarm.settings = swarm.settings.model_copy(update={"max_pending": 2})
    agent = Agent("coder-1", swarm=swarm)
    for _ in range(2):
        agent.after_task(agent.before_task("decode JSON").trajectory_id, success=True)
    task = agent.before_task("decode JSON").trajectory_id
    with pytest.raises(CapacityError, match="max_pending"):
        agent.after_task(task, success=True)
    assert agent.health().open_tasks == 1
    background.drain(0.0)
    assert agent.after_task(task, success=True).is_new


def test_an_agent_keeps_the_configuration_it_was_registered_with(swarm: Swarm) -> None:
    Agent("coder-1", swarm=swarm, config=SonaConfig(dim=DIM, base_lora_rank=4))
    again = Agent("coder-1", swarm=swarm)
    assert again.config.base_lora_rank == again.adapter.base[0].up.shape[0] == 4


def test_a_configuration_of_another_dimension_is_refused(swarm: Swarm) -> None:
    with pytest.raises(InputError, match=r"config\.dim must be 32"):
        Agent("coder-1", swarm=swarm, config=SonaConfig(dim=64))


@pytest.mark.parametrize("name", ["", "a b", "a/b", "{a}", "../a", "x" * 64, b"a", 5])
def test_a_name_that_cannot_stand_in_a_key_is_refused(swarm: Swarm, name: Any) -> None:
    makers: list[Callable[[], object]] = [
        lambda: Agent(name, swarm=swarm),
        lambda: Agent("coder-1", role=name, swarm=swarm),
    ]
    for make in makers:
        with pytest.raises(InputError, match="must be 1-63"):
            make()
    assert swarm.agents.names() == []


def test_an_agent_with_another_embedder_is_told_both_names(agent: Agent, swarm: Swarm) -> None:
    other = Swarm(swarm.settings, client=swarm.client, embedder=HashedEmbedder(64))
    with pytest.raises(EmbedderMismatchError, match=r"\(64-d\).*\(32-d\)"):
        Agent("coder-2", swarm=other)


def test_threads_that_share_an_agent_lose_and_double_nothing(known: Swarm, background: Background) -> None:
    agent = Agent("coder-1", swarm=known, refresh_interval=0.0)

    def work(worker: int) -> None:
        for number in range(25):
            advice = agent.before_task(f"decode a JSON document {worker} {number}")
            agent.step(advice.trajectory_id, 0.5)
            agent.after_task(advice.trajectory_id, success=bool(number % 2), used=advice.best)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({outcome.id for outcome in recorded(known)}) == len(recorded(known)) == 150
    assert (agent.instant_updates, agent.health().open_tasks, agent.health().redis_failures) == (150, 0, 0)
    background.drain(0.0)
    assert outcomes_in(known.agents.clusters("coder-1")) == 150


def test_health_counts_what_happened(agent: Agent) -> None:
    health = agent.health()
    assert (health.redis_failures, health.last_error, health.spooled, health.open_tasks) == (0, "", 0, 0)
    agent.before_task("decode JSON")
    assert agent.health().open_tasks == 1


def test_after_waiting_the_next_hook_sees_what_was_learned(agent: Agent, background: Background) -> None:
    advice = agent.before_task("untangle a knot")
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.05):
            background.drain(0.0)

    worker = threading.Thread(target=work)
    worker.start()
    receipt = agent.after_task(advice.trajectory_id, success=True, output="cut it", wait=20.0)
    done.set()
    worker.join()
    assert receipt.state is ReceiptState.SEARCHABLE
    assert receipt.is_new
    assert [hit.response for hit in agent.before_task("untangle a knot").patterns] == ["cut it"]


def test_a_wait_that_is_over_says_how_far_the_outcome_came(agent: Agent) -> None:
    advice = agent.before_task("untangle a knot")
    assert agent.after_task(advice.trajectory_id, success=True, wait=0.2).state is ReceiptState.ACCEPTED
