from __future__ import annotations

import dataclasses

import pytest

from swarm.embed import EmbedderIdentity, require_same
from swarm.errors import BoundsError, EmbedderMismatchError, InputError

WORDLLAMA = EmbedderIdentity(id="wordllama", dim=256, version="0.4")


def test_identity_prints_id_version_and_dimension() -> None:
    assert str(WORDLLAMA) == "wordllama@0.4 (256-d)"


def test_identity_is_frozen_and_hashable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WORDLLAMA.dim = 3  # type: ignore[misc]  # the point of the test
    assert {WORDLLAMA, EmbedderIdentity(id="wordllama", dim=256, version="0.4")} == {WORDLLAMA}


@pytest.mark.parametrize(
    "other",
    [
        EmbedderIdentity(id="hashed", dim=256, version="0.4"),
        EmbedderIdentity(id="wordllama", dim=64, version="0.4"),
        EmbedderIdentity(id="wordllama", dim=256, version="0.5"),
    ],
)
def test_any_difference_is_a_mismatch_that_names_both(other: EmbedderIdentity) -> None:
    with pytest.raises(EmbedderMismatchError) as caught:
        require_same(WORDLLAMA, other)
    assert str(WORDLLAMA) in str(caught.value)
    assert str(other) in str(caught.value)


def test_equal_identities_pass() -> None:
    require_same(WORDLLAMA, dataclasses.replace(WORDLLAMA))


@pytest.mark.parametrize("dim", [0, 15, 8193, -1, True, 256.0, "256", None])
def test_unusable_dimension_is_refused(dim: object) -> None:
    with pytest.raises(BoundsError, match=r"embedder dim must be an integer in 16\.\.8192"):
        EmbedderIdentity(id="x", dim=dim, version="1")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\0", None, b"x"])
def test_unusable_id_or_version_is_refused(name: object) -> None:
    with pytest.raises(InputError, match="embedder id"):
        EmbedderIdentity(id=name, dim=16, version="1")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(InputError, match="embedder version"):
        EmbedderIdentity(id="x", dim=16, version=name)  # type: ignore[arg-type]  # the point of the test
