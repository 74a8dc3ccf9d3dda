"""Replies of Redis with the types they have here: names are text, values are bytes.

redis-py types every reply as bytes or text, because that depends on the client; ours answers bytes.
"""

from __future__ import annotations

from typing import Any, cast


def to_text(reply: object) -> str:
    """A name, an id."""
    return cast(bytes, reply).decode()


def to_bytes(reply: object) -> bytes | None:
    """A value, or None if there is none."""
    return cast("bytes | None", reply)


def to_hash(reply: object) -> dict[str, bytes]:
    """Fields in the order of their names, so that what is derived does not hang on the order in Redis."""
    items = cast("dict[bytes, bytes]", reply).items()
    return {name.decode(): value for name, value in sorted(items)}


def to_entries(reply: object) -> list[tuple[str, dict[bytes, bytes]]]:
    """Entries of a stream: (id, fields)."""
    return [(entry_id.decode(), fields) for entry_id, fields in cast("list[Any]", reply or [])]


def stream_position(stream_id: str) -> tuple[int, int]:
    """A stream id in the order of the stream.

    >>> stream_position("12-3") < stream_position("100-0")
    True
    """
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence or 0)
