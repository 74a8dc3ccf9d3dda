"""`swarm doctor`."""

from __future__ import annotations

import sys

import click
from rich.table import Table
from rich.text import Text

from swarm_cli.local.doctor import diagnose
from swarm_cli.local.finding import Finding
from swarm_cli.options import cli_settings, json_option, swarm_option
from swarm_cli.output import BAD, OK, console, count, mark, print_json, working


@click.command("doctor", short_help="Check this machine, Redis and the workers; say how to mend.")
@swarm_option
@json_option
def command(name: str | None, as_json: bool) -> None:
    """Check this machine, Redis and the workers; say how to mend what is not well.

    Nothing is changed. The exit code is 1 if anything is not well.
    """
    settings = cli_settings(name)
    with working("examining"):
        findings = diagnose(settings)
    well = all(finding.ok for finding in findings)
    if as_json:
        found = [finding.as_dict() for finding in findings]
        print_json({"swarm": settings.name, "ok": well, "findings": found})
    else:
        show_findings(findings)
    sys.exit(0 if well else 1)


def show_findings(findings: list[Finding]) -> None:
    """What was found, a line each, and what to do where it is not well."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=1)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in findings:
        grid.add_row(mark(finding.ok), finding.check, finding.detail)
        if not finding.ok:
            grid.add_row("", "", Text(f"→ {finding.remedy}", "bold"))
    out = console()
    out.print(grid)
    bad = sum(not finding.ok for finding in findings)
    verdict = (f"{count(bad, 'thing')} to mend.", BAD) if bad else ("All is well.", OK)
    out.print(Text("\n" + verdict[0], verdict[1]))
