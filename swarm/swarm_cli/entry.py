"""Where the command `swarm` begins: a hook goes its short way, everything else to the command line.

A coding agent waits for a hook, and click alone would double what it waits.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run `swarm`."""
    if sys.argv[1:2] == ["hook"] and not any(word.startswith("-") for word in sys.argv[2:]):
        # Here, because each of the two loads what the other one does without.
        from swarm_cli import hook_shim

        del sys.argv[1]
        hook_shim.run()
    from swarm_cli.main import main as command_line

    command_line()
