"""Schemas: bound at first use, migrated forward step by step, and refused when newer, with nothing written."""

from __future__ import annotations

import pytest
from swarm_support import a_registration, make_swarm, some_outcome

from swarm.errors import DamagedRecordError, NewerRecordError, RecordError
from swarm.services.background import Background
from swarm.services.receipts import ReceiptState
from swarm.settings import Settings
from swarm.store.agents import AgentStore
from swarm.store.bank import BankStore, MergedAgent
from swarm.store.connection import Client, connect
from swarm.store.migrations import STEPS, check_swarm, migrate
from swarm.wire.codec import VERSION, decode, encode
from swarm.wire.keys import SwarmKeys
from swarm.wire.records import encode_registration, encode_trajectory
from swarm.wire.schema import RESTORING_FIELD, SCHEMA, SCHEMA_FIELD
from swarm_agents import Agent


def everything(client: Client, keys: SwarmKeys) -> dict[bytes, bytes | None]:
    """Every key of the swarm with its content."""
    found = {key for pattern in keys.patterns for key in client.scan_iter(match=pattern)}
    return {key: client.dump(key) for key in found}


def test_there_is_a_step_to_every_schema() -> None:
    assert sorted(STEPS) == list(range(1, SCHEMA + 1))


def test_the_first_use_binds_the_schema(client: Client, settings: Settings, keys: SwarmKeys) -> None:
    assert check_swarm(client, keys) == 0
    assert make_swarm(settings, client).status().agents == ()
    assert everything(client, keys) == {}
    make_swarm(settings, client).register("coder-1")
    assert client.hget(keys.meta, SCHEMA_FIELD) == b"%d" % SCHEMA


def test_a_new_swarm_is_not_made_by_a_migration(client: Client, settings: Settings, keys: SwarmKeys) -> None:
    assert migrate(client, keys) == 0
    Background(settings, client).sweep(lambda task, agent: None)
    assert everything(client, keys) == {}


def test_a_swarm_without_a_schema_is_migrated_by_whoever_comes_first(
    client: Client, settings: Settings, keys: SwarmKeys, agents: AgentStore, bank: BankStore
) -> None:
    agents.register("coder-1", a_registration())
    lease = bank.lease(10.0)
    assert lease is not None
    merged = {name: MergedAgent(generation=1, cursor="1-0") for name in ("coder-1", "nobody")}
    bank.publish(lease, [], [], merged)
    lease.release()
    Background(settings, client).sweep(lambda task, agent: None)
    assert check_swarm(client, keys) == SCHEMA
    assert bank.merged() == {"coder-1": merged["coder-1"]}
    before = everything(client, keys)
    assert migrate(client, keys) == SCHEMA
    assert everything(client, keys) == before


def test_a_swarm_of_the_schema_before_is_read_as_having_no_policies(
    client: Client, settings: Settings, keys: SwarmKeys, agents: AgentStore
) -> None:
    registration = a_registration()
    agents.register("coder-1", registration)
    payload = decode("registration", encode_registration(registration))
    old = {name: value for name, value in payload.items() if name not in ("template", "policy")}
    client.hset(keys.agents, "coder-1", encode("registration", old))
    client.hset(keys.meta, SCHEMA_FIELD, 1)
    assert migrate(client, keys) == SCHEMA
    assert agents.registration("coder-1") == registration
    assert agents.directory().policies == {}


