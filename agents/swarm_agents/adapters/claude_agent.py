"""Claude's Agent SDK: hooks that take part in a swarm, and the end of a turn from its result message.

swarm = ClaudeSwarm(client, judge=judge)
options = ClaudeAgentOptions(hooks=swarm.hooks())
async for message in swarm.watch(query(prompt="rename a column", options=options)):
    ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from claude_agent_sdk import HookContext, HookMatcher, ResultMessage
from claude_agent_sdk.types import HookEvent, HookInput, HookJSONOutput

from swarm_agents.adapters.tracking import Judge, OpenTask, Tracker, advice_text
from swarm_agents.client.interface import AsyncSwarmClient

_M = TypeVar("_M")
HOOK_TIMEOUT = 5.0
"""Seconds after which Claude Code goes on without a hook's answer."""


class ClaudeFailure(Exception):
    """A turn that ended with an error, as its result message words it."""


class ClaudeSwarm:
    """Claude as one agent of a swarm, in any number of sessions.

    Parameters
    ----------
    client : whose tasks these are; whoever made it closes it
    judge : says how a turn went; without one nothing is reported, see `Judge`
    k : how many patterns are shown at most
    """

    def __init__(self, client: AsyncSwarmClient, *, judge: Judge | None = None, k: int = 3) -> None:
        self._client = client
        self.tracker = Tracker(judge, k)
        self._tasks: dict[str, OpenTask] = {}

    def hooks(self) -> dict[HookEvent, list[HookMatcher]]:
        """For `ClaudeAgentOptions(hooks=...)`; they decide nothing, so no permission is given or taken."""
        prompt = HookMatcher(hooks=[self._on_prompt], timeout=HOOK_TIMEOUT)
        tool = HookMatcher(hooks=[self._on_tool], timeout=HOOK_TIMEOUT)
        return {"UserPromptSubmit": [prompt], "PostToolUse": [tool], "PostToolUseFailure": [tool]}

    async def watch(self, messages: AsyncIterator[_M]) -> AsyncIterator[_M]:
        """The same messages; each result among them ends its session's task, with cost and latency."""
        async for message in messages:
            if isinstance(message, ResultMessage):
                await self._on_result(message)
            yield message

    async def _on_prompt(self, given: HookInput, _: str | None, __: HookContext) -> HookJSONOutput:
        values: Any = given
        await self._give_up(values["session_id"])
        task = await self.tracker.begin(self._client, values["prompt"])
        if task is None:
            return {}
        self._tasks[values["session_id"]] = task
        if not (text := advice_text(task.advice)):
            return {}
        return {"hookSpecificOutput": {"hookEventName": "UserPromptSubmit", "additionalContext": text}}

    async def _on_tool(self, given: HookInput, _: str | None, __: HookContext) -> HookJSONOutput:
        values: Any = given
        if (task := self._tasks.get(values["session_id"])) is not None:
            reward = 0.0 if values["hook_event_name"] == "PostToolUseFailure" else 1.0
            await self.tracker.step(task, values["tool_name"], reward, float(values.get("duration_ms") or 0.0))
        return {}

    async def _on_result(self, message: ResultMessage) -> None:
        task = self._tasks.pop(message.session_id, None)
        if task is None:
            return
        task.cost = message.total_cost_usd or 0.0
        error = ClaudeFailure("; ".join(message.errors or [message.subtype])) if message.is_error else None
        await self.tracker.end([task], message.result or "", error)

    async def _give_up(self, session: str) -> None:
        """A task that is still open, when its session has gone on to the next, has no outcome."""
        if (task := self._tasks.pop(session, None)) is not None:
            await self.tracker.abandon(task)
