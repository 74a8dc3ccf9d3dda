"""Bytes: one envelope around msgpack, with a kind, a format version and bounded sizes.

    msgpack [kind, version, payload]

A reader refuses what is cut, corrupted, of another kind or newer than itself, with an error that says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

from swarm.errors import CapacityError, DamagedRecordError, InputError, NewerRecordError, RecordError, shown
from swarm.sona.vectors import Vector

VERSION = 1
MAX_RECORD_BYTES = 8 * 2**20
_MAX_ITEMS = 1_000_000


def encode(kind: str, payload: Mapping[str, object]) -> bytes:
    """Bytes of `payload`, which holds only what msgpack knows (numbers, text, bytes, lists, maps).

    Raises
    ------
    InputError
        If it holds something else, such as an object or a lone surrogate.
    CapacityError
        If the record is larger than `MAX_RECORD_BYTES`.

    >>> decode("note", encode("note", {"n": 1}))
    {'n': 1}
    """
    try:
        data: bytes = msgpack.packb([kind, VERSION, payload], use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"a {kind} record cannot hold this: {type(error).__name__}: {str(error)[:80]}") from error
    if len(data) > MAX_RECORD_BYTES:
        raise CapacityError(f"a {kind} record may have {MAX_RECORD_BYTES} bytes at most, got {len(data)}")
    return data


def decode(kind: str, data: bytes) -> dict[str, Any]:
    """The payload of a record of `kind`.

    Raises
    ------
    NewerRecordError
        If a newer version of this project wrote it.
    DamagedRecordError
        If it is anything else than a whole record of this kind.
    """
    if len(data) > MAX_RECORD_BYTES:
        raise DamagedRecordError(f"{kind} record: {len(data)} bytes, the bound is {MAX_RECORD_BYTES}")
    # An item has a byte at least. Without this bound, nested lists that claim a million each would take gigabytes.
    max_items = min(_MAX_ITEMS, len(data))
    try:
        envelope = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=MAX_RECORD_BYTES,
            max_bin_len=MAX_RECORD_BYTES,
            max_array_len=max_items,
            max_map_len=max_items,
            max_ext_len=0,
        )
        found_kind, version, payload = envelope
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise DamagedRecordError(f"{kind} record: not readable ({type(error).__name__}), {len(data)} bytes") from error
    if found_kind != kind:
        raise DamagedRecordError(f"{kind} record: found a record of kind {shown(found_kind, 40)}")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedRecordError(f"{kind} record: version {shown(version, 40)} is not a positive integer")
    if version > VERSION:
        raise NewerRecordError(f"{kind} record: version {version}, this program reads up to {VERSION}: upgrade it")
    if not isinstance(payload, dict):
        raise DamagedRecordError(f"{kind} record: the payload is not a map")
    return payload


def encode_readable(kind: str, payload: Mapping[str, object], parameter: str) -> bytes:
    """As `encode`, for what a caller brought in `parameter`: what our reader would refuse is refused at once.

    Raises
    ------
    InputError, CapacityError
        As in `encode`; also for keys that are no text, and whatever else msgpack writes and `decode` does not read.
    """
    try:
        data = encode(kind, payload)
        # Keys that are no text, extension types: msgpack writes what our reader refuses.
        decode(kind, data)
    except CapacityError:
        raise CapacityError(f"{parameter} must fit into a record of {MAX_RECORD_BYTES} bytes") from None
    except (InputError, RecordError, RecursionError) as error:
        raise InputError(
            f"{parameter} may hold numbers, text, bytes, lists and maps with text keys: {str(error)[:120]}"
        ) from error
    return data


def pack_floats(array: Vector) -> bytes:
    """Little-endian float32 bytes of an array, row by row."""
    return np.ascontiguousarray(array, dtype="<f4").tobytes()


def unpack_floats(data: object, shape: tuple[int, ...], what: str) -> Vector:
    """A float32 array of `shape` from its bytes; finite, writeable, a copy.

    Raises
    ------
    DamagedRecordError
        If the number of bytes does not fit `shape`, or a value is not finite.
    """
    expected = 4 * int(np.prod(shape))
    if not isinstance(data, bytes) or len(data) != expected:
        size = len(data) if isinstance(data, bytes) else type(data).__name__
        raise DamagedRecordError(f"{what}: expected {expected} bytes of float32 for shape {shape}, got {size}")
    array = np.frombuffer(data, dtype="<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        raise DamagedRecordError(f"{what}: holds a value that is not finite")
    return array
