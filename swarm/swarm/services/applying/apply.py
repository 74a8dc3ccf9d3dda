"""A pattern's response made to fit a new task: `Swarm.apply`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarm.embed.text import check_text
from swarm.errors import InputError, shown
from swarm.services.applying.response import Response
from swarm.services.applying.template import Filled, Gap, Slot, filled_in, kept, shared_with, slots_of
from swarm.services.hits import Example

Fill = Callable[[Gap], str | None]
"""Asked for the value of each slot that the task itself gives none for; None leaves it open."""
_STEP = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+(.*\S)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A response for a new task.

    `filled` says what was put where in `text`, `unfilled` which slots are open there, and `example` is the task that
    the response was the answer to. `kept` are words that both of these share and the new task does not say: nothing
    shows that they vary, so they stayed. `steps` are those of a plan: the strings of a JSON list, or a list's items.
    `is_unchanged`: the response as it was, because it has no slots or all have the values they had.
    """

    pattern_id: str
    text: str
    example: str
    filled: tuple[Filled, ...]
    unfilled: tuple[Gap, ...]
    kept: tuple[str, ...]
    steps: tuple[str, ...]
    is_unchanged: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "pattern_id": self.pattern_id,
            "text": self.text,
            "example": self.example,
            "filled": [
                {
                    "start": one.start,
                    "end": one.end,
                    "slot": one.slot,
                    "value": one.value,
                    "from": one.source,
                    "example": one.example,
                }
                for one in self.filled
            ],
            "unfilled": [
                {"start": gap.start, "end": gap.end, "slot": gap.slot, "kind": gap.kind, "example": gap.example}
                for gap in self.unfilled
            ],
            "kept": list(self.kept),
            "steps": list(self.steps),
            "is_unchanged": self.is_unchanged,
        }


def apply_pattern(
    pattern_id: str, response: str, examples: Sequence[Example], task: str, fill: Fill | None = None
) -> Application:
    """`response`, made to fit `task` as it fitted the example that it shares most with.

    Applied to that example it is the response as it was.

    Raises
    ------
    InputError
        If the pattern names no response, or `fill` answers no text.
    TextError
        If `task` is not usable text.
    """
    check_text(task, "new_task")
    if not response:
        raise InputError(f"pattern {shown(pattern_id)} names no response: there is nothing to apply")
    if not (fill is None or callable(fill)):
        raise InputError(f"fill must be a callable or None, got {type(fill).__name__}")
    texts = [one.text for one in sorted(examples, key=lambda one: (-one.quality, one.at_s, one.trajectory_id))]
    said = Response(response)
    origin = max(texts, key=lambda text: shared_with(said, text), default="")
    slots = slots_of(said, origin, [text for text in texts if text != origin], task)
    text, filled, gaps = filled_in(said, slots)
    if fill is not None and gaps:
        text, filled, gaps = filled_in(said, _asked_for(slots, gaps, fill))
    return Application(
        pattern_id=pattern_id,
        text=text,
        example=origin,
        filled=tuple(filled),
        unfilled=tuple(gaps),
        kept=tuple(kept(said, origin, slots, task)),
        steps=steps_of(text),
        is_unchanged=text == response,
    )


def steps_of(response: str) -> tuple[str, ...]:
    """The steps of a plan; none where the response is no plan.

    >>> steps_of("1. build\\n2. test"), steps_of('["build", "test"]'), steps_of("build")
    (('build', 'test'), ('build', 'test'), ())
    """
    if response.lstrip().startswith("["):
        try:
            found = json.loads(response)
        except (ValueError, RecursionError):
            return ()
        return tuple(found) if isinstance(found, list) and all(isinstance(step, str) for step in found) else ()
    steps = _STEP.findall(response)
    return tuple(steps) if len(steps) > 1 else ()


def _asked_for(slots: Sequence[Slot], gaps: Sequence[Gap], fill: Fill) -> list[Slot]:
    first: dict[str, Gap] = {}
    for gap in gaps:
        first.setdefault(gap.slot, gap)
    answers = {name: _checked(fill(gap), name) for name, gap in first.items()}
    return [
        slot if slot.name not in answers else replace(slot, value=answers[slot.name], source="fill") for slot in slots
    ]


def _checked(value: object, slot: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"fill must answer a text or None for slot {slot}, got {type(value).__name__}")
