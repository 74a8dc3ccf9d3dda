"""The ten tools, called by the SDK's own client over both transports, in both eras of the protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_process import running_gateway
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from mcp.shared.exceptions import MCPError
from mcp_support import NEW, OLD, Era, McpClient, over_http, over_stdio
from support import wait_until
from swarm_support import environment
from tokenizers import Tokenizer

from swarm.services.access import AccessControl
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.wire.token_records import Role
from swarm_gateway.mcp.tools import TOOLS

NAMES = [
    *("memory_search", "memory_add", "memory_forget", "trajectory_begin", "trajectory_step", "trajectory_end"),
    *("swarm_query", "swarm_status", "route_model", "op_status"),
]
MAX_TOKENS = 2_500
Transport = Callable[..., AbstractContextManager[McpClient]]


@pytest.fixture(params=[("http", OLD), ("http", NEW), ("stdio", OLD), ("stdio", NEW)], ids=" ".join)
def transport(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Transport]:
    """Opens clients, each with a token or none."""
    kind, era = request.param
    if kind == "stdio":
        yield lambda token=None: over_stdio(settings, era, token)
        return
    with running_gateway(settings) as gateway:
        yield lambda token=None: over_http(f"{gateway.url}/mcp", era, token)


@pytest.fixture
def mcp(transport: Transport) -> Iterator[McpClient]:
    with transport() as client:
        yield client


def token_of(swarm: Swarm, role: Role, agent: str = "") -> str:
    return AccessControl(swarm.settings, swarm.client).create(role, agent)[0]


def test_a_task_goes_from_its_begin_to_the_shared_bank(mcp: McpClient, swarm: Swarm, background: Background) -> None:
    begun = mcp.call("trajectory_begin", text="decode a JSON document", agent="ada", role="coder")
    assert begun["patterns"] == []
    assert begun["trajectory_id"].startswith("ada:")
    assert mcp.call("trajectory_step", trajectory_id=begun["trajectory_id"], reward=0.5, node="grep") == {
        "trajectory_id": begun["trajectory_id"]
    }
    receipt = mcp.call("trajectory_end", trajectory_id=begun["trajectory_id"], success=True, output="use json.loads")
    assert receipt == {"id": f"outcome/ada/{begun['trajectory_id']}", "state": "accepted", "is_new": True}
    again = mcp.call("trajectory_end", trajectory_id=begun["trajectory_id"], success=True, output="use json.loads")
    assert again["is_new"] is False
    background.drain(0.0)
    found = mcp.call("op_status", id=receipt["id"], wait_s=5)
    assert (found["state"], found["has_ended"]) == ("searchable", True)
    # Another process's replica may be behind for a moment on a busy machine; it says so and catches up.
    [pattern] = wait_until(
        lambda: mcp.call("swarm_query", text="decode a JSON document", agents=["ada"], min_quality=0.5)["patterns"],
        30.0,
        "the pattern in what the gateway's replica knows",
    )
    assert (pattern["response"], pattern["trajectory_ids"]) == ("use json.loads", [begun["trajectory_id"]])
    assert [(source["agent"], source["outcomes"]) for source in pattern["sources"]] == [("ada", 1.0)]
    [alike] = mcp.call("memory_search", text="decode a JSON document", k=1)["patterns"]
    assert (alike["response"], alike["agents"]) == ("use json.loads", ["ada"])
    status = mcp.call("swarm_status")
    assert (status["patterns"], status["lost"], status["agent_count"]) == (1, 0, 1)
    assert [(agent["name"], agent["role"]) for agent in status["agents"]] == [("ada", "coder")]
    assert swarm.status().agents[0].consolidated == 1


def test_what_is_added_is_found_and_what_is_forgotten_is_not(mcp: McpClient, background: Background) -> None:
    receipt = mcp.call("memory_add", task="compress a file", output="use gzip")
    assert receipt["id"].startswith("outcome/library/")
    background.drain(0.0)
    [pattern] = wait_until(lambda: mcp.call("memory_search", text="compress a file")["patterns"], 30.0, "the pattern")
    gone = mcp.call("memory_forget", pattern=pattern["pattern_id"])
    assert (gone["kind"], gone["id"], gone["outcomes"]) == ("pattern", pattern["pattern_id"], 1)
    wait_until(lambda: mcp.call("swarm_query", text="compress a file")["patterns"] == [], 30.0, "it to be forgotten")


def test_a_model_is_chosen_by_what_it_came_to(mcp: McpClient, background: Background) -> None:
    for route, success in (("small", False), ("large", True)) * 3:
        begun = mcp.call("trajectory_begin", text="prove a theorem", agent="ada", routes=["small", "large"])
        mcp.call("trajectory_end", trajectory_id=begun["trajectory_id"], success=success, route=route)
    background.drain(0.0)

    def advised() -> dict[str, Any]:
        return mcp.call("route_model", text="prove a theorem", routes=["small", "large"], strategy="quality")

    advice = wait_until(lambda: found if (found := advised())["outcomes"] == 3.0 else None, 30.0, "all outcomes")
    assert advice is not None
    assert advice["route"] == "large"
    assert advice["why"]


def test_the_same_ten_tools_come_in_the_same_order(mcp: McpClient) -> None:
    tools = mcp.tools()
    assert [tool.name for tool in tools] == NAMES
    assert mcp.tools() == tools
    reads = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    assert reads == {"memory_search", "swarm_query", "swarm_status", "op_status"}
    destroys = {tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint}
    assert destroys == {"memory_forget"}
    assert all(tool.annotations and tool.annotations.open_world_hint is False for tool in tools)


def test_what_goes_wrong_is_an_answer_that_says_why(mcp: McpClient) -> None:
    assert (
        mcp.error("memory_search", text="x", k=51) == "InputError: k: Input should be less than or equal to 50, got 51"
    )
    assert "role: Extra inputs are not permitted" in mcp.error("swarm_query", text="x", role="coder")
    assert "text: Field required" in mcp.error("swarm_query")
    assert mcp.error("swarm_query", text="x", agents=["nobody"]).startswith("UnknownIdError: agent 'nobody'")
    assert mcp.error("swarm_query", text=" ").startswith("TextError: ")
    assert mcp.error("trajectory_end", trajectory_id="x", success=True).startswith("UnknownIdError: trajectory_id 'x'")
    assert "give exactly one of success and quality" in mcp.error(
        "trajectory_end", trajectory_id=mcp.call("trajectory_begin", text="x")["trajectory_id"]
    )
    assert "UnknownIdError" in mcp.error("op_status", id="outcome/ada/never")
    assert mcp.error("memory_forget") == "InputError: forget takes a pattern, a trajectory or an agent, got none"
    assert mcp.error("route_model", text="x").startswith("NoRouteError: ")


def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(mcp: McpClient) -> None:
    with pytest.raises(MCPError, match="there is no tool 'memory_store'"):
        mcp.raw("memory_store", text="x")


def test_a_token_allows_here_what_it_allows_elsewhere(
    transport: Transport, swarm: Swarm, background: Background
) -> None:
    swarm.store_pattern("compress a file", "use gzip")
    background.drain(0.0)
    with transport(token_of(swarm, Role.READER)) as reader:
        assert reader.call("swarm_query", text="compress a file")["patterns"]
        assert reader.error("trajectory_begin", text="x", agent="ada").startswith("ForbiddenError: ")
        assert reader.error("memory_add", task="x", output="y").startswith("ForbiddenError: ")
    with transport(token_of(swarm, Role.AGENT, "ada")) as ada:
        begun = ada.call("trajectory_begin", text="x")
        assert begun["trajectory_id"].startswith("ada:")
        assert ada.error("trajectory_begin", text="x", agent="bob").startswith("ForbiddenError: ")
        other = begun["trajectory_id"].replace("ada:", "bob:")
        assert ada.error("trajectory_end", trajectory_id=other, success=True).startswith("ForbiddenError: ")
        assert ada.call("memory_add", task="x", output="y")["id"].startswith("outcome/ada/")
        assert ada.error("memory_forget", agent="ada").startswith("ForbiddenError: ")
    with transport(token_of(swarm, Role.OPERATOR)) as operator:
        assert operator.call("memory_forget", agent="ada")["kind"] == "agent"


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
def test_schemas_are_json_schemas_without_references(spec: Any) -> None:
    tool = spec.described()
    for schema in (tool.input_schema, tool.output_schema):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        assert "$ref" not in json.dumps(schema)


def test_all_schemas_together_stay_below_the_bound() -> None:
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "tokenizers" / "l2_supercat_tokenizer_config.json"
    tokenizer = Tokenizer.from_file(str(file))
    tools = [tool.described().model_dump(mode="json", by_alias=True, exclude_none=True) for tool in TOOLS]
    text = json.dumps(tools, separators=(",", ":"))
    assert 1_000 < len(tokenizer.encode(text, add_special_tokens=False).ids) <= MAX_TOKENS


@contextmanager
def _client(url: str, **headers: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Accept": "application/json, text/event-stream", **headers}) as client:
        yield client


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def test_the_endpoint_takes_posts_alone_and_no_foreign_page(settings: Settings) -> None:
    with running_gateway(settings) as gateway, _client(gateway.url) as client:
        answer = client.post("/mcp", json=INITIALIZE)
        assert (answer.status_code, answer.json()["result"]["serverInfo"]["name"]) == (200, "sona-swarm")
        assert "mcp-session-id" not in answer.headers
        assert (client.get("/mcp").status_code, client.delete("/mcp").status_code) == (405, 405)
        for header in ({"Origin": "https://example.org"}, {"Host": "example.org"}):
            assert client.post("/mcp", json=INITIALIZE, headers=header).status_code == 403
        assert client.get("/health").json()["mcp"] == "ok"


def test_where_a_token_is_needed_nobody_comes_in_without(settings: Settings, swarm: Swarm) -> None:
    token = token_of(swarm, Role.READER)
    with running_gateway(settings, SWARM_HTTP_REQUIRE_TOKEN="1") as gateway:
        for headers in ({}, {"Authorization": f"Bearer {token[:-1]}x"}):
            with _client(gateway.url, **headers) as client:
                answer = client.post("/mcp", json=INITIALIZE)
            assert (answer.status_code, answer.json()["error"]["type"]) == (401, "TokenError")
            assert token[:-1] not in answer.text
        with over_http(f"{gateway.url}/mcp", NEW, token) as reader:
            assert reader.call("swarm_status")["name"] == settings.name


@pytest.mark.parametrize("era", [OLD, NEW])
def test_the_configuration_may_name_the_agent(settings: Settings, era: Era) -> None:
    with over_stdio(settings, era, None, "--agent", "ada") as client:
        assert client.call("trajectory_begin", text="x")["trajectory_id"].startswith("ada:")
    with running_gateway(settings) as gateway, over_http(f"{gateway.url}/mcp?agent=ada", era) as client:
        assert client.call("trajectory_begin", text="x")["trajectory_id"].startswith("ada:")


def test_without_redis_tasks_go_on_and_the_rest_says_that_it_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{settings.state_dir}/none.sock"})
    with over_stdio(away, NEW) as client:
        begun = client.call("trajectory_begin", text="decode a JSON document")
        assert begun["is_fresh"] is False
        assert client.call("trajectory_end", trajectory_id=begun["trajectory_id"], success=True)["state"] == "spooled"
        assert client.error("swarm_status").startswith("StoreUnavailableError: ")


def test_without_its_package_the_gateway_runs_and_says_what_to_install(settings: Settings, tmp_path: Path) -> None:
    # As if it were not installed: nothing finds it, and nothing imports it.
    (tmp_path / "sitecustomize.py").write_text('import sys\n\nsys.modules["mcp"] = None\n')
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    with running_gateway(settings, PYTHONPATH=path) as gateway, _client(gateway.url) as client:
        assert client.get("/health").json()["mcp"] == "pip install 'sona-swarm[mcp]'"
        assert client.post("/mcp", json=INITIALIZE).status_code == 404
        assert client.post("/v1/trajectories", json={"agent": "ada", "text": "x"}).status_code == 201
    variables = environment(settings) | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "swarm_cli", "mcp"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "sona-swarm[mcp]" in ended.stderr


def test_nothing_but_the_protocol_comes_out_of_stdio(settings: Settings) -> None:
    command = [sys.executable, "-m", "swarm_cli", "mcp"]
    given = json.dumps(INITIALIZE) + "\n"
    ended = subprocess.run(
        command, env=environment(settings), input=given, capture_output=True, text=True, timeout=60, check=True
    )
    [line] = ended.stdout.splitlines()
    assert json.loads(line)["result"]["serverInfo"]["name"] == "sona-swarm"


@pytest.mark.parametrize("token", ["", "swarm_0123456789abcdef_" + "x" * 43])
def test_over_stdio_a_bad_token_ends_the_server_and_is_not_shown(settings: Settings, token: str) -> None:
    command = [sys.executable, "-m", "swarm_cli", "mcp"]
    variables = environment(settings) | {"SWARM_TOKEN": token}
    ended = subprocess.run(command, env=variables, input="", capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "x" * 43 not in ended.stderr
