"""What the tests of retention share: everything that is stored of a swarm, and where in it a text is."""

from __future__ import annotations

from collections.abc import Callable

from swarm_support import present

from swarm.store.connection import Client
from swarm.store.reply import to_bytes
from swarm.wire.keys import SwarmKeys


def stored_bytes(client: Client, keys: SwarmKeys) -> dict[str, bytes]:
    """Everything that is stored of a swarm, by key: names and all values, as they are."""
    found: dict[str, bytes] = {}
    read: dict[bytes, Callable[[bytes], object]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"stream": client.xrange,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
    }
    for pattern in keys.patterns:
        for key in client.scan_iter(match=pattern):
            parts: list[bytes] = [key]
            flatten(read[present(to_bytes(client.type(key)))](key), parts)
            found[key.decode()] = b"\0".join(parts)
    return found


def flatten(value: object, into: list[bytes]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            flatten(key, into)
            flatten(item, into)
    elif isinstance(value, list | tuple | set):
        for item in value:
            flatten(item, into)
    elif isinstance(value, bytes):
        into.append(value)


def where(client: Client, keys: SwarmKeys, text: str) -> list[str]:
    """The keys in which a text is stored."""
    return sorted(key for key, data in stored_bytes(client, keys).items() if text.encode() in data)
