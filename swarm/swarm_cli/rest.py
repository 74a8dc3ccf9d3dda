"""A click group in which what is no command's name is the argument of one command."""

from __future__ import annotations

from typing import Any

import click


class RestGroup(click.Group):
    """`swarm route TEXT` beside `swarm route list`.

    Parameters
    ----------
    rest : the command that takes what begins with no command's name
    """

    def __init__(self, *args: Any, rest: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rest = rest

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of that command in front, unless one is there, or help is asked for."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self._rest, *args]
        return super().parse_args(ctx, args)
