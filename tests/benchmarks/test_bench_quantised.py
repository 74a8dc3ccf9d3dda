"""What fewer bits cost, on made-up texts: the figures are those of one adapter, and the float one is the engine's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bench_quantised import one_seed
from benchmarks.labelled import load_labelled_texts

LABELS, ROWS, DIM = 6, 60, 384


def test_fewer_bits_take_fewer_bytes_and_lose_more(folder: Callable[..., Path]) -> None:
    rng = np.random.default_rng(5)
    vectors = 0.12 * rng.standard_normal((LABELS * ROWS, DIM))
    labels = np.arange(LABELS * ROWS) % LABELS
    vectors[np.arange(len(labels)), labels] += 1.0
    rows = [
        {"text": f"text {row}", "label": f"label{label}", "split": "train" if row < 5 * LABELS * ROWS // 6 else "test"}
        for row, label in enumerate(labels.tolist())
    ]
    made = folder(data=rows, emb={"embedding": vectors.astype(np.float32)})
    found = one_seed(load_labelled_texts(made), 0)
    assert 0.0 < found["frobenius8"] < 0.02 < found["frobenius4"] < 0.3
    assert 0.0 < found["applied8"] < found["applied4"]
    assert found["bytes8"] == pytest.approx(0.25 + 1 / 64)
    assert found["bytes4"] == pytest.approx(0.125 + 1 / 64)
    assert found["float"] > found["frozen"] - 0.05
    assert abs(found["bits8"] - found["float"]) < 0.05
