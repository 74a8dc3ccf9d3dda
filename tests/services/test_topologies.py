"""The rules of the topologies, on a real ledger, with threads for workers that fail and die as they are told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from support import PrivateRedis, wait_until
from swarm_support import make_swarm

from swarm.errors import BoundsError, InputError, JobFailedError, StoreUnavailableError
from swarm.services import topologies
from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask
from swarm.services.topologies import Hierarchy, Member, Mesh, PeerToPeer, Question, Ring, Star, members
from swarm.services.topologies.report import JobReport
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.wire.task_records import TaskState

LEASE = 60.0
DIED = "the worker died once"
Work = Callable[[ClaimedTask], Any]


class Dies(Exception):
    """The worker says nothing any more."""


class Crew:
    """Two workers of role "member". They remember which steps were begun, by agent."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.work: Work = lambda task: None
        self.begun: list[tuple[str, str]] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def times(self) -> Counter[tuple[str, str]]:
        """How often each agent has begun each step."""
        return Counter(self.begun)

    def _run(self) -> None:
        with connect(self._settings) as client:
            swarm = make_swarm(self._settings, client)
            tasks = swarm.tasks
            while not self._stop.wait(0.005):
                with suppress(StoreUnavailableError):
                    tasks.sweep()
                    if (task := tasks.claim("member", "worker-1", LEASE)) is not None:
                        self._do(swarm, task)

    def _do(self, swarm: Swarm, task: ClaimedTask) -> None:
        self.begun.append((task.record.idempotency_key.split(":")[1], task.record.agent))
        try:
            result = self.work(task)
        except Dies:
            # Its lease is over at once, because nobody renews it: the test need not wait for that.
            swarm.client.zadd(swarm.keys.running, {task.id: 1.0})
        except Exception as error:
            swarm.tasks.fail(task, str(error), retry=True)
        else:
            wait_until(lambda: self._succeeds(swarm, task, result), 20.0, "Redis to take a result")

    def _succeeds(self, swarm: Swarm, task: ClaimedTask, result: Any) -> bool:
        # While Redis is away it cannot be told; nobody else need do the task again for that.
        with suppress(StoreUnavailableError):
            swarm.tasks.succeed(task, result)
            return True
        return False


@pytest.fixture
def crew(settings: Settings, client: Client) -> Iterator[Crew]:
    made = Crew(settings)
    yield made
    made.close()


def step_of(task: ClaimedTask) -> Any:
    return task.record.payload["step"]


def given(task: ClaimedTask) -> Any:
    return task.record.payload["given"]


def why(report: JobReport) -> list[tuple[str, str, str]]:
    return [(failure.step, failure.agent, failure.why) for failure in report.failures]


def report_of(caught: pytest.ExceptionInfo[JobFailedError]) -> JobReport:
    assert isinstance(caught.value.report, JobReport)
    return caught.value.report


# Hierarchy


def squares(task: ClaimedTask) -> Any:
    """A queen has numbers squared and adds them up."""
    if step_of(task) == "decompose":
        return [{"text": f"square {n}", "payload": {"n": n}} for n in given(task)["numbers"]]
    if step_of(task) == "gather":
        return sum(task.record.payload["results"])
    return given(task)["n"] ** 2


def hierarchy(swarm: Swarm, job: str = "h", **limits: Any) -> Hierarchy:
    queen, *workers = members("member", "queen", "ada", "bob", "eve")
    return Hierarchy(swarm, job, queen=queen, workers=workers, **limits)


NUMBERS = {"numbers": list(range(6))}


def test_a_queen_deals_out_and_gathers_and_the_parts_are_shared_evenly(swarm: Swarm, crew: Crew) -> None:
    crew.work = squares
    report = hierarchy(swarm).run("add squares", NUMBERS)
    assert (report.result, report.failures, report.is_resumed) == (55, (), False)
    parts = Counter(agent for step, agent in report.did.items() if step.startswith("part"))
    assert parts == {"ada": 2, "bob": 2, "eve": 2}
    assert set(crew.times().values()) == {1}


