"""Every public operation under every role, for oneself and for another, against the one table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from swarm_support import DIM, some_outcome

from swarm.errors import (
    CapacityError,
    ForbiddenError,
    InputError,
    RateLimitError,
    SwarmError,
    TokenError,
    UnknownIdError,
)
from swarm.services.access import AccessControl
from swarm.services.events import Events
from swarm.services.gate import check_size
from swarm.services.guard import GuardedSwarm
from swarm.services.guard_events import GuardedEvents
from swarm.services.guard_hooks import GuardedHooks
from swarm.services.guard_tasks import GuardedTasks
from swarm.services.policy import POLICY
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask, Tasks
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair
from swarm.store.connection import Client
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.token_records import Role
from swarm_agents import Agent

OWNERS = {"swarm": Swarm, "tasks": Tasks, "events": Events, "hooks": Agent}
GUARDS = {"swarm": GuardedSwarm, "tasks": GuardedTasks, "events": GuardedEvents, "hooks": GuardedHooks}
ME, OTHER = "ada", "bob"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_reads": 1e5, "rate_writes": 1e5})


@pytest.fixture
def team(swarm: Swarm) -> Swarm:
    """Two agents of two roles."""
    swarm.register(ME, "coder", SonaConfig(dim=DIM))
    swarm.register(OTHER, "tester", SonaConfig(dim=DIM))
    return swarm


@pytest.fixture
def as_role(team: Swarm) -> Callable[[Role], GuardedSwarm]:
    control = AccessControl(team.settings, team.client)

    def guarded(role: Role) -> GuardedSwarm:
        return GuardedSwarm(team, control.create(role, ME if role is Role.AGENT else "")[0])

    return guarded


def public(owner: type) -> set[str]:
    """Methods and properties that do not begin with an underscore."""
    kinds = (property, staticmethod, classmethod)
    return {
        name
        for name, value in inspect.getmembers(owner)
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
    }


def operation(group: str, name: str) -> str:
    return name if group == "swarm" else f"{group}.{name}"


def test_every_public_operation_is_in_the_table_and_nothing_else_is() -> None:
    wanted = {operation(group, name) for group, owner in OWNERS.items() for name in public(owner)}
    assert set(POLICY) == wanted, "say in services/policy.py who may do it"


def test_what_somebody_may_do_the_guard_offers_and_nothing_else() -> None:
    own = {"access", "hooks", "over", "follow", "require_hooks", "require_operator"}
    more: dict[str, set[str]] = {"swarm": own, "tasks": set(), "events": set(), "hooks": set()}
    for group, guard in GUARDS.items():
        rows = {name for name in public(OWNERS[group]) if POLICY[operation(group, name)].roles}
        assert public(guard) - more[group] == rows


def test_a_reader_changes_nothing_and_whatever_an_agent_does_is_its_own() -> None:
    readers = {name for name, rule in POLICY.items() if Role.READER in rule.roles}
    of_swarm = {"query", "recall", "retrieve_patterns", "patterns", "pattern", "apply", "agent", "roles", "status"}
    assert readers == {*of_swarm, "retention", "tasks.counts", "events.latest", "events.follow"}
    for name, rule in POLICY.items():
        assert not rule.roles or Role.OPERATOR in rule.roles, name
        if rule.is_write and Role.AGENT in rule.roles:
            assert rule.own, name
        assert not (rule.is_write and Role.READER in rule.roles), name


def calls(swarm: Swarm, guarded: GuardedSwarm, who: str) -> dict[str, Callable[[], object]]:
    """Each operation as a call in the name of, or about, `who`; what it needs is really there."""
    role = {ME: "coder", OTHER: "tester"}[who]
    hooks = guarded.hooks(Agent(who, swarm=swarm))
    opened = Agent(who, swarm=swarm).before_task("a task").trajectory_id
    key = f"{who}-key"
    swarm.record(some_outcome(1, who), key)
    receipt = Receipt(agent=who, idempotency_key=key, state=ReceiptState.ACCEPTED)

    def task() -> str:
        return swarm.submit("a task", agent=who, submitter=who).id

    def claimed() -> ClaimedTask:
        task()
        found = swarm.tasks.claim(role, f"{who}/w", 30.0)
        assert found is not None
        return found

    def dead() -> str:
        one = claimed()
        swarm.tasks.fail(one, "no", retry=False)
        return one.id

    tasks = guarded.tasks
    of_tasks: dict[str, Callable[[], object]] = {
        "submit": lambda: tasks.submit("a task", role="coder", submitter=who),
        "find": lambda: tasks.find(task()),
        "wait": lambda: tasks.wait(task(), 0.0),
        "cancel": lambda: tasks.cancel(task()),
        "claim": lambda: tasks.claim(role, "w", 30.0),
        "renew": lambda: tasks.renew(claimed(), 30.0),
        "progress": lambda: tasks.progress(claimed(), 30.0, 0.5),
        "succeed": lambda: tasks.succeed(claimed(), "done"),
        "fail": lambda: tasks.fail(claimed(), "no", retry=False),
        "counts": tasks.counts,
        "dead": tasks.dead,
        "replay": lambda: tasks.replay(dead()),
        "drop": lambda: tasks.drop(dead()),
        "sweep": tasks.sweep,
    }
    of_hooks: dict[str, Callable[[], object]] = {
        "before_task": lambda: hooks.before_task("a task"),
        "step": lambda: hooks.step(opened, 0.5),
        "after_task": lambda: hooks.after_task(opened, success=True),
        "opened": lambda: hooks.opened(Agent(who, swarm=swarm).before_task("a task").trajectory_id),
        "abandon": lambda: hooks.abandon(Agent(who, swarm=swarm).before_task("a task").trajectory_id),
        "receipt": lambda: hooks.receipt(key),
        "health": hooks.health,
    }
    decided = swarm.route("a task", agent=who, routes=["a", "b"]).decision_id
    zero = np.zeros((2, DIM), np.float32)
    return {
        "query": lambda: guarded.query("a task", agents=[who]),
        "recall": lambda: guarded.recall("a task"),
        "retrieve_patterns": lambda: guarded.retrieve_patterns("a task", source_agents=[who]),
        "patterns": lambda: guarded.patterns(agents=[who]),
        "pattern": lambda: guarded.pattern("none"),
        "apply": lambda: guarded.apply("none", "a task"),
        "decision": lambda: guarded.decision(decided),
        "agent": lambda: guarded.agent(who),
        "roles": guarded.roles,
        "status": guarded.status,
        "receipt": lambda: guarded.receipt(who, key),
        "wait": lambda: guarded.wait(receipt, 0.0),
        "history": lambda: guarded.history(who),
        "export": lambda: guarded.export(who, LoraPair(zero, zero, 1.0)),
        "route": lambda: guarded.route("a task", agent=who, routes=["a", "b"], session="s"),
        "store_pattern": lambda: guarded.store_pattern("a task", "an answer", agent=who),
        "record": lambda: guarded.record(some_outcome(2, who), f"{who}-2"),
        "register": lambda: guarded.register(who),
        "warm_start": lambda: guarded.warm_start(who),
        "submit": lambda: guarded.submit("a task", role="coder", submitter=who),
        "learn_from_swarm_execution": lambda: guarded.learn_from_swarm_execution("a task", {who: "an answer"}),
        "rollback": lambda: guarded.rollback(who, 1),
        "rewind": lambda: guarded.rewind(agent=who),
        "decisions": guarded.decisions,
        "quarantine": lambda: guarded.quarantine(who),
        "release": lambda: guarded.release(who),
        "find": lambda: guarded.find(f"outcome/{who}/{key}"),
        "record_many": lambda: guarded.record_many([some_outcome(2, who)], [f"{who}-3"]),
        "retention": guarded.retention,
        "set_retention": guarded.set_retention,
        "tombstones": guarded.tombstones,
        "pin": lambda: guarded.pin("none"),
        "unpin": lambda: guarded.unpin("none"),
        "forget": lambda: guarded.forget(trajectory=f"nothing of {who}"),
        "events.latest": guarded.events.latest,
        "events.follow": guarded.events.follow,
        "backup": lambda: guarded.backup(swarm.settings.state_dir / "none" / "file"),
        **{f"tasks.{name}": call for name, call in of_tasks.items()},
        **{f"hooks.{name}": call for name, call in of_hooks.items()},
    }


def is_forbidden(call: Callable[[], object]) -> bool:
    try:
        call()
    except ForbiddenError:
        return True
    except SwarmError:
        return False  # it was let in, and what it asked for is not there
    return False


@pytest.mark.parametrize("who", [ME, OTHER])
@pytest.mark.parametrize("role", list(Role))
def test_each_operation_is_open_to_whom_the_table_says(
    team: Swarm, as_role: Callable[[Role], GuardedSwarm], role: Role, who: str
) -> None:
    made = calls(team, as_role(role), who)
    assert set(made) == {name for name, rule in POLICY.items() if rule.roles}
    wrong = {}
    for name, call in made.items():
        rule = POLICY[name]
        allowed = role in rule.roles and not (role is Role.AGENT and who == OTHER and rule.own)
        if is_forbidden(call) == allowed:
            wrong[name] = "let in" if not allowed else "refused"
    assert wrong == {}


def test_without_a_token_everything_is_open(team: Swarm) -> None:
    guarded = GuardedSwarm(team, None)
    assert guarded.access is None
    assert [name for name, call in calls(team, guarded, OTHER).items() if is_forbidden(call)] == []


def test_what_is_refused_changes_nothing(team: Swarm, as_role: Callable[[Role], GuardedSwarm]) -> None:
    guarded = as_role(Role.AGENT)
    made = calls(team, guarded, OTHER)

    def stored() -> dict[bytes, bytes | None]:
        keys = [key for pattern in team.keys.patterns for key in team.client.scan_iter(match=pattern)]
        ours = (team.keys.token_use.encode(), team.keys.rate("").encode())
        return {key: team.client.dump(key) for key in keys if not key.startswith(ours)}

    for name in (
        "record",
        "record_many",
        "store_pattern",
        "register",
        "warm_start",
        "rollback",
        "rewind",
        "route",
        "submit",
    ):
        before = stored()
        with pytest.raises(ForbiddenError):
            made[name]()
        assert stored() == before, name


def test_an_agent_that_names_nobody_is_itself(team: Swarm, as_role: Callable[[Role], GuardedSwarm]) -> None:
    guarded = as_role(Role.AGENT)
    assert guarded.store_pattern("a task", "an answer").agent == ME
    assert team.tasks.find(guarded.submit("a task", role="tester").id).record.submitter == ME
    assert guarded.route("a task", routes=["a", "b"]).route in ("a", "b")


def test_an_agent_that_is_new_becomes_no_library(swarm: Swarm) -> None:
    token, _ = AccessControl(swarm.settings, swarm.client).create("agent", "newcomer")
    GuardedSwarm(swarm, token).store_pattern("a task", "an answer")
    assert swarm.roles() == {"newcomer": "agent"}


def test_an_agent_gives_itself_no_role_and_no_configuration(
    team: Swarm, as_role: Callable[[Role], GuardedSwarm]
) -> None:
    guarded = as_role(Role.AGENT)
    with pytest.raises(ForbiddenError, match="in role 'tester', which an operator gives"):
        guarded.register(ME, "tester")
    with pytest.raises(ForbiddenError, match="with another configuration"):
        guarded.register(ME, config=SonaConfig(dim=DIM, seed=3))
    with pytest.raises(ForbiddenError, match="with another policy"):
        guarded.register(ME, policy=AgentPolicy(ttl_s=9.0))
    with pytest.raises(ForbiddenError, match="from another template"):
        guarded.register(ME, template="code")
    as_role(Role.OPERATOR).register(ME, template="code", policy=AgentPolicy(redact=("email",)))
    with pytest.raises(ForbiddenError, match="with another policy"):
        guarded.register(ME, policy=AgentPolicy())
    assert guarded.register(ME, template="code", policy=AgentPolicy(redact=("email",))).template == "code"
    assert guarded.register(ME, "coder").role == "coder"
    assert as_role(Role.OPERATOR).register(ME, "tester").role == "tester"


def test_a_task_that_is_placed_on_another_agent_is_passed_over_whole(
    team: Swarm, as_role: Callable[[Role], GuardedSwarm]
) -> None:
    team.register("carl", "coder", SonaConfig(dim=DIM))
    for_carl = team.submit("for carl", agent="carl", payload={"secret": "carl's"})
    for_any = team.submit("for any", role="coder")
    guarded = as_role(Role.AGENT)
    with pytest.raises(ForbiddenError):
        guarded.tasks.find(for_carl.id)
    found = guarded.tasks.claim("coder", "w", 30.0)
    assert found is not None
    assert found.id == for_any.id
    status = team.tasks.find(for_carl.id).status
    assert (status.state, status.attempts, status.worker) == ("retrying", 0, "")
    assert [counts.lost for counts in team.tasks.counts()] == [0]
    assert guarded.tasks.claim("coder", "w", 30.0) is None


def test_the_token_of_an_attempt_helps_no_other_agent_of_the_role(
    team: Swarm, as_role: Callable[[Role], GuardedSwarm]
) -> None:
    team.register("carl", "coder", SonaConfig(dim=DIM))
    control = AccessControl(team.settings, team.client)
    carl = GuardedSwarm(team, control.create("agent", "carl")[0])
    team.submit("a task", role="coder")
    claimed = carl.tasks.claim("coder", "w", 30.0)
    assert claimed is not None
    ada = as_role(Role.AGENT)
    with pytest.raises(ForbiddenError, match="which another has"):
        ada.tasks.succeed(claimed, "stolen")
    assert carl.tasks.succeed(claimed, "done") == "succeeded"


def test_idempotency_keys_and_sessions_of_agents_do_not_meet(
    team: Swarm, as_role: Callable[[Role], GuardedSwarm]
) -> None:
    control = AccessControl(team.settings, team.client)
    ada, bob = as_role(Role.AGENT), GuardedSwarm(team, control.create("agent", OTHER)[0])
    first = ada.submit("a task", role="coder", idempotency_key="k")
    assert ada.submit("a task", role="coder", idempotency_key="k").id == first.id
    second = bob.submit("another", role="coder", idempotency_key="k")
    assert second.is_new
    assert second.id != first.id
    ada.route("a task", routes=["a", "b"], session="s")
    assert team.client.exists(team.keys.session("ada/s"), team.keys.session("s")) == 1


@pytest.mark.parametrize("task", [None, "coder:x", ClaimedTask])
def test_a_claim_that_is_none_is_an_error_of_input(
    as_role: Callable[[Role], GuardedSwarm], team: Swarm, task: Any
) -> None:
    for tasks in (team.tasks, as_role(Role.AGENT).tasks):
        with pytest.raises(InputError):
            tasks.renew(task, 30.0)


def test_calls_beyond_the_rate_are_refused_with_the_time_to_try_again(settings: Settings, client: Client) -> None:
    slow = settings.model_copy(update={"rate_writes": 0.1, "rate_burst": 20.0})
    swarm = Swarm(slow, client=client)
    swarm.register(ME, "coder")
    guarded = GuardedSwarm(swarm, AccessControl(slow, client).create("agent", ME)[0])
    guarded.submit("one", role="coder")
    guarded.submit("two", role="coder")
    with pytest.raises(RateLimitError, match=r"agent ada may make 0\.1 writes a second") as caught:
        guarded.submit("three", role="coder")
    assert 5.0 < caught.value.retry_after_s <= 10.0
    assert swarm.tasks.counts()[0].submitted == 2
    assert guarded.roles() == {ME: "coder"}


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "x" * 2**20},
        {"text": "ä" * 300_000},
        {"list": [0] * 10_001},
        {"bytes": b"x" * (2**20 + 1)},
        {str(number): 0 for number in range(5_001)},
    ],
    ids=["text", "wide text", "list", "bytes", "keys"],
)
def test_what_is_too_large_is_refused(team: Swarm, as_role: Callable[[Role], GuardedSwarm], payload: Any) -> None:
    with pytest.raises(CapacityError, match="rate_max_bytes"):
        as_role(Role.AGENT).submit("a task", role="coder", payload=payload)
    assert team.tasks.counts() == ()


def test_what_is_nested_without_end_is_refused() -> None:
    nest: list[Any] = []
    nest.append(nest)
    with pytest.raises(InputError, match="nested 32 deep"):
        check_size(nest, 2**20)
    assert check_size({"a": ["b", b"c", 1, None]}, 2**20) < 64


def test_a_token_of_another_swarm_opens_nothing(team: Swarm, client: Client) -> None:
    elsewhere = team.settings.model_copy(update={"name": f"{team.settings.name}x"})
    token, record = AccessControl(elsewhere, client).create("operator")
    try:
        with pytest.raises(TokenError, match="is none of swarm"):
            GuardedSwarm(team, token)
    finally:
        AccessControl(elsewhere, client).revoke(record.id)


def test_an_open_trajectory_of_another_is_unknown(team: Swarm, as_role: Callable[[Role], GuardedSwarm]) -> None:
    theirs = Agent(OTHER, swarm=team).before_task("a task").trajectory_id
    guarded = as_role(Role.AGENT)
    with pytest.raises(UnknownIdError):
        guarded.hooks(Agent(ME, swarm=team)).after_task(theirs, success=True)
    with pytest.raises(ForbiddenError):
        guarded.hooks(Agent(OTHER, swarm=team)).after_task(theirs, success=True)


def test_of_several_outcomes_with_one_of_another_agent_none_is_taken(
    team: Swarm, as_role: Callable[[Role], GuardedSwarm]
) -> None:
    with pytest.raises(ForbiddenError):
        as_role(Role.AGENT).record_many([some_outcome(1, ME), some_outcome(2, OTHER)])
    assert team.agents.state(ME).accepted == 0


def test_an_agent_finds_its_own_receipts_and_the_merges(team: Swarm, as_role: Callable[[Role], GuardedSwarm]) -> None:
    team.record(some_outcome(1, ME), "mine")
    mine, others = team.submit("x", agent=ME, submitter=ME).id, team.submit("x", agent=OTHER, submitter=OTHER).id
    guarded = as_role(Role.AGENT)
    assert guarded.find(f"outcome/{ME}/mine").state == "accepted"
    assert guarded.find(mine).state == "waiting"
    for receipt_id in (others, f"outcome/{OTHER}/mine", f"consolidation/{OTHER}/1"):
        with pytest.raises(ForbiddenError):
            guarded.find(receipt_id)
    with pytest.raises(UnknownIdError):
        guarded.find("merge/1-1")
