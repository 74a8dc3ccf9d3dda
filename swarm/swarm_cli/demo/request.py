"""One request to the swarm and its right answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A text, and the label that answers it. Agents see the text; the label decides between right and wrong."""

    text: str
    label: str
