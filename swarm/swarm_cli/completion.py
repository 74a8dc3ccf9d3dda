"""What completes the names that a swarm has given: agents, roles and pools, from Redis.

It is asked while somebody waits after pressing Tab, so it gives up early, and what fails completes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from swarm.errors import SwarmError
from swarm.settings import load_settings
from swarm_workers.orders import OrderBook

_TIMEOUT = 0.3
"""Seconds that Redis has."""
_MOST = 200


def agents(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Agents by name, each with its role."""
    found = _roles(context)
    return [CompletionItem(name, help=found[name]) for name in _matching(found, incomplete)]


def roles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Roles that some agent has."""
    return [CompletionItem(name) for name in _matching(set(_roles(context).values()), incomplete)]


def pools(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Pools that were started on this host: from their files of orders, without Redis."""
    try:
        names = OrderBook(load_settings(name=context.params.get("name"))).pools()
    except (SwarmError, OSError):
        return []
    return [CompletionItem(name) for name in _matching(names, incomplete)]


def _roles(context: click.Context) -> dict[str, str]:
    # Every command with such an option loads this module: the swarm is loaded for Tab alone.
    from swarm_cli.guarded import open_swarm

    try:
        return open_swarm(load_settings(name=context.params.get("name"), socket_timeout=_TIMEOUT)).roles()
    except (SwarmError, OSError):
        return {}


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))[:_MOST]
