from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from swarm.embed import Embedder, WordLlamaEmbedder

_SHOTS = 5


@pytest.fixture(scope="session")
def wordllama() -> WordLlamaEmbedder:
    return WordLlamaEmbedder()


@pytest.fixture(scope="session")
def banking77_folder() -> Path:
    """Customer questions with 77 intents, beside the repository and never part of it."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "banking77"
    if not folder.is_dir():
        pytest.skip("banking77 is not beside the repository (shared/data)")
    return folder


@pytest.fixture(scope="session")
def banking77_rows(banking77_folder: Path) -> list[dict[str, str]]:
    with gzip.open(banking77_folder / "data.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def frozen_success(banking77_rows: list[dict[str, str]]) -> Callable[[Embedder], float]:
    """Share of test texts whose nearest centroid of five training texts has their label."""
    names = sorted({row["label"] for row in banking77_rows})
    labels = np.array([names.index(row["label"]) for row in banking77_rows])
    is_test = np.array([row["split"] == "test" for row in banking77_rows])
    order = np.random.default_rng(0).permutation(np.flatnonzero(~is_test))

    def measure(embedder: Embedder) -> float:
        vectors = embedder.embed([row["text"] for row in banking77_rows])
        centroids = np.stack(
            [vectors[order[labels[order] == label][:_SHOTS]].sum(axis=0) for label in range(len(names))]
        )
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
        return float(((vectors[is_test] @ centroids.T).argmax(axis=1) == labels[is_test]).mean())

    return measure
