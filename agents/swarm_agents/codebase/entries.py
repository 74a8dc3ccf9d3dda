"""What the index keeps of a file: per chunk its terms by field, two vectors, and what is shown of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.redaction import NO_REDACTION, Redaction
from swarm.services.documents import embed_leniently
from swarm.sona.vectors import Vector
from swarm.wire.code_records import FIELDS, VIEWS, Bytes, ChunkPlace, FileRecord, encode_file, pack_texts
from swarm_agents.codebase.chunks import Chunk, chunks_of
from swarm_agents.codebase.languages import LANGUAGES
from swarm_agents.codebase.terms import terms, words

FORM = "1"
"""What is made of a file; another number makes the next run index all anew."""
SHOWN_LINES = 30
_SHOWN_CHARACTERS = 2_000
_EMBEDDED = 3_000
"""Characters of a chunk that its vector is made of, ..."""
_COUNTED = 20_000
"""... and in which terms are counted."""
_MOST_TIMES = 255
_MOST_TERMS = 65_535


def record_of(
    path: str, data: bytes, embedder: Embedder, *, with_docs: bool = True, redaction: Redaction = NO_REDACTION
) -> tuple[bytes, int]:
    """The record of a file, and of how many chunks: none, if it says nothing.

    Without documentation if that is what is to be found, and without what the agent's redaction takes out.

    Raises
    ------
    CapacityError
        If the record would be too large.
    """
    source = redaction.text(data.decode(errors="replace"))
    extension = PurePosixPath(path).suffix.removeprefix(".").lower()
    chunks = chunks_of(extension, source)
    if not chunks:
        return b"", 0
    lines = source.split("\n")
    fields = [_fields(path, chunk, with_docs) for chunk in chunks]
    language = LANGUAGES[extension].name if extension in LANGUAGES else extension
    counted = [Counter(terms(parts[field][:_COUNTED])) for field in range(len(FIELDS)) for parts in fields]
    shape = (len(FIELDS), len(chunks))
    lengths = np.array([min(count.total(), _MOST_TERMS) for count in counted], dtype=np.uint16).reshape(shape).T
    counts = np.array([len(count) for count in counted], dtype=np.uint16).reshape(shape).T
    postings = [code << 8 | min(times, _MOST_TIMES) for count in counted for code, times in count.items()]
    record = FileRecord(
        path=path,
        language=language,
        chunks=tuple(ChunkPlace(kind=c.kind, name=c.name, first=c.first, last=c.last) for c in chunks),
        counts=counts,
        lengths=lengths,
        postings=np.array(postings, dtype=np.uint32),
        vectors=_vectors(fields, embedder),
        texts=pack_texts([_shown(lines, chunk) for chunk in chunks]),
    )
    return encode_file(record), len(chunks)


def digest_of(data: bytes) -> str:
    """By what the content of a file is known again."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _fields(path: str, chunk: Chunk, with_docs: bool) -> tuple[str, ...]:
    """The texts of `FIELDS`."""
    owner, _, own = chunk.name.partition("#")[0].rpartition(".")
    parts = PurePosixPath(path)
    doc = chunk.doc if with_docs else ""
    return own or parts.stem, f"{parts.with_suffix('')} {owner}", chunk.head, doc, chunk.code


def _vectors(fields: Sequence[tuple[str, ...]], embedder: Embedder) -> Bytes:
    """Directions of shape (n, views, d): of the name, and of documentation and code."""
    texts = [_spaced(name) for name, *_ in fields]
    texts += [_spaced(f"{doc[:_EMBEDDED]} {body[:_EMBEDDED]}") for *_, doc, body in fields]
    vectors = embed_leniently(embedder, texts).reshape(len(VIEWS), len(fields), -1)
    return quantised(vectors.transpose(1, 0, 2))


def quantised(vectors: Vector) -> Bytes:
    """Vectors along the last axis as bytes: their directions, within one part in 127 of the largest entry."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True, initial=0.0)
    return np.rint(vectors * (127.0 / np.where(largest > 0.0, largest, 1.0))).astype(np.int8)


def _spaced(text: str) -> str:
    return " ".join(words(text))


def _shown(lines: Sequence[str], chunk: Chunk) -> str:
    return "\n".join(lines[chunk.first - 1 : min(chunk.last, chunk.first - 1 + SHOWN_LINES)])[:_SHOWN_CHARACTERS]
