"""Hooks into a settings file and out again.

What is added is text in somebody's file, and only that is ever taken out. Where nobody has changed the file in between,
it is put back to the very bytes that it had, which are kept in the state directory; where somebody has, our entries go,
with the lists that only they were in.
"""

from __future__ import annotations

import difflib
import json
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from swarm.errors import InputError, RuntimeSetupError
from swarm.services.atomic_file import atomic_file
from swarm.settings import Settings
from swarm.store.private import make_private
from swarm_cli.hooks.entries import Client, is_ours
from swarm_cli.hooks.json_text import Node, add, remove, scan, value_of
from swarm_cli.hooks.places import EMPTY

_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_NEW_MODE = 0o600
_Place = tuple[Node, int]
"""A container, and the position of a child in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file before and after; None where there is none."""

    path: Path
    before: bytes | None
    after: bytes | None
    original: bytes | None
    """What it was before our first entry came."""

    @property
    def is_none(self) -> bool:
        """Whether nothing changes."""
        return self.before == self.after

    def diff(self) -> str:
        """The change as a unified diff."""
        before, after = ((data or b"").decode("utf-8", "replace").splitlines() for data in (self.before, self.after))
        name = str(self.path)
        return "\n".join(difflib.unified_diff(before, after, fromfile=name, tofile=name, lineterm=""))


