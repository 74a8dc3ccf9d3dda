"""Records with something wrong: cut, flipped, glued, or whole with a wrong value somewhere inside."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgpack

from benchmarks.fuzz_values import Hostile

_MAX_FLIPS = 8


def mutated(data: bytes, hostile: Hostile) -> bytes:
    """A record like `data`, and hardly ever the same."""
    rng = hostile.rng
    way = rng.random()
    if way < 0.5:
        return _rewritten(data, hostile)
    if way < 0.7:
        return _flipped(data, rng)
    if way < 0.8:
        return data[: rng.randrange(len(data) + 1)]
    if way < 0.9:
        start = rng.randrange(len(data))
        return data[:start] + data[rng.randrange(len(data)) :] + rng.randbytes(rng.randrange(4))
    if way < 0.95:
        # Claims far more items than there are bytes.
        return data[: rng.randrange(len(data))] + rng.choice(
            (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff")
        )
    return rng.choice((b"", b"\xc1", b"\x93" * rng.choice((10, 5_000)), rng.randbytes(rng.randrange(1, 200)), b"\x80"))


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, _MAX_FLIPS)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _rewritten(data: bytes, hostile: Hostile) -> bytes:
    """The same structure with a value replaced, removed or added: it passes the envelope."""
    try:
        kind, version, payload = msgpack.unpackb(data, raw=False, strict_map_key=False)
    except (ValueError, msgpack.UnpackException):
        return _flipped(data, hostile.rng)
    for _ in range(hostile.rng.choice((1, 1, 2, 4))):
        _replace_one(payload, hostile)
    try:
        return bytes(msgpack.packb([kind, version, payload], use_bin_type=True))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return _flipped(data, hostile.rng)


def _replace_one(node: Any, hostile: Hostile) -> None:
    rng = hostile.rng
    while True:
        keys = list(node) if isinstance(node, Mapping) else list(range(len(node)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
            node = node[key]
            continue
        way = rng.random()
        if way < 0.1:
            del node[key]
        elif way < 0.2 and isinstance(node, dict):
            node[hostile.text()] = hostile.number()
        elif way < 0.4 and isinstance(node[key], bytes):
            node[key] = rng.choice(
                (b"", node[key][:-1], node[key] * 2, b"\xff" * len(node[key]), rng.randbytes(len(node[key])))
            )
        else:
            node[key] = hostile.any()
        return