def test_a_part_is_tried_by_each_worker_once_then_the_job_fails_and_a_replay_goes_on_there(
    swarm: Swarm, crew: Crew
) -> None:
    is_broken = True

    def work(task: ClaimedTask) -> Any:
        if is_broken and step_of(task) == "part" and given(task)["n"] == 3:
            if task.record.agent == "ada":
                raise Dies
            raise RuntimeError("no 3 today")
        return squares(task)

    crew.work = work
    with pytest.raises(JobFailedError, match=r"job h \(hierarchy\): part-3: 3 failed, the last one") as caught:
        hierarchy(swarm).run("add squares", NUMBERS)
    failed = report_of(caught)
    assert Counter(agent for _, agent, _ in why(failed)) == {"ada": 1, "bob": 1, "eve": 1}
    assert {(agent, reason) for _, agent, reason in why(failed)} >= {("ada", DIED), ("bob", "no 3 today")}
    assert failed.handled[-1].endswith("failed (no 3 today), nobody is left") or failed.handled[-1].endswith(
        f"failed ({DIED}), nobody is left"
    )
    with pytest.raises(JobFailedError):
        hierarchy(swarm).run("add squares", NUMBERS)
    before, is_broken = crew.times(), False
    report = hierarchy(swarm).run("add squares", NUMBERS, replay=True)
    assert (report.result, report.is_resumed) == (55, True)
    assert report.handled[-1].endswith("given to it again")
    again = crew.times() - before
    assert sorted(step for step, _ in again) == ["gather", "part-3"]


def test_a_queen_may_die_twice_in_a_step_and_a_third_time_is_the_end_of_the_job(swarm: Swarm, crew: Crew) -> None:
    deaths = Counter[str]()

    def work(task: ClaimedTask) -> Any:
        if step_of(task) in dying and deaths[step_of(task)] < dying[step_of(task)]:
            deaths[step_of(task)] += 1
            raise Dies
        return squares(task)

    crew.work, dying = work, {"decompose": 2, "gather": 3}
    with pytest.raises(JobFailedError, match="gather: 1 failed, the last one queen: the worker died 3 times"):
        hierarchy(swarm).run("add squares", NUMBERS)
    parts = crew.times()
    assert hierarchy(swarm).run("add squares", NUMBERS, replay=True).result == 55
    assert set(crew.times() - parts) == {("gather", "queen")}


@pytest.mark.parametrize("plan", [None, [], "all", [7], [{"payload": {}}], [{"text": "a", "payload": 1}]])
def test_a_queen_that_makes_no_parts_ends_the_job(swarm: Swarm, crew: Crew, plan: Any) -> None:
    crew.work = lambda task: plan
    with pytest.raises(JobFailedError, match=r"queen queen must answer 1\.\.1000 parts"):
        hierarchy(swarm).run("x")


# Mesh


def mesh(swarm: Swarm, job: str = "m", **settings: Any) -> Mesh:
    return Mesh(swarm, job, members=members("member", "ada", "bob", "eve"), **{"grace": 20.0, **settings})


def test_a_mesh_agrees_and_everybody_learns_from_that_alone(swarm: Swarm, crew: Crew) -> None:
    crew.work = lambda task: "no" if task.record.agent == "eve" else "yes"
    report = mesh(swarm).run("is it so?")
    assert report.result == "yes"
    assert {verdict.agent: verdict.agrees for verdict in report.execution.agents} == {
        "ada": True,
        "bob": True,
        "eve": False,
    }
    assert [swarm.agents.state(name).accepted for name in ("ada", "bob", "eve")] == [1, 1, 1]
    again = mesh(swarm).run("is it so?")
    assert (again.result, again.execution.agents[0].agrees) == ("yes", True)
    assert swarm.agents.state("ada").accepted == 1
    assert not any(swarm.tasks.find(step.task).record.report for step in report.steps)


def test_after_the_grace_a_quorum_goes_on_without_the_others_and_that_holds(swarm: Swarm, crew: Crew) -> None:
    late = threading.Event()

    def work(task: ClaimedTask) -> Any:
        if task.record.agent == "eve":
            assert late.wait(30.0)
        return "yes"

    crew.work = work
    report = mesh(swarm, grace=0.05).run("is it so?")
    assert set(report.did.values()) == {"ada", "bob"}
    late.set()
    wait_until(lambda: all(count == 0 for count in _under_way(swarm)), 30.0, "the end of all tasks")
    again = mesh(swarm, grace=0.05).run("is it so?")
    assert {verdict.agent for verdict in again.execution.agents} == {"ada", "bob"}


