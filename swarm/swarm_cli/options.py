"""Options that commands share, and the settings that come from them."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from swarm.errors import TokenError
from swarm.settings import Settings, load_settings
from swarm_cli import completion
from swarm_cli.local import POOL
from swarm_cli.local.address import check_redis_url

TOKEN = "SWARM_TOKEN"
F = TypeVar("F", bound=Callable[..., Any])


def swarm_option(function: F) -> F:
    """`--swarm NAME`."""
    return click.option("--swarm", "name", metavar="NAME", help="The swarm; SWARM_NAME or 'default' without it.")(
        function
    )


def json_option(function: F) -> F:
    """`--json`: one JSON object on stdout, and nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")(function)


def by_option(function: F) -> F:
    """`--by NAME`: who does it, for the record."""
    return click.option("--by", metavar="WHO", default=_user, show_default="your login", help="Who does it.")(function)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return str(os.getuid())


def pool_option(function: F) -> F:
    """`--pool NAME`."""
    return click.option(
        "--pool",
        metavar="NAME",
        shell_complete=completion.pools,
        default=POOL,
        show_default=True,
        help="The worker pool.",
    )(function)


def timeout_option(default: float) -> Callable[[F], F]:
    """`--timeout SECONDS`."""
    return click.option(
        "--timeout",
        "timeout_s",
        metavar="SECONDS",
        type=click.FloatRange(0.0, 86_400.0),
        default=default,
        show_default=True,
        help="Give up after so long.",
    )


def given_token() -> str | None:
    """The token in the environment.

    Raises
    ------
    TokenError
        If it is set and empty: a script that failed to read a token must not become an operator by that.
    """
    token = os.environ.get(TOKEN)
    if token == "":
        raise TokenError(f"{TOKEN} is set and empty: set it to a token, or unset it")
    return token


def cli_settings(name: str | None, **overrides: object) -> Settings:
    """Settings from the environment and the options, with a checked Redis URL and an absolute state directory.

    Every command begins with it, so here is where one that the token does not allow ends.
    """
    settings = load_settings(name=name, **overrides)
    check_redis_url(settings.redis_url)
    # The workers run in another directory, and a socket's URL must not be relative.
    settings = settings.model_copy(update={"state_dir": settings.state_dir.expanduser().absolute()})
    if TOKEN in os.environ:
        from swarm_cli.guarded import check_command

        check_command(settings)
    return settings
