"""Entry point of `swarm`: its commands by name, and how an error reaches the terminal."""

from __future__ import annotations

import os
import sys

import click

from swarm import __version__
from swarm.errors import SwarmError
from swarm_cli.lazy import LazyGroup
from swarm_cli.redact import redact

EXIT_ERROR = 2
EXIT_ABORTED = 1

COMMANDS = {
    "up": ("swarm_cli.commands.up", "Start Redis, workers and gateway on this machine, or mend what is missing."),
    "demo": ("swarm_cli.commands.demo", "Watch a swarm learn on real text, in about a minute."),
    "status": ("swarm_cli.commands.status", "Show how the swarm stands, from what is stored."),
    "top": ("swarm_cli.commands.top", "Watch the swarm at work, with rates, until q is pressed."),
    "events": ("swarm_cli.commands.events", "Show what happened in the swarm, or follow it."),
    "query": ("swarm_cli.commands.query", "Ask what the swarm knows for a task, and who learned it."),
    "index-codebase": ("swarm_cli.commands.index_codebase", "Index the code below a folder, for swarm query --name."),
    "feedback": ("swarm_cli.commands.feedback", "Say of a chunk that swarm query --name found whether it was good."),
    "route": ("swarm_cli.commands.route", "Choose a model, tool or variant for a task, and say why."),
    "retrieve": ("swarm_cli.commands.retrieve", "Print what worked for a task, for an agent's pre hook."),
    "apply": ("swarm_cli.commands.apply", "Fill a pattern's response in for a new task, and mark what was filled."),
    "store": ("swarm_cli.commands.store", "Tell what came of a task, for an agent's post hook."),
    "train": ("swarm_cli.commands.train", "Let an agent learn a file of examples."),
    "submit": ("swarm_cli.commands.submit", "Put a task on the queue of a role, for its workers to do."),
    "task": ("swarm_cli.commands.task", "Show a task: where it stands, and what came of it."),
    "tasks": ("swarm_cli.commands.tasks", "Count the tasks of each role: waiting, running, done, dead."),
    "receipt": ("swarm_cli.commands.receipt", "Say what became of an outcome, a task, a consolidation or a merge."),
    "dead": ("swarm_cli.commands.dead", "List, show, replay and drop tasks that failed for good."),
    "agents": ("swarm_cli.commands.agents", "Make agents, see them and their versions, and roll them back."),
    "templates": ("swarm_cli.commands.templates", "See what agents can be made from, to make one or to copy it."),
    "tune": ("swarm_cli.commands.tune", "Search for better learning settings of an agent, on its own outcomes."),
    "rewind": ("swarm_cli.commands.rewind", "Take out all that came from one trajectory, or from one agent."),
    "forget": ("swarm_cli.commands.forget", "Erase a pattern, a trajectory or an agent for good."),
    "retention": ("swarm_cli.commands.retention", "Say how evidence ages, and when patterns expire."),
    "pin": ("swarm_cli.commands.pin", "Keep a pattern from decaying, expiring and being pruned."),
    "unpin": ("swarm_cli.commands.unpin", "Let a pinned pattern age again."),
    "backup": ("swarm_cli.commands.backup", "Write the swarm to one file, while it runs."),
    "restore": ("swarm_cli.commands.restore", "Write a swarm from the file of a backup."),
    "export": ("swarm_cli.commands.export", "Write agents to files: whole, as adapters, as data for training."),
    "import": ("swarm_cli.commands.import_agent", "Take agents of `swarm export` into this swarm."),
    "token": ("swarm_cli.commands.token", "Make, list and revoke tokens for readers, agents and operators."),
    "acl": ("swarm_cli.commands.acl", "Print the Redis users of a swarm: operator, worker, reader, agents."),
    "workers": ("swarm_cli.commands.workers", "Start, list, scale, restart, drain and stop worker pools."),
    "serve": ("swarm_cli.commands.serve", "Serve hooks, REST, MCP, dashboard and metrics over HTTP."),
    "mcp": ("swarm_cli.commands.mcp", "Serve the swarm as MCP tools over stdin and stdout."),
    "hook": ("swarm_cli.commands.hook", "Pass one event of a coding agent on, as its settings ask."),
    "hooks": ("swarm_cli.commands.hooks", "Install, remove and examine the hooks of coding agents."),
    "doctor": ("swarm_cli.commands.doctor", "Check this machine, Redis and the workers; say how to mend."),
    "completion": ("swarm_cli.commands.completion", "Print what lets bash, zsh or fish complete swarm's words."),
    "bench": ("swarm_cli.commands.bench", "Run the benchmarks of a checkout, small or full, and compare runs."),
    "down": ("swarm_cli.commands.down", "Stop the workers and the embedded Redis; the data stay."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="swarm")
def swarm() -> None:
    """A swarm of agents that share what they learn.

    Every setting is an environment variable SWARM_*; without SWARM_REDIS_URL a private Redis runs under
    SWARM_STATE_DIR.
    """


def main() -> None:
    """Run `swarm`. An error of ours, or in how it was called, is one line on stderr and exit code 2."""
    _pin_threads()
    for stream in (sys.stdout, sys.stderr):
        # A terminal without a sign that we use shows a question mark for it; it is no reason to fail.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper in every process
    try:
        sys.exit(swarm(prog_name="swarm", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        # A group without a command: its help is the answer.
        error.show()
    except click.ClickException as error:
        click.echo(f"error: {_usage(error)}", err=True)
    except click.Abort as abort:
        # Who was interrupted may say how far it is.
        click.echo(": ".join(filter(None, ("aborted", str(abort)))), err=True)
        sys.exit(EXIT_ABORTED)
    except SwarmError as error:
        click.echo(f"error: {one_line(error)}", err=True)
    sys.exit(EXIT_ERROR)


def _usage(error: click.ClickException) -> str:
    """What is wrong with the command line, and where it stands how it should be."""
    text = _line(error.format_message()).rstrip(".")
    context = getattr(error, "ctx", None)
    return text if context is None else f"{text}: see {context.command_path} --help"


def one_line(error: SwarmError) -> str:
    """The message on one line without secrets; of a log's tail in it the last line stays, which says why."""
    return _line(str(error)) or type(error).__name__


def _line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    line = lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"
    return redact("".join(sign if sign.isprintable() else " " for sign in line))


def _pin_threads() -> None:
    # OpenBLAS with two threads on a busy two-core machine makes a product of a matrix and a vector 23 times
    # slower. It reads these once, when NumPy loads: before the first command is imported.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