def _under_way(swarm: Swarm) -> tuple[int, int, int]:
    (counts,) = swarm.tasks.counts()
    return counts.waiting, counts.retrying, counts.running


def test_who_votes_is_what_was_decided_first_whoever_has_answered_since(
    swarm: Swarm, crew: Crew, client: Client
) -> None:
    crew.work = lambda task: "yes"
    client.hset(swarm.keys.job("m"), ":voters", "ada,bob")  # by a coordinator that was killed then
    report = mesh(swarm).run("is it so?")
    assert {verdict.agent for verdict in report.execution.agents} == {"ada", "bob"}
    assert set(report.did.values()) == {"ada", "bob"}


def test_without_a_quorum_a_mesh_fails_at_once(swarm: Swarm, crew: Crew) -> None:
    def work(task: ClaimedTask) -> Any:
        if task.record.agent != "ada":
            raise Dies
        return "yes"

    crew.work = work
    with pytest.raises(JobFailedError, match="1 of 3 have answered, the quorum is 2") as caught:
        mesh(swarm).run("is it so?")
    assert report_of(caught).handled[-1].endswith(f"failed ({DIED}), it has no vote")
    assert swarm.agents.state("ada").accepted == 0


def test_what_is_no_text_is_no_vote_but_an_error(swarm: Swarm, crew: Crew) -> None:
    crew.work = lambda task: 7
    with pytest.raises(InputError, match="agent ada must answer a text, got int"):
        mesh(swarm).run("is it so?")


# Star


def star(swarm: Swarm, job: str = "s", **settings: Any) -> Star:
    hub, *spokes = members("member", "hub", "ada", "bob")
    return Star(swarm, job, hub=hub, spokes=spokes, **settings)


def test_a_hub_asks_in_turns_and_is_told_what_nobody_could_answer(swarm: Swarm, crew: Crew) -> None:
    def work(task: ClaimedTask) -> Any:
        payload = task.record.payload
        if step_of(task) == "ask":
            if given(task).get("n") == 1:
                raise RuntimeError("not that")
            return given(task)["n"] * 10
        if payload["turn"] == 0:
            return {"ask": [{"text": "x", "payload": {"n": n}} for n in range(3)], "state": "asked"}
        return {"result": [payload["state"], payload["answers"]]}

    crew.work = work
    report = star(swarm).run("ask around")
    assert report.result == ["asked", [{"answer": 0}, {"failed": "not that"}, {"answer": 20}]]
    assert sorted(agent for _, agent, _ in why(report)) == ["ada", "bob"]
    assert report.handled[-1].endswith("failed (not that), nobody is left, the hub is told")


def test_a_hub_that_never_ends_or_says_nothing_ends_the_job(swarm: Swarm, crew: Crew) -> None:
    crew.work = lambda task: {"ask": ["again"]} if step_of(task) == "turn" else "yes"
    with pytest.raises(JobFailedError, match="has no result after 2 turns"):
        star(swarm, max_turns=2).run("x")
    crew.work = lambda task: {"asks": []}
    with pytest.raises(JobFailedError, match="hub hub must answer a map with ask or result"):
        star(swarm, "other").run("x")


# Ring


def ring(swarm: Swarm, job: str = "r", **settings: Any) -> Ring:
    return Ring(swarm, job, stations=members("member", "ada", "bob", "eve"), **settings)


def dies_as(agent: str) -> Work:
    """A station that adds itself to the token, with those that were skipped; one dies of it."""

    def work(task: ClaimedTask) -> Any:
        if task.record.agent == agent:
            raise Dies
        return [*task.record.payload["token"], [task.record.agent, task.record.payload["skipped"]]]

    return work


def test_a_dead_station_is_bridged_and_passed_over_in_the_next_lap(swarm: Swarm, crew: Crew) -> None:
    crew.work = dies_as("bob")
    report = ring(swarm, laps=2).run("go round", [])
    assert report.result == [["ada", []], ["eve", ["bob"]], ["ada", []], ["eve", ["bob"]]]
    assert why(report) == [("hop-0-1", "bob", DIED)]
    assert crew.times()["hop-0-1", "bob"] == 1
    assert ("hop-1-1", "bob") not in crew.times()
    before, crew.work = crew.times(), lambda task: "something else"
    assert ring(swarm, laps=2).run("go round", [], replay=True).result == report.result
    assert crew.times() == before, "a job that is done is not begun again"


