"""A client of the Model Context Protocol that works in a swarm by its tools alone.

pip install 'sona-swarm[mcp]' && swarm up && python examples/mcp_client.py
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters

SERVER = StdioServerParameters(
    command=sys.executable,
    args=["-m", "swarm_cli", "mcp", "--agent", "coder-1"],
    # The SDK passes on what every process needs, and no setting of ours.
    env={name: value for name, value in os.environ.items() if name.startswith(("SWARM_", "PYTHON"))},
)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers."""
    answer = await client.call_tool(tool, arguments)
    if answer.is_error or answer.structured_content is None:
        raise SystemExit(f"{tool}: {answer.content}")
    found: dict[str, Any] = answer.structured_content
    return found


async def main() -> None:
    async with Client(SERVER) as client:
        print("tools:", ", ".join(tool.name for tool in (await client.list_tools()).tools))
        begun = await call(client, "trajectory_begin", text="read a table from a CSV file", role="coder")
        name = begun["trajectory_id"]
        await call(client, "trajectory_step", trajectory_id=name, reward=1.0, node="editor")
        receipt = await call(client, "trajectory_end", trajectory_id=name, success=True, output="use csv.DictReader")
        state = await call(client, "op_status", id=receipt["id"], wait_s=30.0)
        print(f"reported, and now it is {state['state']}")
        [pattern] = (await call(client, "swarm_query", text="load the rows of a CSV file", k=1))["patterns"]
        print(f"found: {pattern['response']} (from {pattern['sources'][0]['agent']})")


if __name__ == "__main__":
    asyncio.run(main())
