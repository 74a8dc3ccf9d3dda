"""`SWARM_TOKEN`: with it set, every command does what the token allows, and no more.

It keeps agents on a shared host to their own; it is no wall against who has Redis's URL as well. That is what
`swarm acl` is for.
"""

from __future__ import annotations

import click

from swarm.services.guard import GuardedSwarm
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm_cli.options import given_token

GUARDED = frozenset(
    {
        *(
            "status",
            "top",
            "events",
            "query",
            "retrieve",
            "apply",
            "store",
            "route task",
            "submit",
            "task",
            "tasks",
            "receipt",
            "rewind",
            "mcp",
        ),
        *("dead list", "dead show", "dead replay", "dead drop"),
        *("agents list", "agents history", "agents rollback", "agents quarantine"),
    }
)
"""Commands that ask the guard themselves. Each other one, a new one too, needs an operator's token if there is one."""


def open_swarm(settings: Settings) -> GuardedSwarm:
    """The swarm as the token of this process may use it; without one, whole."""
    return GuardedSwarm(Swarm(settings), given_token())


def check_command(settings: Settings) -> None:
    """Refuse the command that is running, if it does not ask the guard itself and the token is no operator's."""
    context = click.get_current_context(silent=True)
    command = "" if context is None else context.command_path.partition(" ")[2]
    if command not in GUARDED:
        open_swarm(settings).require_operator(command)
