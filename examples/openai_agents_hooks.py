"""Two agents of OpenAI's SDK in a swarm: what the first was right with, the second is told. The model is scripted.

pip install 'sona-swarm[openai-agents]' && swarm up && python examples/openai_agents_hooks.py
"""

from __future__ import annotations

import asyncio

from agents.testing import ScriptedModel, assistant_message

from agents import Agent, RunConfig, Runner
from swarm_agents.adapters.openai_agents import SwarmRunHooks
from swarm_agents.adapters.tracking import Ended
from swarm_agents.client.team import TeamClients


def judge(ended: Ended) -> bool:
    """What your tests, or a user, would say."""
    return "csv.DictReader" in ended.output


async def ask(team: TeamClients, name: str, text: str, model: ScriptedModel) -> SwarmRunHooks:
    """One run, in which the agent is shown what the swarm knows."""
    async with SwarmRunHooks(team, judge=judge) as hooks:
        config = RunConfig(call_model_input_filter=hooks.input_filter, tracing_disabled=True)
        agent = Agent(name=name, instructions="Answer with one line of Python.", model=model)
        result = await Runner.run(agent, text, hooks=hooks, run_config=config)
        print(f"{name}: {result.final_output}")
    return hooks


async def main() -> None:
    async with TeamClients() as team:
        first = ScriptedModel([[assistant_message("csv.DictReader(file)")]])
        hooks = await ask(team, "coder", "read a table from a CSV file", first)
        receipt = hooks.tracker.last_receipt
        if receipt is None:
            raise SystemExit(f"nothing was reported: {hooks.tracker.last_error}")
        client = await team.of("coder")
        print(f"reported, and now it is {(await client.receipt(receipt.id, wait=30.0)).state}")

        second = ScriptedModel([[assistant_message("csv.DictReader(file)")]])
        await ask(team, "tester", "read the rows of a CSV file", second)
        shown = second.calls[0].system_instructions or ""
        print(f"the tester's model was told: {shown.splitlines()[-1]}")


if __name__ == "__main__":
    asyncio.run(main())
