"""Where a client's settings are: of a user, of a project, or of one user in a project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from swarm.errors import InputError
from swarm_cli.hooks.entries import Client

Scope = Literal["user", "project", "local"]
_FOLDERS = {"claude-code": ".claude", "codex": ".codex", "cursor": ".cursor"}
_HOMES = {"claude-code": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME"}
"""Where a client looks for its user's folder, if it is not in the home directory."""
EMPTY = {"claude-code": "{}\n", "codex": "{}\n", "cursor": '{\n  "version": 1\n}\n'}
"""What a new file begins with."""


def settings_file(client: Client, scope: Scope, project: Path) -> Path:
    """The file; where it leads, if it is a link.

    Raises
    ------
    InputError
        If the client knows no such scope.
    """
    if scope == "local" and client != "claude-code":
        raise InputError(f"scope must be user or project for {client}, got local")
    name = "hooks.json" if client != "claude-code" else "settings.local.json" if scope == "local" else "settings.json"
    return (_folder(client, scope, project) / name).resolve()


def scopes_of(client: Client) -> tuple[Scope, ...]:
    """The scopes that a client knows."""
    return ("user", "project", "local") if client == "claude-code" else ("user", "project")


def _folder(client: Client, scope: Scope, project: Path) -> Path:
    if scope != "user":
        return project / _FOLDERS[client]
    home = os.environ.get(_HOMES.get(client, ""), "")
    return Path(home) if home else Path.home() / _FOLDERS[client]