def test_an_agent_does_not_wait_for_a_migration_but_spools(
    client: Client, settings: Settings, keys: SwarmKeys, agents: AgentStore, bank: BankStore
) -> None:
    agents.register("coder-2", a_registration())
    lease = bank.lease(60.0)
    assert lease is not None
    agent = Agent("coder-1", swarm=make_swarm(settings, client), refresh_interval=0.0)
    advice = agent.before_task("anything")
    receipt = agent.after_task(advice.trajectory_id, success=True, output="done")
    assert receipt.state is ReceiptState.SPOOLED
    assert f"its migration from schema 0 to {SCHEMA} waits" in agent.health().last_error
    lease.release()
    agent.breaker.succeeded()
    assert agent.flush(10.0)
    assert agents.state("coder-1").accepted == 1
    assert check_swarm(client, keys) == SCHEMA
    agent.close()


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_migration_that_was_killed_goes_on_where_it_was(
    client: Client, keys: SwarmKeys, agents: AgentStore, killed_at: int
) -> None:
    agents.register("coder-1", a_registration())
    done: list[int] = []

    def step(number: int, *, is_killed: bool) -> None:
        done.append(number)
        if is_killed and number == killed_at:
            raise KeyboardInterrupt

    steps = {number: lambda client, keys, number=number: step(number, is_killed=True) for number in (1, 2, 3)}
    with pytest.raises(KeyboardInterrupt):
        migrate(client, keys, steps, 3)
    steps = {number: lambda client, keys, number=number: step(number, is_killed=False) for number in (1, 2, 3)}
    # The schemas of these steps are newer than this program's own: only the steps themselves are on trial.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swarm.wire.schema.SCHEMA", 3)
        assert migrate(client, keys, steps, 3) == 3
    assert done == [*range(1, killed_at + 1), *range(killed_at, 4)]


def test_a_newer_swarm_is_refused_and_nothing_is_written(
    client: Client, settings: Settings, keys: SwarmKeys, agents: AgentStore
) -> None:
    swarm = make_swarm(settings, client)
    swarm.register("coder-1")
    swarm.record(some_outcome(1), "key-1")
    background = Background(settings, client)
    client.hset(keys.meta, SCHEMA_FIELD, SCHEMA + 1)
    before = everything(client, keys)
    message = f"has schema {SCHEMA + 1}, this program knows schemas up to {SCHEMA}"
    # Those that were connected before ...
    with pytest.raises(NewerRecordError, match=message):
        background.sweep(lambda task, agent: None)
    with pytest.raises(NewerRecordError, match=message):
        background.consolidate("coder-1", "test", 0.0)
    with pytest.raises(NewerRecordError, match=message):
        background.merge("test", 0.0)
    with pytest.raises(NewerRecordError, match=message):
        make_swarm(settings, client).register("coder-2")
    # ... and, with whatever command, those that connect now.
    with connect(settings) as other:
        late = make_swarm(settings, other)
        for use in (
            late.status,
            lambda: late.query("anything"),
            lambda: late.submit("anything", role="coder"),
            lambda: late.record(some_outcome(2), "key-2"),
            lambda: late.agents.register("coder-2", a_registration()),
        ):
            with pytest.raises(NewerRecordError, match=message):
                use()
    assert everything(client, keys) == before


def test_a_damaged_or_half_restored_swarm_is_refused(client: Client, settings: Settings, keys: SwarmKeys) -> None:
    client.hset(keys.meta, SCHEMA_FIELD, "one")
    with connect(settings) as other, pytest.raises(DamagedRecordError, match="is not a number"):
        make_swarm(settings, other).status()
    client.hset(keys.meta, mapping={SCHEMA_FIELD: 1, RESTORING_FIELD: 1})
    with connect(settings) as other, pytest.raises(RecordError, match=f"restore FILE --as {settings.name} --replace"):
        make_swarm(settings, other).status()


def test_a_record_of_a_newer_version_is_refused() -> None:
    record = encode_trajectory(some_outcome(1))
    # msgpack [kind, version, payload]: the version is the byte behind the kind.
    place = record.index(b"trajectory") + len(b"trajectory")
    assert record[place] == VERSION
    newer = record[:place] + bytes([VERSION + 1]) + record[place + 1 :]
    with pytest.raises(NewerRecordError, match=f"version {VERSION + 1}, this program reads up to {VERSION}"):
        decode("trajectory", newer)
    assert decode("note", encode("note", {"n": 1})) == {"n": 1}
