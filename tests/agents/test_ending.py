"""How an agent's part in a process begins and ends: warm starts, exports, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import PrivateRedis
from swarm_support import DIM, make_swarm, outcomes_in
from warm_start_support import train

from swarm.errors import StoreUnavailableError
from swarm.services.background import Background
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.sona.config import SonaConfig
from swarm.sona.export import check_export
from swarm.sona.federation import AggregationStatus, FederatedCoordinator
from swarm.store.connection import connect
from swarm.wire.exports import decode_export, encode_export
from swarm_agents import Agent

TASK = "decode a JSON document into a string"


def work(agent: Agent, times: int, response: str = "json") -> None:
    for _ in range(times):
        advice = agent.before_task(TASK)
        agent.after_task(advice.trajectory_id, success=True, output=response)


def test_an_export_holds_what_is_consolidated_and_what_waits(
    known: Swarm, agent: Agent, background: Background
) -> None:
    work(agent, 3)
    background.drain(0.0)
    agent.refresh()
    work(agent, 2)
    export = check_export(agent.export())
    assert export.outcomes == 5.0
    assert {name for cluster in export.clusters for name in cluster.agents} == {"coder-1"}
    assert not export.micro.is_untrained
    assert (export.micro.up == agent.adapter.micro.up).all()
    assert export.embedder == str(known.embedder.identity)


def test_a_later_export_replaces_the_earlier_at_a_coordinator_elsewhere(
    known: Swarm, agent: Agent, background: Background
) -> None:
    coordinator = FederatedCoordinator(config=SonaConfig.preset("coordinator", dim=DIM))
    work(agent, 2)
    early = encode_export(agent.export())
    background.drain(0.0)
    work(agent, 1)
    late = encode_export(agent.close(export=True))
    assert coordinator.aggregate(decode_export(early)).status is AggregationStatus.ACCEPTED
    assert coordinator.aggregate(decode_export(late)).status is AggregationStatus.REPLACED
    assert coordinator.aggregate(decode_export(late)).status is AggregationStatus.REPEATED
    assert coordinator.contributions()["coder-1"].trajectories == 3.0
    assert coordinator.rank_actions(known.embed(TASK), 1)[0].pattern.response == "json"


def test_the_end_of_a_block_sends_what_is_spooled(
    new_agent: Callable[..., Agent], own_redis: PrivateRedis, own_settings: Settings
) -> None:
    with new_agent() as agent:
        own_redis.kill()
        advice = agent.before_task(TASK)
        receipt = agent.after_task(advice.trajectory_id, success=True, output="json")
        assert receipt.state is ReceiptState.SPOOLED
        own_redis.start()
    with connect(own_settings) as client:
        swarm = make_swarm(own_settings, client)
        assert swarm.receipt("coder-1", receipt.idempotency_key).state is ReceiptState.ACCEPTED
        Background(own_settings, client).drain(0.0)
        assert outcomes_in(swarm.agents.clusters("coder-1")) == 1.0


def test_an_export_that_would_not_be_whole_is_refused_and_the_agent_goes_on(
    new_agent: Callable[..., Agent], own_redis: PrivateRedis
) -> None:
    agent = new_agent()
    own_redis.kill()
    work(agent, 1)
    with pytest.raises(StoreUnavailableError, match="1 outcomes are not in Redis after 0 s"):
        agent.close(export=True, timeout_s=0.0)
    work(agent, 1)
    assert agent.health().spooled == 2
    own_redis.start()
    assert agent.close(export=True).outcomes == 2.0


@pytest.mark.parametrize(
    ("config", "wanted", "is_warm"),
    [
        pytest.param(SonaConfig.preset("ephemeral", dim=DIM), None, True, id="ephemeral"),
        pytest.param(SonaConfig.preset("ephemeral", dim=DIM), False, False, id="ephemeral, unwanted"),
        pytest.param(SonaConfig(dim=DIM), None, False, id="plain"),
        pytest.param(SonaConfig(dim=DIM), True, True, id="plain, wanted"),
    ],
)
def test_who_begins_with_what_the_swarm_knows(
    swarm: Swarm, config: SonaConfig, wanted: bool | None, is_warm: bool
) -> None:
    train(swarm, "teacher", 3, 0.1)
    agent = Agent("new", swarm=swarm, config=config, warm_start=wanted)
    assert bool(agent.adapter.trained_base) is is_warm
    assert agent.generation == int(is_warm)
    again = Agent("new", swarm=swarm, warm_start=wanted)
    assert again.generation == agent.generation
