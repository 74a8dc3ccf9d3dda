"""A click group that imports a command when it is called, so that `swarm --help` loads none of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """Commands by name: where they are, and the line that stands for them in the group's help.

    Parameters
    ----------
    lazy : Mapping
        Name -> (module, short help). The module's attribute `command` is the command. A test holds the short
        help equal to the command's own.
    """

    def __init__(self, name: str | None = None, *, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        # Stand-ins, for the help and for the names that click suggests after a typing error.
        stand_ins = {name: click.Command(name, short_help=text) for name, (_, text) in lazy.items()}
        super().__init__(name, commands=stand_ins, **kwargs)
        self._modules = {name: module for name, (module, _) in lazy.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order they were given in: the one a newcomer needs them in."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in self._modules:
            return None
        command = import_module(self._modules[cmd_name]).command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the stand-ins: Tab waits for no import."""
        names = [
            CompletionItem(name, help=command.short_help)
            for name, command in self.commands.items()
            if name.startswith(incomplete)
        ]
        # Past the group's own, which would import every command: the options.
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the section of commands from the stand-ins."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.short_help or "") for name, command in self.commands.items()])
