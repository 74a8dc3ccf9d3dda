"""What was answered: where it says a value of its task again, and how a value is written there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper, str.capitalize)
"""As it is, and in other cases: class Invoice is kept in table invoice."""
_SHORTEST_RECASED = 3
_JOINTS = frozenset(".-")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the response says a value of its task again, and the case that it writes it in there."""

    start: int
    end: int
    example: str
    cased: Callable[[str], str]


class Response:
    """A response. In JSON a value stands with its quotes and line ends escaped."""

    __slots__ = ("_folded", "_found", "is_json", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_json = _is_json(text)
        self._folded = text.casefold()
        self._found: dict[str, list[Place]] = {}

    def written(self, value: str) -> str:
        return json.dumps(value, ensure_ascii=False)[1:-1] if self.is_json else value

    def places(self, value: str) -> list[Place]:
        """Where it says a value of the task again."""
        if value not in self._found:
            self._found[value] = self._places(value)
        return self._found[value]

    def _places(self, value: str) -> list[Place]:
        text = self.written(value)
        if text.casefold() not in self._folded:
            return []
        found: dict[int, Place] = {}
        # Of cases that are alike the first one, which is the plain one.
        cases = {case(text): case for case in reversed(_CASES)} if len(value) >= _SHORTEST_RECASED else {text: str}
        for said, case in reversed(cases.items()):
            for start in self._starts(said, is_recased=case is not str):
                found.setdefault(start, Place(start, start + len(text), value, case))
        return list(found.values())

    def _starts(self, text: str, *, is_recased: bool) -> Iterator[int]:
        """Where `text` is a whole word; in another case no part of a name either: there is no JSON in json.loads."""
        start = self.text.find(text)
        while start >= 0:
            end = start + len(text)
            before, behind = self.text[max(0, start - 1) : start], self.text[end : end + 2]
            is_inside = is_recased and (before in _JOINTS or (behind[:1] in _JOINTS and _is_in_word(behind[1:])))
            if not (_is_in_word(before) or _is_in_word(behind[:1]) or is_inside):
                yield start
            start = self.text.find(text, start + 1)


def _is_in_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"


def _is_json(text: str) -> bool:
    if not text.lstrip().startswith(("[", "{", '"')):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
