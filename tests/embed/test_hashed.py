from __future__ import annotations

import math
import subprocess
import sys
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.embed import Embedder, HashedEmbedder
from swarm.embed.hashed import features
from swarm.errors import BoundsError

VISIBLE = st.text(min_size=1, max_size=60).filter(str.strip)


def slow_reference(text: str, dim: int) -> list[float]:
    """The docstring's formula, feature by feature, for lower-case words of letters."""
    counts: dict[str, int] = {}
    for word in text.split():
        marked = f"<{word}>"
        grams = [marked[i:j] for i in range(len(marked)) for j in range(i + 3, min(i + 5, len(marked)) + 1)]
        for feature in [" " + word, *grams]:
            counts[feature] = counts.get(feature, 0) + 1
    vector = [0.0] * dim
    for feature, count in counts.items():
        code = zlib.crc32(feature.encode())
        vector[(code >> 1) % dim] += (-1.0 if code & 1 else 1.0) * (1.0 + math.log(count))
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


@pytest.mark.parametrize("text", ["a", "pin", "the pin of the card", "no no no no", "abcdefghij " * 9])
@pytest.mark.parametrize("dim", [16, 384])
def test_vector_equals_a_slow_reference(text: str, dim: int) -> None:
    np.testing.assert_allclose(HashedEmbedder(dim).embed_one(text), slow_reference(text, dim), atol=1e-6)


def test_features_of_symbols_and_mixed_scripts() -> None:
    assert list(features("C++")) == [" c", "<c>", " +", "<+>", " +", "<+>"]
    assert [feature for feature in features("日本 Ω") if feature[0] == " "] == [" 日本", " ω"]


def test_case_and_unicode_composition_do_not_matter() -> None:
    composed, decomposed = HashedEmbedder().embed(["Caf\u00e9", "cafe\u0301"])
    np.testing.assert_array_equal(composed, decomposed)


def test_spelling_is_near_and_other_words_are_far() -> None:
    pin, pins, other = HashedEmbedder().embed(["reset my pin", "resetting my pins", "transfer money abroad"])
    assert pin @ pins > 0.4
    assert abs(pin @ other) < 0.2


@given(st.lists(VISIBLE, min_size=1, max_size=5), st.sampled_from([16, 17, 384]))
def test_any_texts_have_unit_vectors_the_same_alone_and_in_a_batch(texts: list[str], dim: int) -> None:
    embedder = HashedEmbedder(dim)
    batch = embedder.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-6)
    assert batch.tobytes() == b"".join(embedder.embed_one(text).tobytes() for text in texts)


@given(VISIBLE)
def test_white_space_around_words_does_not_matter(text: str) -> None:
    embedder = HashedEmbedder(64)
    np.testing.assert_array_equal(embedder.embed_one(text), embedder.embed_one(f" \n{text}\t"))


def test_features_that_all_cancel_leave_a_vector_all_the_same() -> None:
    # Every single character: with 16 buckets, the two features of some cancel each other exactly.
    texts = [chr(code) for code in range(0x21, 0x250) if not chr(code).isspace()]
    cancelling = [text for text in texts if _signed_sum_is_zero(text, 16)]
    assert cancelling
    vectors = HashedEmbedder(16).embed(cancelling)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert (vectors >= 0.0).all()


def _signed_sum_is_zero(text: str, dim: int) -> bool:
    sums: dict[int, int] = {}
    for feature in set(features(text)):
        code = zlib.crc32(feature.encode())
        sums[(code >> 1) % dim] = sums.get((code >> 1) % dim, 0) + (-1 if code & 1 else 1)
    return len(set(features(text))) == len(list(features(text))) and not any(sums.values())


def test_vectors_are_the_same_in_every_process() -> None:
    script = "from swarm.embed import HashedEmbedder as H; print(H().embed_one('reset my pin').tobytes().hex())"
    seeds = ("0", "1", "2")
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True, text=True
        ).stdout.strip()
        for seed in seeds
    }
    assert outputs == {HashedEmbedder().embed_one("reset my pin").tobytes().hex()}


PINNED = [
    0.639602,
    0.0,
    0.0,
    0.0,
    0.213201,
    -0.213201,
    -0.213201,
    0.0,
    0.0,
    -0.213201,
    0.0,
    0.0,
    0.0,
    -0.213201,
    0.426401,
    -0.426401,
]


def test_stored_vectors_stay_comparable_with_this_version() -> None:
    # Changes only together with the version in the identity.
    vector = HashedEmbedder(16).embed_one("reset my pin")
    assert str(HashedEmbedder(16).identity) == "hashed@1 (16-d)"
    np.testing.assert_allclose(vector, PINNED, atol=1e-6)


@pytest.mark.parametrize("dim", [0, 15, 8193, -384])
def test_dimension_out_of_bounds_is_refused(dim: int) -> None:
    with pytest.raises(BoundsError, match=rf"16\.\.8192, got {dim}"):
        HashedEmbedder(dim)


def test_frozen_success_on_banking77(frozen_success: Callable[[Embedder], float]) -> None:
    # .584 as the mean of 5 seeds
    assert frozen_success(HashedEmbedder()) == pytest.approx(0.58, abs=0.03)
