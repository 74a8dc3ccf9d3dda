from __future__ import annotations

import numpy as np
import pytest

from swarm.embed import CallableEmbedder, Embedder, EmbedderIdentity, HashedEmbedder
from swarm.embed.base import unit_vectors
from swarm.errors import EmbedderUnavailableError, TextError

IDENTITY = EmbedderIdentity(id="fixed", dim=16, version="1")


def answering(answer: object) -> CallableEmbedder:
    """An embedder whose function gives `answer` whatever the texts."""
    return CallableEmbedder(lambda texts: answer, IDENTITY)


def rows(n: int, value: float = 1.0) -> list[list[float]]:
    return [[value] * 16 for _ in range(n)]


def test_vectors_are_float32_unit_length_c_order_and_a_copy() -> None:
    answer = np.asfortranarray(np.arange(1, 33, dtype=np.float64).reshape(2, 16))
    before = answer.copy()
    vectors = answering(answer).embed(["a", "b"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, 16)
    assert vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    vectors[:] = 0.0
    np.testing.assert_array_equal(answer, before)


def test_scaling_is_right_worked_by_hand() -> None:
    answer = [[3.0, 4.0] + [0.0] * 14]
    np.testing.assert_allclose(answering(answer).embed_one("a")[:2], [0.6, 0.8], atol=1e-7)


@pytest.mark.parametrize("value", [1e-30, 1e30, -1e38])
def test_tiny_and_huge_answers_are_scaled_without_overflow(value: float) -> None:
    np.testing.assert_allclose(np.abs(answering(rows(1, value)).embed_one("a")), 0.25, atol=1e-6)


def test_no_texts_give_no_rows_and_do_not_call_the_model() -> None:
    def fail(texts: list[str]) -> object:
        raise AssertionError(texts)

    assert CallableEmbedder(fail, IDENTITY).embed([]).shape == (0, 16)


@pytest.mark.parametrize(
    "answer",
    [None, "text", rows(1), rows(3), [[1.0] * 15] * 2, [1.0] * 16, [[1.0], [2.0, 3.0]], [["x"] * 16] * 2, {}],
)
def test_answer_of_another_shape_makes_the_embedder_unusable(answer: object) -> None:
    with pytest.raises(EmbedderUnavailableError, match=r"fixed@1 \(16-d\) answered"):
        answering(answer).embed(["a", "b"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_answer_that_is_not_finite_names_the_text(value: float) -> None:
    answer = rows(2)
    answer[1][7] = value
    with pytest.raises(EmbedderUnavailableError, match=r"not finite for texts\[1\]"):
        answering(answer).embed(["a", "b"])


def test_zero_vector_is_a_text_error_that_names_text_and_embedder() -> None:
    with pytest.raises(TextError, match=r"texts\[1\] holds nothing that fixed@1 \(16-d\) knows"):
        answering([*rows(1), *rows(1, 0.0)]).embed(["a", "b"])
    with pytest.raises(TextError, match="text holds nothing"):
        answering(rows(1, 0.0)).embed_one("a")


def test_rows_have_the_same_bits_alone_and_in_a_batch() -> None:
    for dim in (16, 100, 256, 384, 1536, 3072):
        identity = EmbedderIdentity(id="random", dim=dim, version="1")
        raw = np.random.default_rng(dim).normal(size=(33, dim)).astype(np.float32)
        batch = unit_vectors(raw, 33, identity)
        alone = np.vstack([unit_vectors(row[None, :], 1, identity) for row in raw])
        assert batch.tobytes() == alone.tobytes()


@pytest.mark.parametrize("text", ["", " \n", "a\ud800", None, 7])
def test_bad_text_is_refused_before_the_model_sees_it(text: str) -> None:
    seen: list[str] = []
    embedder = CallableEmbedder(seen.extend, IDENTITY)
    with pytest.raises(TextError, match=r"^text must"):
        embedder.embed_one(text)
    with pytest.raises(TextError, match=r"^texts\[1\] must"):
        embedder.embed(["fine", text])
    assert seen == []


def test_embedders_satisfy_the_protocol() -> None:
    assert isinstance(HashedEmbedder(), Embedder)
    assert isinstance(answering(None), Embedder)
    assert repr(HashedEmbedder()) == "<HashedEmbedder hashed@1 (384-d)>"
