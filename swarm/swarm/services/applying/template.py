"""The slots of a response: what of its example's task it says again, and another task says otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from swarm.services.applying.alignment import align
from swarm.services.applying.response import Place, Response
from swarm.services.applying.tokens import Kind, Token, tokens_of

From = Literal["place", "same", "kind", "fill"]
"""Where a value comes from: it stands in the task where the example's stood; the task says the same elsewhere; it is
the only one of its kind in both; the caller's `fill` gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What was filled in at start:end of the text, instead of `example`."""

    start: int
    end: int
    slot: str
    value: str
    source: From
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A slot that the task gives no value for: `{slot}` at start:end of the text, where the example had `example`."""

    start: int
    end: int
    slot: str
    kind: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A value of the example's task that the response says again, and what a new task has for it; None if nothing."""

    name: str
    kind: Kind
    example: str
    value: str | None
    source: From


class _Tasks:
    """The task of an example beside a new one, token by token."""

    def __init__(self, tokens: Sequence[Token], asked: Sequence[Token]) -> None:
        self.tokens = tokens
        self._asked = asked
        self._places = align(tokens, asked)
        self._said = {token.text for token in asked}
        self._only = {kind: text for kind, text in _only_ones(asked).items() if kind in _only_ones(tokens)}

    def swaps(self, row: int) -> bool:
        """Whether the word changes while those beside it stay. The first never does: it says what is to be done."""
        place = self._places[row]
        if not row or not place or not self._asked[place].is_content or self.tokens[row].is_same(self._asked[place]):
            return False
        is_last, was_last = row + 1 == len(self.tokens), place + 1 == len(self._asked)
        return self._stays(row - 1, place - 1) and (
            is_last and was_last if is_last or was_last else self._stays(row + 1, place + 1)
        )

    def value(self, rows: Sequence[int]) -> tuple[str | None, From]:
        """What the new task has instead of what stands in these rows, and how that is known."""
        token = self.tokens[rows[0]]
        stands = [self._asked[place] for row in rows if (place := self._places[row]) is not None]
        # Of a plain word its place is what says that it varies: there anything may stand.
        fits = [one for one in stands if one.is_content and (not token.names_something or token.may_stand_for(one))]
        values = {one.text for one in fits}
        if len(values) == 1:
            return values.pop(), "place"
        # Twice in the example, and two values for it: which one is meant where, nothing says.
        if values:
            return None, "place"
        if token.text in self._said:
            return token.text, "same"
        return (self._only.get(token.kind) if token.names_something else None), "kind"

    def _stays(self, row: int, place: int) -> bool:
        return self._places[row] == place and self.tokens[row].is_same(self._asked[place])


def _only_ones(tokens: Sequence[Token]) -> dict[Kind, str]:
    """The value of each kind of which there is one."""
    found: dict[Kind, set[str]] = defaultdict(set)
    for token in tokens:
        found[token.kind].add(token.text)
    return {kind: next(iter(texts)) for kind, texts in found.items() if len(texts) == 1}


def slots_of(response: Response, example: str, others: Sequence[str], task: str) -> list[Slot]:
    """The slots of `response`, which was the answer to `example`, with their values for `task`.

    What names something is a slot wherever example and response share it. A plain word is one only where it is seen to
    vary: in `others`, further tasks with this answer, or in `task` between words that stay.
    """
    tasks = _Tasks(tokens_of(example), tokens_of(task))
    varies = {row for other in others for row in _changed(tasks.tokens, tokens_of(other))}
    rows: dict[str, list[int]] = defaultdict(list)
    for row, token in enumerate(tasks.tokens):
        if token.names_something or (token.is_content and (row in varies or tasks.swaps(row))):
            rows[token.text].append(row)
    said = {text: tasks.tokens[of_text[0]].kind for text, of_text in rows.items() if response.places(text)}
    names = _names(response, said)
    found = []
    for text, kind in said.items():
        value, source = tasks.value(rows[text])
        found.append(Slot(name=names[text], kind=kind, example=text, value=value, source=source))
    return found


def filled_in(response: Response, slots: Sequence[Slot]) -> tuple[str, list[Filled], list[Gap]]:
    """The response with the values of its slots, and where they are; a slot without a value is `{slot}` there."""
    by_example = {slot.example: slot for slot in slots}
    parts, length, end = [], 0, 0
    filled: list[Filled] = []
    gaps: list[Gap] = []
    for place in _all_places(response, by_example):
        slot = by_example[place.example]
        value = f"{{{slot.name}}}" if slot.value is None else place.cased(slot.value)
        text = response.written(value)
        parts += [response.text[end : place.start], text]
        start = length + place.start - end
        length, end = start + len(text), place.end
        was = response.text[place.start : place.end]
        if slot.value is None:
            gaps.append(Gap(start=start, end=length, slot=slot.name, kind=slot.kind.value, example=was))
        else:
            filled.append(Filled(start=start, end=length, slot=slot.name, value=value, source=slot.source, example=was))
    return "".join([*parts, response.text[end:]]), filled, gaps


def kept(response: Response, example: str, slots: Sequence[Slot], task: str) -> list[str]:
    """What example and response share and `task` does not say, though it is no slot: somebody should look at it."""
    said = {token.text.casefold() for token in tokens_of(task)} | {slot.example.casefold() for slot in slots}
    words = dict.fromkeys(token.text for token in tokens_of(example) if token.is_content)
    return [text for text in words if text.casefold() not in said and response.places(text)]


def shared_with(response: Response, example: str) -> int:
    """How many values a task and the response share; what names something counts twice."""
    kinds = {token.text: token.names_something for token in tokens_of(example) if token.is_content}
    return sum(1 + names for text, names in kinds.items() if response.places(text))


def _changed(tokens: Sequence[Token], other: Sequence[Token]) -> list[int]:
    places = align(tokens, other)
    return [row for row, place in enumerate(places) if place is not None and not tokens[row].is_same(other[place])]


def _names(response: Response, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """A name for each value: its kind, numbered from the second on; none that the response has in braces itself."""
    names: dict[str, str] = {}
    counts: dict[Kind, int] = defaultdict(int)
    for text, kind in kinds.items():
        while True:
            counts[kind] += 1
            name = kind.value if counts[kind] == 1 else f"{kind.value}_{counts[kind]}"
            if f"{{{name}}}" not in response.text:
                break
        names[text] = name
    return names


def _all_places(response: Response, examples: Mapping[str, Slot]) -> list[Place]:
    """Where the response says any of these again, in order; of two that overlap the longer one."""
    wanted = [place for text in examples for place in response.places(text)]
    wanted.sort(key=lambda place: (place.start - place.end, place.start))
    taken, chosen = bytearray(len(response.text)), []
    for place in wanted:
        if not any(taken[place.start : place.end]):
            taken[place.start : place.end] = b"\1" * (place.end - place.start)
            chosen.append(place)
    return sorted(chosen, key=lambda place: place.start)