class Installer:
    """Changes one client's settings file.

    Raises
    ------
    InputError
        From every method: if the file is no JSON, or not of the shape that hooks have; it stays as it is.
    RuntimeSetupError
        If it cannot be read or written.
    """

    def __init__(self, settings: Settings, client: Client, path: Path) -> None:
        self._client = client
        self._path = path
        name = sha256(str(path).encode()).hexdigest()[:16]
        self._note = settings.state_dir / "hooks" / f"{client}-{name}.json"

    def install(self, entries: Mapping[str, Any]) -> Change:
        """What it takes that our entries are these, and no others."""
        before = self._read()
        original = self._original(before)
        text = EMPTY[self._client] if original is None else self._text(original)
        if before is not None and self._found(self._text(before)) == entries:
            return Change(path=self._path, before=before, after=before, original=original)
        for event, entry in entries.items():
            text = self._with(text, event, entry)
        return Change(path=self._path, before=before, after=self._bytes(text, before), original=original)

    def uninstall(self) -> Change:
        """What it takes that none of our entries is left."""
        before = self._read()
        if before is None or not self._found(self._text(before)):
            return Change(path=self._path, before=before, after=before, original=before)
        original = self._original(before)
        return Change(path=self._path, before=before, after=original, original=original)

    def installed(self) -> Mapping[str, Any]:
        """Event -> our entry, as the file has it now; empty if there is none."""
        before = self._read()
        return {} if before is None else self._found(self._text(before))

    def apply(self, change: Change) -> None:
        """Write a change, and keep what takes it back. The file keeps its mode."""
        if self._read() != change.before:
            raise InputError(f"{self._path} was changed by somebody else meanwhile; nothing was written, try again")
        if self._path.exists() and not self._path.stat().st_mode & stat.S_IWUSR:
            # It would be replaced, for which the directory alone is asked.
            raise RuntimeSetupError(f"cannot write {self._path}: it is read-only")
        if change.after is None:
            with suppress(FileNotFoundError):
                self._path.unlink()
        else:
            mode = self._path.stat().st_mode & 0o777 if self._path.exists() else _NEW_MODE
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RuntimeSetupError(f"cannot make {self._path.parent}: {error.strerror}") from error
            with atomic_file(self._path) as file:
                os.fchmod(file.fileno(), mode)
                file.write(change.after)
        self._remember(change)

    # What takes it back

    def _remember(self, change: Change) -> None:
        if change.after == change.original:
            self._note.unlink(missing_ok=True)
            return
        assert change.after is not None
        kept = {
            "path": str(self._path),
            "original": None if change.original is None else b64encode(change.original).decode(),
            "after": sha256(change.after).hexdigest(),
        }
        make_private(self._note.parent)
        with atomic_file(self._note) as file:
            file.write(json.dumps(kept).encode())

    def _original(self, before: bytes | None) -> bytes | None:
        """The file without our entries: as it was, where nobody has changed it since; None if there was none."""
        if before is None:
            return None
        try:
            kept = json.loads(self._note.read_bytes())
            if kept["after"] == sha256(before).hexdigest():
                return None if kept["original"] is None else b64decode(kept["original"])
            is_made_by_us = kept["original"] is None
        except (OSError, ValueError, KeyError, TypeError):
            is_made_by_us = False
        text = self._text(before)
        while (place := self._place(text)) is not None:
            text = remove(text, *place)
        is_empty = json.loads(text) == json.loads(EMPTY[self._client])
        return None if is_made_by_us and is_empty else self._bytes(text, before)

    # The file

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RuntimeSetupError(f"cannot read {self._path}: {error.strerror}") from error

    def _text(self, data: bytes) -> str:
        try:
            text = data.decode("utf-8").removeprefix(_BOM)
            root = scan(text)
        except (UnicodeDecodeError, InputError) as error:
            raise InputError(f"{self._path}: {error}; mend it, nothing was changed") from None
        hooks = root.named("hooks")
        lists = [] if hooks is None else [child.node for child in hooks.children]
        shapes = [(root, "{"), *([] if hooks is None else [(hooks, "{")]), *((node, "[") for node in lists)]
        if any(text[node.start] != sign for node, sign in shapes):
            raise InputError(f"{self._path}: hooks must be an object of lists; mend it, nothing was changed")
        return text

    def _bytes(self, text: str, like: bytes | None) -> bytes:
        return ((_BOM if like is not None and like.startswith(_BOM.encode()) else "") + text).encode()

    def _with(self, text: str, event: str, entry: object) -> str:
        root = scan(text)
        hooks = root.named("hooks")
        if hooks is None:
            return add(text, root, {event: [entry]}, "hooks")
        found = hooks.named(event)
        return add(text, hooks, [entry], event) if found is None else add(text, found, entry)

    def _found(self, text: str) -> dict[str, Any]:
        """Event -> what of ours is in its list; of an entry that others share, all of it."""
        hooks = scan(text).named("hooks")
        found: dict[str, Any] = {}
        for event in hooks.children if hooks else ():
            for item in event.node.children:
                entry = value_of(text, item.node)
                if any(is_ours(self._client, handler) for handler in _handlers(entry)):
                    # A second one of ours is not what anybody planned.
                    found[event.key] = [found[event.key], entry] if event.key in found else entry
        return found

    def _place(self, text: str) -> _Place | None:
        """The first part of the text that is ours alone, as large as it gets."""
        root = scan(text)
        for way in _ways(root):
            node = way[-1][0].children[way[-1][1]].node
            if is_ours(self._client, value_of(text, node)):
                while len(way) > 1 and len(way[-1][0].children) == 1:
                    way.pop()
                return way[-1]
        return None


def _handlers(entry: object) -> list[object]:
    """The handlers of an entry: itself, or those in its own list."""
    inner = entry.get("hooks") if isinstance(entry, dict) else None
    return inner if isinstance(inner, list) else [entry]


def _ways(root: Node) -> list[list[_Place]]:
    """The way from the root to each handler: containers, and positions in them."""
    ways = []
    for i, top in enumerate(root.children):
        for j, event in enumerate(top.node.children if top.key == "hooks" else ()):
            for k, entry in enumerate(event.node.children):
                way = [(root, i), (top.node, j), (event.node, k)]
                inner = entry.node.named("hooks")
                ways += [way] if inner is None else [[*way, (inner, m)] for m in range(len(inner.children))]
    return ways
