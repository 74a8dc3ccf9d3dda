"""Exports of agents as bytes, for files and other hosts: the head, then one record per cluster.

    head: [4 bytes, its length][record "export"]    each cluster: [4 bytes, its length][record "cluster"]

The head holds a digest of all that follows, so that a changed bit is seen even where it would be a number still.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from swarm.errors import CapacityError, DamagedRecordError, InputError
from swarm.sona.export import MAX_CLUSTERS, AgentExport, check_export
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import check_count, check_number, check_text
from swarm.wire.codec import MAX_RECORD_BYTES, encode, pack_floats, unpack_floats
from swarm.wire.records import decode_cluster, encode_cluster, guarded

MAX_EXPORT_BYTES = 256 * 2**20
_LENGTH = struct.Struct(">I")
_DIGEST_BYTES = 16


def encode_export(export: AgentExport) -> bytes:
    """An export as bytes.

    Raises
    ------
    InputError
        If a value is out of bounds: what is encoded can be decoded.
    CapacityError
        If it is larger than `MAX_EXPORT_BYTES`.
    """
    check_export(export)
    body = b"".join(map(_framed, map(encode_cluster, export.clusters)))
    head = encode(
        "export",
        {
            "agent": export.agent,
            "generation": export.generation,
            "dim": export.dim,
            "embedder": export.embedder,
            "gain": export.gain,
            "base": [_pair_values(pair) for pair in export.base],
            "micro": _pair_values(export.micro),
            "clusters": len(export.clusters),
            "digest": _digest(body),
        },
    )
    data = _framed(head) + body
    if len(data) > MAX_EXPORT_BYTES:
        raise CapacityError(f"an export may have {MAX_EXPORT_BYTES} bytes at most, got {len(data)}")
    return data


def decode_export(data: bytes) -> AgentExport:
    """The inverse of `encode_export`.

    Raises
    ------
    NewerRecordError
        If a newer version of this project wrote it.
    DamagedRecordError
        If it is cut, corrupted, or something else.
    """
    if not isinstance(data, bytes) or len(data) > MAX_EXPORT_BYTES:
        found = f"{len(data)} bytes" if isinstance(data, bytes) else type(data).__name__
        raise DamagedRecordError(f"export: expected at most {MAX_EXPORT_BYTES} bytes, got {found}")
    head, start = _frame(data, 0)

    def restore(payload: Mapping[str, Any]) -> AgentExport:
        if payload["digest"] != _digest(memoryview(data)[start:]):
            raise InputError("the digest does not fit: it was cut or changed")
        return _restored(payload, _frames(data, start, check_count(payload["clusters"], "clusters", 0, MAX_CLUSTERS)))

    return guarded("export", head, restore)


def _restored(payload: Mapping[str, Any], clusters: Sequence[bytes]) -> AgentExport:
    dim = check_count(payload["dim"], "dim", 1, 65_536)
    return check_export(
        AgentExport(
            agent=payload["agent"],
            generation=payload["generation"],
            dim=dim,
            clusters=tuple(map(decode_cluster, clusters)),
            base=tuple(_pair(values, dim) for values in payload["base"]),
            micro=_pair(payload["micro"], dim),
            gain=payload["gain"],
            embedder=check_text(payload["embedder"], "embedder"),
        )
    )


def _pair_values(pair: LoraPair) -> dict[str, object]:
    return {
        "rank": len(pair.up),
        "scale": pair.scale,
        "up": pack_floats(pair.up),
        "down": pack_floats(pair.down),
    }


def _pair(values: Mapping[str, Any], dim: int) -> LoraPair:
    shape = (check_count(values["rank"], "rank", 1, 1024), dim)
    up, down = (unpack_floats(values[name], shape, name) for name in ("up", "down"))
    return LoraPair(down, up, check_number(values["scale"], "scale", -1e6, 1e6))


def _framed(record: bytes) -> bytes:
    return _LENGTH.pack(len(record)) + record


def _frames(data: bytes, start: int, count: int) -> list[bytes]:
    frames = []
    for _ in range(count):
        frame, start = _frame(data, start)
        frames.append(frame)
    if start != len(data):
        raise DamagedRecordError(f"export: {len(data) - start} bytes follow the last of {count} clusters")
    return frames


def _frame(data: bytes, start: int) -> tuple[bytes, int]:
    """The record that begins at `start`, and where the next one begins."""
    if start + _LENGTH.size > len(data):
        raise DamagedRecordError(f"export: cut at byte {len(data)}")
    (length,) = _LENGTH.unpack_from(data, start)
    first = start + _LENGTH.size
    if length > MAX_RECORD_BYTES or first + length > len(data):
        raise DamagedRecordError(f"export: a record of {length} bytes at byte {start}, there are {len(data) - first}")
    return data[first : first + length], first + length


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
