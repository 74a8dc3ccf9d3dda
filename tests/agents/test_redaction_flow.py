"""What an agent's redaction takes out is in no key of the swarm and in no file, by whichever way its text came in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from retention_support import stored_bytes
from support import PrivateRedis
from swarm_support import DIM, make_swarm, some_outcome

from swarm.errors import InputError
from swarm.services.background import Background
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.services.verdict import AgentResult
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Step
from swarm.store.connection import Client, connect
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import decode_trajectory
from swarm.wire.task_records import MAX_NOTE, MAX_WHY, TaskState
from swarm_agents import Agent, AgentFactory
from swarm_agents.codebase import Codebase
from swarm_agents.training import BatchReport, train
from swarm_gateway.engines import Engines

SECRETS = ("Lindqvist", "1962-03-14", "448812", "0142", "anna@example.org")
SAID = "patient Anna Lindqvist, born 1962-03-14, MRN A-448812, +1 212 555 0142, anna@example.org"
MEDIC = "medic"
NewAgent = Callable[..., Agent]


def found_in(places: dict[str, bytes]) -> set[tuple[str, str]]:
    """(secret, place) of every secret that stands somewhere."""
    return {(secret, name) for name, data in places.items() for secret in SECRETS if secret.encode() in data}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def everything(swarm: Swarm) -> dict[str, bytes]:
    """Every key of the swarm, and every file of this host."""
    keys = stored_bytes(swarm.client, SwarmKeys(swarm.settings.name))
    return {**keys, **files(swarm.settings.state_dir)}


@pytest.fixture
def medic(swarm: Swarm) -> Iterator[AgentFactory]:
    with AgentFactory(swarm) as factory, closing(swarm):
        factory.create(MEDIC, "expert", domain="medical")
        yield factory


def work(agent: Agent) -> None:
    """One task with secrets in everything that is text, and one that stays open."""
    advice = agent.before_task(f"what may {SAID} take", routes=["small"])
    assert not any(secret in advice.text for secret in SECRETS)
    agent.step(advice.trajectory_id, 0.5, node=f"asked {SAID}")
    agent.after_task(advice.trajectory_id, success=True, output=f"told {SAID}: half", route=f"call {SAID}")
    open_one = agent.before_task(f"and what may {SAID} eat")
    agent.step(open_one.trajectory_id, 1.0, node=f"looked {SAID} up")


def test_no_key_and_no_file_holds_what_is_taken_out(swarm: Swarm, background: Background, medic: AgentFactory) -> None:
    work(medic.get(MEDIC))
    with Engines(swarm, 2).use(MEDIC) as engine:
        work(engine)
    swarm.store_pattern(f"a question of {SAID}", f"an answer to {SAID}", agent=MEDIC, metadata={"who": SAID})
    outcome = replace(
        some_outcome(1, MEDIC), text=SAID, response=SAID, route=SAID, task_type=SAID, context={SAID: SAID}
    )
    swarm.record(replace(outcome, action=SAID, steps=(Step(reward=0.5, node=SAID),)), "told")
    medic.train(MEDIC, [{"task": f"train {SAID}", "output": f"so {SAID}", "reward": 0.9, "context": {"who": SAID}}] * 2)
    swarm.route(f"who does {SAID}", agent=MEDIC, routes=["small", "large"])
    swarm.register("nurse", "nurse", SonaConfig(dim=DIM))
    results = {MEDIC: AgentResult(output=f"give {SAID} half", quality=0.9), "nurse": AgentResult(output="give half")}
    swarm.learn_from_swarm_execution(f"dose of {SAID}", results, "majority")
    background.drain(0.0)
    places = everything(swarm)
    assert found_in(places) == set()
    # It was all there: only marks are in its place, and it is learned from.
    kept = b"".join(places.values())
    assert all(mark in kept for mark in (b"[patient]", b"[date]", b"[record]", b"[phone]", b"[email]"))
    assert swarm.agents.state(MEDIC).consolidated == 7
    assert "[patient]" in swarm.query("a question of [patient]", agents=[MEDIC])[0].response
    # The search is not blind: of an agent without a policy it finds all, in keys and in the log of what was sent.
    swarm.store_pattern("a question", f"an answer to {SAID}", agent="nurse")
    assert {secret for secret, _ in found_in(everything(swarm))} == set(SECRETS)
    assert any(name.startswith(str(swarm.settings.state_dir)) for _, name in found_in(everything(swarm)))


def test_code_and_questions_about_it_are_kept_without_it(swarm: Swarm, medic: AgentFactory, tmp_path: Path) -> None:
    (tmp_path / "ward.py").write_text(f'def visit():\n    """See {SAID}."""\n    return 1\n')
    medic.get(MEDIC)
    with closing(Codebase(MEDIC, swarm)) as codebase:
        codebase.index(tmp_path)
        [hit] = codebase.query(f"who sees {SAID}")
        assert "[patient]" in hit.snippet
        assert (hit.first, hit.last) == (1, 3)
        assert codebase.feedback(hit.id, is_good=True).question.startswith("who sees patient [patient]")
        assert found_in(everything(swarm)) == set()
        # Another policy is another index: what it takes out goes from what is there.
        swarm.register(MEDIC, policy=AgentPolicy(redact=("email",)))
        assert codebase.index(tmp_path).indexed == 1


def test_the_side_file_of_a_training_holds_none_of_it(swarm: Swarm, medic: AgentFactory, tmp_path: Path) -> None:
    lines = [f"not JSON, of {SAID}", f'{{"task": "a", "output": "b", "reward": "{SAID}"}}']
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join([*lines, f'{{"task": "a", "output": "b", "reward": 1.0, "call {SAID}": 1}}']))
    report = train(swarm, MEDIC, path, rejected=tmp_path / "side", hold_out=0.0)
    assert (report.trained, report.rejected) == (1, 2)
    side = {"side": (tmp_path / "side").read_bytes(), "report": repr(report).encode()}
    assert b"[patient]" in side["side"]
    assert found_in({**everything(swarm), **side}) == set()


def test_a_training_ends_when_more_is_to_be_taken_out_and_goes_on_with_that(
    swarm: Swarm, medic: AgentFactory, tmp_path: Path
) -> None:
    swarm.register(MEDIC, policy=AgentPolicy(redact=("email",)))
    lines = [f'{{"task": "{number}: {SAID}", "output": "b", "reward": 1.0}}' for number in range(3)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    all_of_it = AgentPolicy(redact=("patient", "date", "record", "phone", "email"))

    def change(_: BatchReport) -> None:
        swarm.register(MEDIC, policy=all_of_it)

    with pytest.raises(InputError, match="redact of agent medic must be email, as when this training began"):
        train(swarm, MEDIC, tmp_path / "data.jsonl", round_size=1, hold_out=0.0, on_batch=change)
    assert train(swarm, MEDIC, tmp_path / "data.jsonl", round_size=1, hold_out=0.0).trained == 3
    said = b"".join(everything(swarm).values())
    assert b"1: patient [patient]" in said
    assert b"0: patient Anna" in said
    assert b"1: patient Anna" not in said


def test_a_text_that_changes_is_embedded_anew(swarm: Swarm, medic: AgentFactory) -> None:
    swarm.record(replace(some_outcome(1, MEDIC), text=f"see {SAID}"), "one")
    swarm.record(replace(some_outcome(2, MEDIC), text="see nobody"), "two")
    one, two = (decode_trajectory(data) for _, data in swarm.outcomes(MEDIC).read_after("0-0", 10))
    assert (one.embedding == swarm.embed(one.text)).all()
    assert (two.embedding == some_outcome(2, MEDIC).embedding).all()


def test_tasks_of_its_role_wait_run_and_end_without_it(swarm: Swarm, medic: AgentFactory) -> None:
    role = medic.get(MEDIC).role
    payload = {"who": SAID, "notes": [SAID, 3]}
    ids = [swarm.submit(f"treat {SAID}", role=role, payload=payload).id for _ in range(2)]
    ids.append(swarm.submit(f"treat {SAID}", agent=MEDIC, max_attempts=1).id)
    assert found_in(everything(swarm)) == set()
    for number in range(3):
        claimed = swarm.tasks.claim(role, "worker", 30.0)
        assert claimed is not None
        assert "[patient]" in claimed.record.text
        swarm.tasks.progress(claimed, 30.0, 0.5, f"met {SAID}")
        # Cut in the middle of what is taken out, it would be no address any more.
        swarm.tasks.progress(claimed, 30.0, 0.5, f"{'.' * (MAX_NOTE - 15)} {SECRETS[-1]}")
        assert b"anna@" not in b"".join(everything(swarm).values())
        if number:
            swarm.tasks.fail(claimed, f"no answer of {SAID}{'.' * (MAX_WHY - 110)} {SECRETS[-1]}", retry=False)
            assert b"anna@" not in b"".join(everything(swarm).values())
        else:
            swarm.tasks.succeed(claimed, {"told": SAID})
    assert found_in(everything(swarm)) == set()
    assert swarm.tasks.find(ids[0]).result["told"].startswith("patient [patient]")
    assert "[patient]" in swarm.tasks.find(ids[2]).status.why
    assert swarm.tasks.find(ids[2]).state is TaskState.DEAD
    # A role that no agent with a redaction has is asked as it was told.
    other = swarm.submit(f"greet {SAID}", role="porter").id
    assert swarm.tasks.find(other).record.text == f"greet {SAID}"


def test_the_spool_holds_none_of_it_and_neither_does_redis_after_it(
    own_redis: PrivateRedis, own_settings: Settings, new_agent: NewAgent
) -> None:
    swarm = make_swarm(own_settings, connect(own_settings))
    swarm.register(MEDIC, "doctor", policy=AgentPolicy(redact=("patient", "date", "record", "phone", "email")))
    agent = new_agent(MEDIC)
    own_redis.kill()
    work(agent)
    # A process that begins while Redis is away knows the policy from the one before it on this host.
    later = new_agent(MEDIC)
    work(later)
    assert later.health().spooled == 2
    assert found_in(files(own_settings.state_dir)) == set()
    # One on another host cannot know it yet: what it spools is cleaned on its way to Redis.
    elsewhere = new_agent(MEDIC, state_dir=own_settings.state_dir.parent / "elsewhere")
    begun = elsewhere.before_task(f"what of {SAID}")
    assert elsewhere.after_task(begun.trajectory_id, success=True, output=SAID).state is ReceiptState.SPOOLED
    own_redis.start()
    for one in (agent, later, elsewhere):
        assert one.flush(10.0)
        one.close()
    assert swarm.agents.state(MEDIC).accepted == 3
    assert found_in(stored_bytes(swarm.client, SwarmKeys(swarm.settings.name))) == set()


def test_the_policy_outlives_what_redis_lost_and_follows_what_an_operator_says(swarm: Swarm, client: Client) -> None:
    policy = AgentPolicy(redact=("email",))
    swarm.register(MEDIC, "doctor", policy=policy)
    agent = Agent(MEDIC, swarm=swarm, refresh_interval=0.0)
    assert agent.policy == policy
    swarm.register(MEDIC, policy=AgentPolicy(redact=("phone", "email")))
    assert agent.before_task("ask anna@example.org or 212-555-0142").text == "ask [email] or [phone]"
    keys = SwarmKeys(swarm.settings.name)
    client.hdel(keys.agents, MEDIC)
    assert agent.before_task("ask anna@example.org").text == "ask [email]"
    assert swarm.agents.directory().policies == {MEDIC: AgentPolicy(redact=("phone", "email"))}
    agent.close()