def test_a_ring_ends_when_the_token_has_arrived_or_nobody_is_left(swarm: Swarm, crew: Crew) -> None:
    crew.work = lambda task: task.record.payload["token"] + 1
    assert ring(swarm, laps=10, until=lambda token: token >= 4).run("count", 0).result == 4

    def work(task: ClaimedTask) -> Any:
        raise RuntimeError("out of order")

    crew.work = work
    with pytest.raises(JobFailedError, match="no station is left") as caught:
        ring(swarm, "other", laps=2).run("count", 0)
    assert [agent for _, agent, _ in why(report_of(caught))] == ["ada", "bob", "eve"]


# Peer to peer


def peers(swarm: Swarm, job: str = "p") -> PeerToPeer:
    return PeerToPeer(swarm, job, peers=members("member", "ada", "bob", "eve"))


def test_a_question_goes_on_to_the_next_peer_never_to_the_asker_or_twice(swarm: Swarm, crew: Crew) -> None:
    def work(task: ClaimedTask) -> Any:
        return "eve knows" if task.record.agent == "eve" else None

    crew.work = work
    questions = [Question(text="who knows?", asker=asker) for asker in ("ada", "bob", "")]
    report = peers(swarm).run(questions)
    assert report.result == ["eve knows"] * 3
    assert set(report.did.values()) == {"eve"}
    assert {reason for _, _, reason in why(report)} <= {"declined"}
    for number, question in enumerate(questions):
        assert (f"ask-{number}", question.asker) not in crew.times()
    assert set(crew.times().values()) == {1}
    with pytest.raises(JobFailedError, match=r"nobody could answer ask-1$") as caught:
        peers(swarm, "other").run([Question(text="who?"), Question(text="who?", asker="eve")])
    assert report_of(caught).steps[-1].is_done != report_of(caught).steps[0].is_done


# All of them


def test_two_coordinators_of_one_job_do_it_once_together(settings: Settings, swarm: Swarm, crew: Crew) -> None:
    crew.work = squares

    def run(_: int) -> JobReport:
        with connect(settings) as client:
            return hierarchy(make_swarm(settings, client)).run("add squares", NUMBERS)

    with ThreadPoolExecutor(3) as executor:
        reports = list(executor.map(run, range(3)))
    assert [report.result for report in reports] == [55] * 3
    assert reports[0].did == reports[1].did == reports[2].did
    assert set(crew.times().values()) == {1}


def test_a_job_whose_time_is_over_says_what_was_under_way(swarm: Swarm) -> None:
    begun = time.monotonic()
    with pytest.raises(JobFailedError, match="its time is over; under way: decompose"):
        hierarchy(swarm, timeout=0.3).run("x")
    assert time.monotonic() - begun < 20.0
    # Begun again it has no new time.
    with pytest.raises(JobFailedError, match="its time is over"):
        hierarchy(swarm, timeout=0.3).run("x")


def test_the_result_of_a_job_is_there_after_its_time_too(swarm: Swarm, crew: Crew) -> None:
    crew.work = squares
    assert hierarchy(swarm, timeout=30.0).run("add squares", NUMBERS).result == 55
    before = crew.times()
    swarm.client.hset(swarm.keys.job("h"), ":deadline", "1.0")
    again = hierarchy(swarm, timeout=30.0).run("add squares", NUMBERS)
    assert (again.result, again.is_resumed, crew.times()) == (55, True, before)
    crew.work = dies_as("bob")
    report = ring(swarm).run("go round", [])
    swarm.client.hset(swarm.keys.job("r"), ":deadline", "1.0")
    again = ring(swarm).run("go round", [])
    assert (again.result, again.failures) == (report.result, report.failures)


def test_a_full_queue_is_waited_for(settings: Settings, client: Client, crew: Crew) -> None:
    crew.work = squares
    swarm = make_swarm(settings.model_copy(update={"max_waiting_of_submitter": 2}), client)
    assert hierarchy(swarm).run("add squares", {"numbers": list(range(12))}).result == 506


