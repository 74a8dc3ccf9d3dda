"""Chunks of code for people: where each is, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from swarm_cli.output import NOTE, console, count, plain

if TYPE_CHECKING:
    from swarm_agents.codebase import CodeHit

_LINES = 6


def show_code(hits: Sequence[CodeHit]) -> None:
    """Print what was found, best first."""
    out = console()
    if not hits:
        out.print("Nothing is indexed there yet.")
    for position, hit in enumerate(hits, 1):
        out.print(_hit(position, hit, out))


def _hit(position: int, hit: CodeHit, out: Console) -> Text:
    name = hit.name.partition("::")[2]
    shown = Text(f"\n{position}  ", NOTE)
    shown.append(plain(f"{hit.path}:{hit.first}-{hit.last}"), "bold cyan")
    shown.append(f"  {hit.kind} {plain(name)}".rstrip() + "\n")
    tried = f", {count(round(hit.outcomes), 'outcome')} near by" if hit.outcomes >= 0.5 else ""
    shown.append(f"   {hit.id}  {100 * hit.score:.0f} %, similarity {hit.similarity:.2f}{tried}\n", NOTE)
    lines = hit.snippet.splitlines()
    for line in lines[:_LINES]:
        # Indentation is what code is read by: only what could steer a terminal goes.
        kept = "".join(sign if sign.isprintable() else " " for sign in line.expandtabs(4).rstrip())
        shown.append(f"   {kept[: out.width - 4]}\n")
    if hit.last - hit.first + 1 > _LINES:
        shown.append("   …\n", NOTE)
    return shown
