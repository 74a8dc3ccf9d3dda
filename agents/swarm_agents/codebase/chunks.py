"""A source file as chunks: functions, methods, classes, and what stands at the module's level.

A class is its head and the signatures of its members, which are chunks of their own; functions inside of functions stay
in them. What is long is split. A file whose language is not known is cut at blank lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from swarm_agents.codebase.languages import LANGUAGES, Language, parser_of

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_CHUNKS = 2_000
"""Chunks of one file; the rest of it is not found."""
LONGEST = 120
"""Lines of a chunk; a longer function is split."""
WINDOW = 40
"""Lines of a window in a file without syntax."""
_DEEPEST = 40
_WRAPPERS = frozenset(
    {
        *("decorated_definition", "export_statement", "lexical_declaration", "variable_declaration"),
        *("template_declaration", "type_declaration", "variable_declarator", "public_field_definition"),
    }
)
"""Nodes that hold nothing but a definition and what decorates it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of a file that is found as one. Lines count from 1, both ends belong to it.

    `doc` is what documents it (a docstring, comments above), `code` the rest; `head` is its signature.
    """

    kind: str
    name: str
    first: int
    last: int
    head: str
    doc: str
    code: str


def chunks_of(extension: str, source: str) -> list[Chunk]:
    """The chunks of a file, in the order of their lines, each with a name of its own.

    >>> [(c.kind, c.name, c.first, c.last) for c in chunks_of("py", "import os\\n\\ndef f(x):\\n    return x\\n")]
    [('module', '', 1, 1), ('function', 'f', 3, 4)]
    """
    language = LANGUAGES.get(extension.lower())
    found = _windows(source.splitlines(), 1) if language is None else _parsed(language, source)
    return list(_named(sorted(found, key=lambda chunk: (chunk.first, -chunk.last))[:MAX_CHUNKS]))


def _named(chunks: list[Chunk]) -> Iterator[Chunk]:
    """What has the name of another one (overloads, parts) gets a number, so that it can be told from it."""
    seen: Counter[str] = Counter()
    for chunk in chunks:
        seen[chunk.name] += 1
        number = seen[chunk.name]
        yield chunk if number == 1 else replace(chunk, name=f"{chunk.name}#{number}")


def _parsed(language: Language, source: str) -> list[Chunk]:
    data = source.encode(errors="replace")
    lines = source.split("\n")
    found = list(_Walk(language, data).chunks(parser_of(language).parse(data).root_node))
    covered = set().union(*(range(chunk.first, chunk.last + 1) for chunk in found))
    rest = [number for number in range(1, len(lines) + 1) if number not in covered and lines[number - 1].strip()]
    if rest:
        text = "\n".join(lines[number - 1] for number in rest[: 2 * LONGEST])
        # Its lines are those to its first gap: what is shown must be one piece.
        end = next((a for a, b in pairwise(rest) if any(i in covered for i in range(a, b))), rest[-1])
        module = Chunk(kind="module", name="", first=rest[0], last=end, head="", doc="", code=text)
        found.append(module)
    return [part for chunk in found for part in _parts(chunk)]


def _parts(chunk: Chunk) -> Iterator[Chunk]:
    """A chunk, or several if it is long: each with the head and what documents it."""
    lines = chunk.code.split("\n")
    if chunk.kind in ("class", "module") or chunk.last - chunk.first < LONGEST or len(lines) <= LONGEST:
        yield chunk
        return
    offset = chunk.last - chunk.first + 1 - len(lines)  # lines of documentation come before the code
    for start in range(0, len(lines), LONGEST):
        part = lines[start : start + LONGEST]
        first = chunk.first if start == 0 else chunk.first + offset + start
        last = min(chunk.last, chunk.first + offset + start + len(part) - 1)
        yield replace(chunk, first=first, last=max(first, last), code="\n".join(part))


def _windows(lines: list[str], first: int) -> list[Chunk]:
    """Windows of lines that end at a blank line where there is one in their second half."""
    found, start = [], 0
    while start < len(lines):
        end = min(start + WINDOW, len(lines))
        if end < len(lines):
            blank = [i for i in range(start + WINDOW // 2, end) if not lines[i].strip()]
            end = blank[-1] + 1 if blank else end
        text = "\n".join(lines[start:end])
        if text.strip():
            found.append(
                Chunk(kind="lines", name="", first=first + start, last=first + end - 1, head="", doc="", code=text)
            )
        start = end
    return found


class _Walk:
    """Goes through a syntax tree, down to functions and no further."""

    def __init__(self, language: Language, data: bytes) -> None:
        self._language = language
        self._data = data

    def chunks(self, node: Node, owner: str = "", depth: int = 0) -> Iterator[Chunk]:
        """The functions and classes below `node`, which is part of `owner`."""
        if depth > _DEEPEST:
            return
        for child in node.named_children:
            value = self._value(child)
            if child.type in self._language.functions or value is not None:
                yield self._function(child, owner)
            elif child.type in self._language.classes and (name := self._name(child)):
                inner = f"{owner}.{name}" if owner else name
                members = list(self.chunks(child, inner, depth + 1))
                yield self._class(child, inner, members)
                yield from members
            elif child.end_point[0] > child.start_point[0]:
                yield from self.chunks(child, owner, depth + 1)

    def _value(self, node: Node) -> Node | None:
        """The function that is assigned here, if one is."""
        if not self._language.values or node.type not in ("variable_declarator", "public_field_definition", "pair"):
            return None
        value = node.child_by_field_name("value")
        return value if value is not None and value.type in self._language.values else None

    def _function(self, node: Node, owner: str) -> Chunk:
        inner = self._value(node) or node
        body = inner.child_by_field_name("body")
        name = self._name(node) or "anonymous"
        receiver = node.child_by_field_name("receiver")  # of Go
        if receiver is not None:
            owner = self._text(receiver).strip("() ").split(" ")[-1].lstrip("*")
        top, comments = self._above(node)
        head = self._between(node.start_byte, body.start_byte if body is not None else node.end_byte)
        doc_node = self._docstring(body)
        if doc_node is None:
            doc, code = comments, self._text(node)
        else:
            doc = self._text(doc_node)
            code = self._between(node.start_byte, doc_node.start_byte) + self._between(doc_node.end_byte, node.end_byte)
        return Chunk(
            kind="method" if owner else "function",
            name=f"{owner}.{name}" if owner else name,
            first=top,
            last=node.end_point[0] + 1,
            head=" ".join(head.split()).rstrip(" {:"),
            doc=doc,
            code=code,
        )

    def _class(self, node: Node, name: str, members: list[Chunk]) -> Chunk:
        body = node.child_by_field_name("body")
        top, comments = self._above(node)
        doc_node = self._docstring(body)
        doc = comments if doc_node is None else self._text(doc_node)
        head = self._between(node.start_byte, body.start_byte if body is not None else node.end_byte)
        whole = self._text(node)
        if not members:
            code = whole if doc_node is None else whole.replace(doc, "", 1)
        else:
            code = "\n".join([head, *(member.head for member in members if member.head)])
        # It reaches to its first member, which is shown with it by its signature alone.
        last = max(top, min((member.first for member in members), default=node.end_point[0] + 2) - 1)
        return Chunk(
            kind="class", name=name, first=top, last=last, head=" ".join(head.split()).rstrip(" {:"), doc=doc, code=code
        )

    def _name(self, node: Node) -> str:
        found = node.child_by_field_name("name")
        if found is None and node.type == "impl_item":
            found = node.child_by_field_name("type")
        if found is None:
            # In C the name is at the end of a chain of declarators.
            found = node.child_by_field_name("declarator")
            while found is not None and (deeper := found.child_by_field_name("declarator")) is not None:
                found = deeper
        if found is None:
            found = node.child_by_field_name("key")
        return "" if found is None else " ".join(self._text(found).split())[:200]

    def _above(self, node: Node) -> tuple[int, str]:
        """The line where it begins with its decorators and the comments directly above, and those comments."""
        start, comments = node, []
        while (parent := start.parent) is not None and parent.type in _WRAPPERS:
            start = parent
        top, sibling = start.start_point[0], start.prev_sibling
        while sibling is not None and "comment" in sibling.type and sibling.end_point[0] >= top - 1:
            comments.append(self._text(sibling))
            top, sibling = sibling.start_point[0], sibling.prev_sibling
        return top + 1, "\n".join(reversed(comments))

    def _docstring(self, body: Node | None) -> Node | None:
        if self._language.name != "python" or body is None or not body.named_children:
            return None
        first = body.named_children[0]
        if first.type == "expression_statement" and first.named_children:
            first = first.named_children[0]
        return first if first.type == "string" else None

    def _text(self, node: Node) -> str:
        return self._between(node.start_byte, node.end_byte)

    def _between(self, start: int, end: int) -> str:
        return self._data[start:end].decode(errors="replace")
