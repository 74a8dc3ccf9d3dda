"""The plugin's folder is what the installer would write, and what the project says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swarm import __version__
from swarm.settings import Settings
from swarm_cli.hooks.entries import Target, entries_of, portable_command

PLUGIN = Path(__file__).parents[2] / "agents" / "claude-code-plugin"


def read(name: str) -> dict[str, Any]:
    found = json.loads((PLUGIN / name).read_text())
    assert isinstance(found, dict)
    return found


def url() -> str:
    fields = Settings.model_fields
    return f"http://{fields['http_host'].default}:{fields['http_port'].default}"


def test_its_hooks_are_those_that_the_installer_writes_for_a_shared_file() -> None:
    entries = entries_of("claude-code", Target(url=url(), command=portable_command("claude-code")))
    assert read("hooks/hooks.json")["hooks"] == {event: [entry] for event, entry in entries.items()}


def test_its_server_is_the_gateway_s() -> None:
    assert read(".mcp.json") == {"mcpServers": {"swarm": {"type": "http", "url": f"{url()}/mcp"}}}


def test_its_manifest_has_the_version_of_the_project() -> None:
    manifest = read(".claude-plugin/plugin.json")
    assert manifest["version"] == __version__
    assert manifest.keys() == {"name", "version", "description", "author", "license", "keywords"}
