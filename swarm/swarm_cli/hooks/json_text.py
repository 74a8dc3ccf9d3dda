"""JSON as text: a part of it is added or removed, and every other byte stays as somebody wrote it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from swarm.errors import InputError

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"[^,\]} \t\r\n]+")


@dataclass(slots=True, kw_only=True)
class Node:
    """A value in a text, from `start` to `end`; of an object or an array also what is in it."""

    start: int
    end: int = 0
    children: list[Child] = field(default_factory=list)

    def named(self, key: str) -> Node | None:
        """The member of this name; of several the last one, which is the one that counts."""
        return next((child.node for child in reversed(self.children) if child.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A member or an item. `start` is that of the name, if it has one; `key` is "" for an item."""

    key: str
    start: int
    node: Node


def scan(text: str) -> Node:
    """The root of a JSON text.

    Raises
    ------
    InputError
        If it is no JSON; the message says where.
    """
    try:
        json.loads(text)
        return _value(text, _skip(text, 0))
    except ValueError as error:
        raise InputError(f"no JSON: {error}") from None
    except RecursionError:
        raise InputError("no JSON: nested too deep") from None


def value_of(text: str, node: Node) -> Any:
    """What a node says."""
    return json.loads(text[node.start : node.end])


def add(text: str, container: Node, value: object, key: str = "") -> str:
    """The text with a value as the last one in an object (under `key`) or an array."""
    unit, line = _indent_of(text), _newline_of(text)
    name = f"{json.dumps(key)}: " if key else ""
    if not container.children:
        outer = _margin(text, container.start)
        inner = outer + unit
        made = f"{line}{inner}{name}{_rendered(value, unit, inner, line)}{line}{outer}"
        return text[: container.start + 1] + made + text[container.end - 1 :]
    last = container.children[-1]
    if line not in text[container.start : container.children[0].start]:
        # All on one line, and so is what is added.
        return f"{text[: last.node.end]}, {name}{json.dumps(value)}{text[last.node.end :]}"
    margin = _margin(text, last.start)
    made = f",{line}{margin}{name}{_rendered(value, unit, margin, line)}"
    return text[: last.node.end] + made + text[last.node.end :]


def remove(text: str, container: Node, position: int) -> str:
    """The text without a child; the opposite of `add` where that was the last one of several."""
    children = container.children
    if len(children) == 1:
        return text[: container.start + 1] + text[container.end - 1 :]
    if position:
        return text[: children[position - 1].node.end] + text[children[position].node.end :]
    return text[: children[0].start] + text[children[1].start :]


def _value(text: str, at: int) -> Node:
    node = Node(start=at)
    if text[at] == '"':
        node.end = _DECODER.raw_decode(text, at)[1]
    elif text[at] in "{[":
        node.end = _fill(text, node)
    else:
        found = _SCALAR.match(text, at)
        assert found is not None
        node.end = found.end()
    return node


def _fill(text: str, node: Node) -> int:
    """Scan what is in an object or an array; where it ends."""
    is_object, at = text[node.start] == "{", _skip(text, node.start + 1)
    while text[at] not in "]}":
        start, key = at, ""
        if is_object:
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        value = _value(text, at)
        node.children.append(Child(key=key, start=start, node=value))
        at = _skip(text, value.end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _margin(text: str, at: int) -> str:
    """The white space before what stands first on the line of `at`."""
    found = re.match(r"[ \t]*", text[text.rfind("\n", 0, at) + 1 :])
    assert found is not None
    return found[0]


def _indent_of(text: str) -> str:
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found[1] if found else "  "


def _newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _rendered(value: object, unit: str, margin: str, line: str) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", line + margin)
