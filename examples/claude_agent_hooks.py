"""Claude's Agent SDK in a swarm: what one session was right with, the next is told. Claude Code is scripted.

pip install 'sona-swarm[claude-agent]' && swarm up && python examples/claude_agent_hooks.py
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from claude_agent_sdk import ClaudeAgentOptions, Transport, query

from swarm_agents.adapters.claude_agent import ClaudeSwarm
from swarm_agents.adapters.tracking import Ended
from swarm_agents.client import connect_async


class ScriptedClaude(Transport):
    """Speaks the control protocol as Claude Code does: a prompt, one tool, an answer. Leave it out for the real one."""

    def __init__(self, session: str, prompt: str, answer: str, *, fails: bool = False) -> None:
        self._common = {"session_id": session, "transcript_path": "", "cwd": "."}
        self._prompt = prompt
        self._answer = answer
        self._fails = fails
        self._hooks: dict[str, Any] = {}
        self._written: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.told: list[dict[str, Any]] = []
        """What the hooks answered."""

    async def connect(self) -> None:
        """Nothing to start."""

    async def write(self, data: str) -> None:
        """A line from the SDK."""
        await self._written.put(json.loads(data))

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """The lines that Claude Code would print."""
        asked = await self._next("control_request")
        self._hooks = asked["request"]["hooks"] or {}
        done = {"subtype": "success", "request_id": asked["request_id"], "response": {}}
        yield {"type": "control_response", "response": done}
        tool = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": "t1", "duration_ms": 12}
        ended = {"error": "exit 1"} if self._fails else {"tool_response": {"stdout": ""}}
        events: list[tuple[str, dict[str, Any]]] = [
            ("UserPromptSubmit", {"prompt": self._prompt}),
            ("PostToolUseFailure" if self._fails else "PostToolUse", tool | ended),
        ]
        for event, given in events:
            for call in self._calls(event, given):
                yield call
                response = await self._next("control_response")
                self.told.append(response["response"])
        yield self._result()

    def _calls(self, event: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        values = self._common | given | {"hook_event_name": event}
        ids = [name for matcher in self._hooks.get(event, ()) for name in matcher["hookCallbackIds"]]
        return [
            {
                "type": "control_request",
                "request_id": f"{event}-{name}",
                "request": {"subtype": "hook_callback", "callback_id": name, "input": values, "tool_use_id": None},
            }
            for name in ids
        ]

    def _result(self) -> dict[str, Any]:
        return {
            "type": "result",
            "subtype": "error_during_execution" if self._fails else "success",
            "is_error": self._fails,
            "duration_ms": 900,
            "duration_api_ms": 800,
            "num_turns": 1,
            "session_id": self._common["session_id"],
            "total_cost_usd": 0.01,
            "result": self._answer,
        }

    async def _next(self, kind: str) -> dict[str, Any]:
        while (line := await self._written.get())["type"] != kind:
            pass  # the prompt
        return line

    async def close(self) -> None:
        """Nothing to end."""

    def is_ready(self) -> bool:
        """Always."""
        return True

    async def end_input(self) -> None:
        """Nothing to close."""


def judge(ended: Ended) -> bool:
    """What your tests, or a user, would say."""
    return ended.error is None and "awk" in ended.output


async def ask(swarm: ClaudeSwarm, claude: ScriptedClaude, prompt: str) -> None:
    """One turn."""
    options = ClaudeAgentOptions(hooks=swarm.hooks())
    async for message in swarm.watch(query(prompt=prompt, options=options, transport=claude)):
        print(f"claude: {getattr(message, 'result', '')}")


async def main() -> None:
    async with connect_async(agent="claude", role="coder") as client:
        swarm = ClaudeSwarm(client, judge=judge)
        text = "sum the second column of a file"
        await ask(swarm, ScriptedClaude("one", text, "awk '{s += $2} END {print s}'"), text)
        receipt = swarm.tracker.last_receipt
        if receipt is None:
            raise SystemExit(f"nothing was reported: {swarm.tracker.last_error}")
        print(f"reported, and now it is {(await client.receipt(receipt.id, wait=30.0)).state}")

        text = "sum the third column of a file"
        second = ScriptedClaude("two", text, "awk '{s += $3} END {print s}'")
        await ask(swarm, second, text)
        shown = second.told[0]["response"]["hookSpecificOutput"]["additionalContext"]
        print(f"the second session was told: {shown.splitlines()[-1]}")


if __name__ == "__main__":
    asyncio.run(main())
