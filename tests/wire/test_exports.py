"""Exports as bytes: what is written is read back, and everything else is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from swarm_support import some_cluster

from swarm.errors import DamagedRecordError, InputError, RecordError
from swarm.sona.clusters import check_cluster
from swarm.sona.export import AgentExport
from swarm.sona.lora import LoraPair
from swarm.wire.codec import encode
from swarm.wire.exports import decode_export, encode_export
from swarm.wire.records import encode_cluster


def an_export() -> AgentExport:
    rng = np.random.default_rng(0)
    pairs = [LoraPair.initial(rank, 32, scale, rng) for rank, scale in ((4, 0.5), (6, 1.0), (2, 1.0))]
    for pair in pairs:
        pair.up[:] = rng.standard_normal(pair.up.shape)
    return AgentExport(
        agent="coder-1",
        generation=7,
        dim=32,
        clusters=tuple(some_cluster(number) for number in range(7)),
        base=(pairs[0], pairs[1]),
        micro=pairs[2],
        gain=0.25,
        embedder="hashed:32",
    )


DATA = encode_export(an_export())


def test_an_export_is_read_back_as_it_was() -> None:
    export, found = an_export(), decode_export(DATA)
    for one, other in zip(export.pairs, found.pairs, strict=True):
        assert (one.up == other.up).all()
        assert (one.down == other.down).all()
        assert one.scale == other.scale
    assert [encode_cluster(c) for c in found.clusters] == [encode_cluster(check_cluster(c)) for c in export.clusters]
    assert (found.agent, found.generation, found.gain, found.embedder) == ("coder-1", 7, 0.25, "hashed:32")
    assert encode_export(found) == DATA


def test_an_export_without_clusters_is_one_too() -> None:
    assert decode_export(encode_export(replace(an_export(), clusters=(), gain=None))).outcomes == 0.0


@settings(max_examples=150, deadline=None, derandomize=True)
@given(position=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7))
def test_a_changed_bit_is_seen_or_changes_the_head_alone(position: int, bit: int) -> None:
    """The head carries no digest of itself: a bit of a name or a weight there may read as another one."""
    changed = bytearray(DATA)
    changed[position] ^= 1 << bit
    head = 4 + int.from_bytes(DATA[:4])
    try:
        decode_export(bytes(changed))
    except RecordError:
        return
    assert position < head


@pytest.mark.parametrize("cut", [0, 3, 4, 100, len(DATA) // 2, len(DATA) - 1])
def test_a_cut_export_is_refused(cut: int) -> None:
    with pytest.raises(DamagedRecordError, match="export"):
        decode_export(DATA[:cut])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(DATA + b"x", id="more behind"),
        pytest.param(b"\x00\x00\x00\x10not an export at all", id="something else"),
        pytest.param((5).to_bytes(4) + encode("note", {})[:5], id="another record"),
        pytest.param("text", id="text"),
    ],
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DamagedRecordError, match="export"):
        decode_export(data)


def test_what_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(InputError, match="clusters must be of other alone"):
        encode_export(replace(an_export(), agent="other"))
