"""Redaction: what is taken out of a text before it is embedded, stored or sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from swarm.embed.redaction_rules import RULES
from swarm.errors import InputError, shown


class Redaction:
    """Rules together. Done twice it is the same as once; without rules every text stays as it is.

    Parameters
    ----------
    names : those of the rules, see `RULES`; in which order and how often does not matter

    >>> Redaction(["phone", "email"]).text("call 555-123-4567 or write to ada@example.org")
    'call [phone] or write to [email]'
    """

    __slots__ = ("_rules", "names")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = check_rules(names)
        self._rules = tuple(RULES[name] for name in self.names)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def text(self, text: str) -> str:
        """`text` with a mark in place of all that the rules find."""
        before = None
        # A mark can lay open what stood beside it. It holds nothing that a rule finds, so this comes to an end.
        while self._rules and text != before:
            before = text
            for rule in self._rules:
                text = rule.taken_out(text)
        return text

    def value(self, value: Any) -> Any:
        """As `text`, for all text inside of lists and maps; keys of maps are names, and stay."""
        if not self._rules:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value


def check_rules(names: object) -> tuple[str, ...]:
    """Names of rules, in the order in which they are applied.

    Raises
    ------
    InputError
        If one is unknown.

    >>> check_rules(["phone", "email", "email"])
    ('email', 'phone')
    """
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"redact must be names of rules, got {shown(names, 60)}")
    given = list(names)
    for name in given:
        if not isinstance(name, str) or name not in RULES:
            raise InputError(f"redact may hold {', '.join(RULES)}, got {shown(name, 60)}")
    return tuple(name for name in RULES if name in given)


NO_REDACTION = Redaction()
