"""Clients for all agents of one program."""

from __future__ import annotations

import asyncio

import pytest

from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.wire.keys import check_name
from swarm_agents.client.http import AsyncHttpClient
from swarm_agents.client.local import AsyncLocalClient
from swarm_agents.client.team import TeamClients, swarm_name


@pytest.fixture
def variables(settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's environment is that of the test's swarm; `client` removes what it leaves."""
    for name in ("name", "redis_url", "state_dir", "embedder"):
        monkeypatch.setenv(f"SWARM_{name.upper()}", str(getattr(settings, name)))


def test_agents_of_one_program_share_a_swarm_and_each_is_made_once(variables: None) -> None:
    async def together() -> None:
        async with TeamClients() as team:
            coder, tester, again = await asyncio.gather(*map(team.of, ("coder", "tester", "coder")))
            assert isinstance(coder, AsyncLocalClient)
            assert isinstance(tester, AsyncLocalClient)
            assert coder is again
            assert coder.client.agent.swarm is tester.client.agent.swarm
            name = (await coder.before_task("x")).trajectory_id
            assert (await coder.after_task(name, success=True)).agent == "coder"

    asyncio.run(together())


def test_over_a_gateway_each_agent_has_its_own_client() -> None:
    async def apart() -> None:
        async with TeamClients("http://127.0.0.1:1", token="t") as team:
            client = await team.of("coder")
            assert isinstance(client, AsyncHttpClient)
            assert (client.name, client.url) == ("coder", "http://127.0.0.1:1")

    asyncio.run(apart())


@pytest.mark.parametrize("name", ["coder", "Triage agent (v2)", "", "…", "a" * 100, "-" * 70, "x" * 62 + "--y"])
def test_every_name_of_a_framework_becomes_one_that_the_swarm_takes(name: str) -> None:
    assert check_name(swarm_name(name), "agent")
