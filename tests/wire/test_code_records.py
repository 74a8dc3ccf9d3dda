"""Records of a codebase: what goes in comes out, and damaged bytes are an error of ours."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import DamagedRecordError, RecordError
from swarm.wire.code_records import (
    FIELDS,
    VIEWS,
    ChunkPlace,
    CodeState,
    FileRecord,
    FileState,
    decode_code_state,
    decode_file,
    decode_file_state,
    encode_code_state,
    encode_file,
    encode_file_state,
    pack_texts,
    unpack_texts,
)
from swarm.wire.judgement_records import Asked, Judged, decode_asked, decode_judged, encode_asked, encode_judged

SIGNS = np.arange(6, dtype=np.float32).reshape(3, 2)


def a_file(n: int = 2) -> FileRecord:
    counts = np.arange(n * len(FIELDS), dtype=np.uint16).reshape(n, len(FIELDS))
    return FileRecord(
        path="src/a.py",
        language="python",
        chunks=tuple(ChunkPlace(kind="function", name=f"f{i}", first=i + 1, last=i + 3) for i in range(n)),
        counts=counts,
        lengths=counts + 1,
        postings=np.arange(int(counts.sum()), dtype=np.uint32),
        vectors=np.arange(n * len(VIEWS) * 4, dtype=np.int8).reshape(n, len(VIEWS), 4),
        texts=pack_texts([f"def f{i}(): ..." for i in range(n)]),
    )


def test_a_file_comes_back_as_it_was() -> None:
    file = a_file()
    found = decode_file(encode_file(file))
    assert (found.path, found.language, found.chunks) == (file.path, file.language, file.chunks)
    for name in ("counts", "lengths", "postings", "vectors"):
        assert (getattr(found, name) == getattr(file, name)).all()
    assert unpack_texts(found.texts, 2) == ["def f0(): ...", "def f1(): ..."]


def test_the_other_records_come_back_as_they_were() -> None:
    state = FileState(mtime_ns=1, size_bytes=2, digest="d", chunks=3)
    assert decode_file_state(encode_file_state(state)) == state
    whole = CodeState(root="/r", embedder="e", form="1")
    assert decode_code_state(encode_code_state(whole)) == whole
    asked = decode_asked(encode_asked(Asked(text="where?", at_s=1.5, names=("a", "b", "c"), signs=SIGNS)))
    assert (asked.text, asked.names) == ("where?", ("a", "b", "c"))
    assert (asked.signs == SIGNS).all()
    judged = decode_judged(encode_judged(Judged(at_s=1.5, chosen=2, quality=1.0, signs=SIGNS)))
    assert (judged.chosen, judged.quality) == (2, 1.0)


def test_what_does_not_fit_together_is_damaged() -> None:
    with pytest.raises(DamagedRecordError, match="chosen"):
        decode_judged(encode_judged(Judged(at_s=0.0, chosen=3, quality=1.0, signs=SIGNS)))
    with pytest.raises(DamagedRecordError, match="candidates"):
        decode_asked(encode_asked(Asked(text="t", at_s=0.0, names=("a",), signs=SIGNS)))
    with pytest.raises(DamagedRecordError, match="expected 3"):
        unpack_texts(pack_texts(["a", "b"]), 3)
    with pytest.raises(DamagedRecordError, match="texts"):
        unpack_texts(b"no zlib", 1)


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_record_is_an_error_of_ours_or_a_file(position: int, byte: int) -> None:
    data = bytearray(encode_file(a_file()))
    data[position % len(data)] = byte
    with suppress(RecordError):
        assert isinstance(decode_file(bytes(data)), FileRecord)
