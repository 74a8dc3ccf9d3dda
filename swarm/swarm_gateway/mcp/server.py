"""The MCP server: lists the tools, checks what they are given, and answers in both shapes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial

import anyio
from anyio import to_thread
from mcp.server import Server, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from pydantic import BaseModel, ValidationError

from swarm import __version__
from swarm.errors import SwarmError, shown
from swarm_gateway.gateway import Gateway
from swarm_gateway.mcp.arguments import Arguments, Operation
from swarm_gateway.mcp.caller import Caller
from swarm_gateway.mcp.tools import TOOLS, Look, ToolSpec

logger = logging.getLogger(__name__)
INSTRUCTIONS = (
    "Shared memory of a swarm of agents. Before a task call trajectory_begin and consider its patterns; "
    "after it call trajectory_end with its trajectory_id and how it went."
)
_POLL_S = 0.1
WhoCalls = Callable[[ServerRequestContext], Caller]
"""Who sent a request; one that may not be here was turned away before."""


def build_server(who: WhoCalls) -> Server:
    """A server of the ten tools for both eras of the protocol; it keeps no state between requests."""
    tools = {spec.name: spec for spec in TOOLS}
    listed = ListToolsResult(tools=[spec.described() for spec in TOOLS])

    async def list_tools(_: ServerRequestContext, __: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(context: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
        spec = tools.get(params.name)
        if spec is None:
            raise MCPError(code=INVALID_PARAMS, message=f"there is no tool {shown(params.name)}")
        return await _called(spec, who(context), params.arguments or {})

    return Server(
        "sona-swarm",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _called(spec: ToolSpec, caller: Caller, given: dict[str, object]) -> CallToolResult:
    """What the tool answers; what went wrong is an answer, too, which the model can read and act on."""
    try:
        return _success(await _answer(spec, caller, spec.takes.model_validate(given)))
    except ValidationError as error:
        return _failure("InputError", "; ".join(_lines(error)))
    except SwarmError as error:
        return _failure(type(error).__name__, str(error))
    except Exception:
        # Its words may hold anything, so they stay in the log.
        logger.exception("tool %s", spec.name)
        return _failure("InternalError", "a fault of the server; its log has more")


async def _answer(spec: ToolSpec, caller: Caller, asked: Arguments) -> BaseModel:
    work = partial(spec.run, caller, asked)
    # What destroys takes seconds, and no hook is to wait for a thread meanwhile.
    answer = await (caller.gateway.slowly(work) if spec.is_destructive else to_thread.run_sync(work))
    if isinstance(answer, BaseModel):
        return answer
    assert isinstance(asked, Operation)
    return await _when_ended(answer, asked.wait_s, caller.gateway)


async def _when_ended(look: Look, wait_s: float, gateway: Gateway) -> BaseModel:
    """How it stands when it has ended, after `wait_s`, or when the process is told to; no thread is held meanwhile."""
    deadline = anyio.current_time() + wait_s
    while True:
        state = await to_thread.run_sync(look)
        left = deadline - anyio.current_time()
        if state.has_ended or left <= 0.0 or gateway.is_closing:
            return state
        await anyio.sleep(min(_POLL_S, left))


def _success(answer: BaseModel) -> CallToolResult:
    values = answer.model_dump(mode="json")
    return CallToolResult(content=[_text(json.dumps(values, ensure_ascii=False))], structured_content=values)


def _failure(kind: str, message: str) -> CallToolResult:
    return CallToolResult(content=[_text(f"{kind}: {message}")], is_error=True)


def _text(text: str) -> TextContent:
    # Half a surrogate pair, as a name or a stored text may hold, has no place in UTF-8.
    return TextContent(type="text", text=text.encode("utf-8", "replace").decode())


def _lines(error: ValidationError) -> list[str]:
    """`k: Input should be at least 1, got 0`, for each fault."""
    return [
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}, got {shown(one['input'], 60)}"
        for one in error.errors(include_url=False)[:10]
    ]
