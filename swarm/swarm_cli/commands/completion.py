"""`swarm completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from swarm.errors import RuntimeSetupError

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print what lets bash, zsh or fish complete swarm's words.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what lets bash, zsh or fish complete swarm's words.

    Put this into ~/.bashrc: eval "$(swarm completion bash)", or into ~/.zshrc the same with zsh, or into
    ~/.config/fish/completions/swarm.fish: swarm completion fish | source. Names of agents, roles and pools are
    completed, too, from the swarm of the environment.
    """
    made = get_completion_class(shell)
    if made is None:
        raise RuntimeSetupError(f"this version of click completes nothing in {shell}: upgrade it")
    click.echo(made(context.find_root().command, {}, "swarm", "_SWARM_COMPLETE").source())
