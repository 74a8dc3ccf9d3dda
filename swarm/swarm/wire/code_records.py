"""An indexed codebase as records: what a file holds. What was asked of it is in `judgement_records`.

A file is one record, so that whoever searches reads a few thousand of them, and not a hundred thousand chunks.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from swarm.errors import DamagedRecordError, InputError
from swarm.sona.vectors import check_count, check_text
from swarm.wire.codec import MAX_RECORD_BYTES, encode
from swarm.wire.records import guarded

FIELDS = ("name", "place", "head", "doc", "body")
"""Parts of a chunk in which terms are counted apart: its name; file and owner; signature; documentation; the rest."""
VIEWS = ("name", "body")
"""What of a chunk has a vector."""
MAX_PATH = 1_024
_LARGEST = 2**53

Postings: TypeAlias = npt.NDArray[np.uint32]
Counts: TypeAlias = npt.NDArray[np.uint16]
Bytes: TypeAlias = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    """Where a chunk is in its file; lines count from 1, both ends belong to it."""

    kind: str
    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file of n chunks.

    `counts` and `lengths`, of shape (n, fields): different terms, and all terms, of each field of each chunk;
    `postings`: field by field, chunk by chunk, a term and how often it is there (`term << 8 | times`);
    `vectors`, of shape (n, views, d): directions, in bytes; `texts`: what is shown of each chunk, see `pack_texts`.
    """

    path: str
    language: str
    chunks: tuple[ChunkPlace, ...]
    counts: Counts
    lengths: Counts
    postings: Postings
    vectors: Bytes
    texts: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """By what a file is known not to have changed."""

    mtime_ns: int
    size_bytes: int
    digest: str
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeState:
    """What an agent's index is of. `embedder`: whose vectors it holds; `form`: what was made of the files."""

    root: str
    embedder: str
    form: str


def pack_texts(texts: Sequence[str]) -> bytes:
    """Texts of one file, compressed: they are read one by one, and rarely."""
    return zlib.compress("\0".join(text.replace("\0", " ") for text in texts).encode(errors="replace"))


def unpack_texts(data: bytes, count: int) -> list[str]:
    r"""The inverse of `pack_texts`; NUL has become a space.

    Raises
    ------
    DamagedRecordError
        If these are not `count` texts.

    >>> unpack_texts(pack_texts(["a\0b", "c"]), 2)
    ['a b', 'c']
    """
    # Bounded: a few bytes may claim to be gigabytes.
    inflater = zlib.decompressobj()
    try:
        texts = inflater.decompress(data, MAX_RECORD_BYTES).decode().split("\0")
    except (zlib.error, UnicodeDecodeError) as error:
        raise DamagedRecordError(f"texts of a file: {type(error).__name__}") from error
    if inflater.unconsumed_tail or len(texts) != count:
        raise DamagedRecordError(f"texts of a file: expected {count} of {MAX_RECORD_BYTES} bytes at most")
    return texts


def encode_file(record: FileRecord) -> bytes:
    """A file.

    Raises
    ------
    CapacityError
        If the record would be too large.
    """
    payload = {
        "path": record.path,
        "language": record.language,
        "chunks": [[place.kind, place.name, place.first, place.last] for place in record.chunks],
        "counts": record.counts.astype("<u2").tobytes(),
        "lengths": record.lengths.astype("<u2").tobytes(),
        "postings": record.postings.astype("<u4").tobytes(),
        "vectors": record.vectors.tobytes(),
        "texts": record.texts,
    }
    return encode("code_file", payload)


def decode_file(data: bytes) -> FileRecord:
    """The inverse of `encode_file`."""
    return guarded("code_file", data, _file)


def encode_file_state(state: FileState) -> bytes:
    """What is remembered of a file beside its record."""
    return encode("code_file_state", asdict(state))


def decode_file_state(data: bytes) -> FileState:
    """The inverse of `encode_file_state`."""
    return guarded("code_file_state", data, _file_state)


def encode_code_state(state: CodeState) -> bytes:
    """What an index is of."""
    return encode("code_state", asdict(state))


def decode_code_state(data: bytes) -> CodeState:
    """The inverse of `encode_code_state`."""
    return guarded("code_state", data, _code_state)


def _file(payload: Mapping[str, Any]) -> FileRecord:
    places = tuple(_place(*chunk) for chunk in payload["chunks"])
    n = len(places)
    counts = np.frombuffer(payload["counts"], dtype="<u2").reshape(n, len(FIELDS))
    lengths = np.frombuffer(payload["lengths"], dtype="<u2").reshape(n, len(FIELDS))
    postings = np.frombuffer(payload["postings"], dtype="<u4")
    if len(postings) != int(counts.sum(dtype=np.int64)):
        raise InputError(f"postings must be as many as counts say, got {len(postings)}")
    vectors = np.frombuffer(payload["vectors"], dtype=np.int8).reshape(n, len(VIEWS), -1)
    return FileRecord(
        path=check_text(payload["path"], "path"),
        language=check_text(payload["language"], "language"),
        chunks=places,
        counts=counts,
        lengths=lengths,
        postings=postings,
        vectors=vectors,
        texts=bytes(payload["texts"]),
    )


def _place(kind: str, name: str, first: int, last: int) -> ChunkPlace:
    first = check_count(first, "first", 1, _LARGEST)
    return ChunkPlace(
        kind=check_text(kind, "kind"),
        name=check_text(name, "name"),
        first=first,
        last=check_count(last, "last", first, _LARGEST),
    )


def _file_state(payload: Mapping[str, Any]) -> FileState:
    return FileState(
        mtime_ns=int(payload["mtime_ns"]),
        size_bytes=check_count(payload["size_bytes"], "size_bytes", 0, _LARGEST),
        digest=check_text(payload["digest"], "digest"),
        chunks=check_count(payload["chunks"], "chunks", 0, _LARGEST),
    )


def _code_state(payload: Mapping[str, Any]) -> CodeState:
    root, embedder, form = (check_text(payload[name], name) for name in ("root", "embedder", "form"))
    return CodeState(root=root, embedder=embedder, form=form)