def test_a_job_outlives_a_kill_of_redis(settings: Settings, own_redis: PrivateRedis) -> None:
    mine = settings.model_copy(update={"redis_url": own_redis.url})
    crew = Crew(mine)
    try:
        killed = threading.Event()

        def work(task: ClaimedTask) -> Any:
            if step_of(task) == "part" and given(task)["n"] == 2 and not killed.is_set():
                killed.set()
                own_redis.kill()
                own_redis.start()
            return squares(task)

        crew.work = work
        with connect(mine) as client:
            report = hierarchy(make_swarm(mine, client)).run("add squares", NUMBERS)
        assert report.result == 55
        assert killed.is_set()
    finally:
        crew.close()


def test_under_one_id_there_is_one_job(swarm: Swarm, crew: Crew) -> None:
    crew.work = squares
    hierarchy(swarm).run("add squares", NUMBERS)
    others: list[Callable[[], JobReport]] = [
        lambda: hierarchy(swarm).run("add cubes", NUMBERS),
        lambda: hierarchy(swarm).run("add squares", {"numbers": [1]}),
        lambda: mesh(swarm, "h").run("add squares", NUMBERS),
    ]
    for run in others:
        with pytest.raises(InputError, match="job 'h' was begun with other members, task or settings"):
            run()


def bad(make: Callable[[Swarm], Any], error: type[Exception], message: str) -> Any:
    return pytest.param(make, error, message, id=message[:24])


PAIR = members("member", "ada", "bob")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        bad(lambda swarm: Ring(swarm, "a b", stations=PAIR).run("x", 0), InputError, "job must be 1-63"),
        bad(lambda swarm: Ring(swarm, "j", stations=[]).run("x", 0), BoundsError, "number of members must be in"),
        bad(lambda swarm: Ring(swarm, "j", stations=[*PAIR, PAIR[0]]).run("x", 0), InputError, "must be different"),
        bad(lambda swarm: Ring(swarm, "j", stations=PAIR, laps=0), BoundsError, "laps must be in"),
        bad(lambda swarm: Ring(swarm, "j", stations=PAIR).run("x", object()), InputError, "job record cannot hold"),
        bad(lambda swarm: Ring(swarm, "j", stations=PAIR, timeout=0).run("x", 0), BoundsError, "timeout must be in"),
        bad(lambda swarm: Ring(swarm, "j", stations=PAIR, patience=1), InputError, "no setting patience"),  # type: ignore[call-arg]
        bad(lambda swarm: Mesh(swarm, "j", members=PAIR, quorum=3), BoundsError, "quorum must be in"),
        bad(lambda swarm: Star(swarm, "j", hub=PAIR[0], spokes=PAIR).run("x"), InputError, "must be different"),
        bad(lambda swarm: PeerToPeer(swarm, "j", peers=PAIR).run([]), BoundsError, "number of questions"),
        bad(
            lambda swarm: PeerToPeer(swarm, "j", peers=[*PAIR, Member(agent="eve", role="other")]),
            InputError,
            "peers must be of one role",
        ),
        bad(lambda swarm: Member(agent="a b", role="member"), InputError, "agent must be 1-63"),
        bad(
            lambda swarm: Ring(swarm, "j", stations=members("other", "known")).run("x", 0),
            InputError,
            "role of member known must be 'member'",
        ),
    ],
)
def test_bad_input_is_refused(swarm: Swarm, make: Callable[[Swarm], Any], error: type[Exception], message: str) -> None:
    swarm.register("known", "member")
    with pytest.raises(error, match=message):
        make(swarm)
    assert swarm.tasks.counts() == ()


def test_a_report_is_plain_values(swarm: Swarm, crew: Crew) -> None:
    crew.work = squares
    found = hierarchy(swarm).run("add squares", NUMBERS).as_dict()
    assert (found["job"], found["topology"], found["result"]) == ("h", "hierarchy", 55)
    assert found["steps"][0]["step"] == "decompose"


def test_the_public_names_are_sorted() -> None:
    names: Sequence[str] = topologies.__all__
    assert list(names) == sorted(names)
    assert all(hasattr(topologies, name) for name in names)


def test_what_ended_is_not_under_way_any_more(swarm: Swarm, crew: Crew) -> None:
    crew.work = squares
    report = hierarchy(swarm).run("add squares", NUMBERS)
    states = {swarm.tasks.find(step.task).state for step in report.steps}
    assert states == {TaskState.SUCCEEDED}
    assert _under_way(swarm) == (0, 0, 0)
