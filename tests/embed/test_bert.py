from __future__ import annotations

import math

import numpy as np
import pytest

from swarm.embed.bert import BertEncoder, gelu
from swarm.sona.vectors import Vector

D, WIDE, HEADS, LAYERS, VOCABULARY, POSITIONS = 8, 12, 2, 2, 30, 10
Rows = list[list[float]]


def random_weights(seed: int) -> dict[str, Vector]:
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, D),
        "embeddings.position_embeddings.weight": (POSITIONS, D),
        "embeddings.token_type_embeddings.weight": (2, D),
        "embeddings.LayerNorm.weight": (D,),
        "embeddings.LayerNorm.bias": (D,),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        linear = {
            "attention.self.query": (D, D),
            "attention.self.key": (D, D),
            "attention.self.value": (D, D),
            "attention.output.dense": (D, D),
            "intermediate.dense": (WIDE, D),
            "output.dense": (D, WIDE),
        }
        for part, shape in linear.items():
            shapes[f"{name}{part}.weight"] = shape
            shapes[f"{name}{part}.bias"] = shape[:1]
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{name}{part}.weight"] = shapes[f"{name}{part}.bias"] = (D,)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def slow_encode(weights: dict[str, Vector], ids: list[int]) -> list[float]:
    """The same with loops over numbers."""
    w = {name: value.tolist() for name, value in weights.items()}

    def norm(row: list[float], name: str) -> list[float]:
        mean = sum(row) / len(row)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in row) / len(row) + 1e-12)
        return [
            (value - mean) / deviation * gain + bias
            for value, gain, bias in zip(row, w[name + ".weight"], w[name + ".bias"], strict=True)
        ]

    def linear(row: list[float], name: str) -> list[float]:
        return [
            sum(a * b for a, b in zip(row, weight, strict=True)) + bias
            for weight, bias in zip(w[name + ".weight"], w[name + ".bias"], strict=True)
        ]

    def attend(x: Rows, name: str) -> Rows:
        query, key, value = ([linear(row, name + part) for row in x] for part in ("query", "key", "value"))
        out: Rows = [[] for _ in x]
        for first in range(0, D, D // HEADS):
            head = slice(first, first + D // HEADS)
            for row, q in enumerate(query):
                scores = [
                    math.exp(sum(a * b for a, b in zip(q[head], k[head], strict=True)) / math.sqrt(D // HEADS))
                    for k in key
                ]
                out[row] += [
                    sum(s * v[column] for s, v in zip(scores, value, strict=True)) / sum(scores)
                    for column in range(head.start, head.stop)
                ]
        return out

    def added(a: list[float], b: list[float]) -> list[float]:
        return [p + q for p, q in zip(a, b, strict=True)]

    embeddings = [w[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    x = [
        norm(added(added(embeddings[0][token], embeddings[1][place]), embeddings[2][0]), "embeddings.LayerNorm")
        for place, token in enumerate(ids)
    ]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        attended = [linear(row, name + "attention.output.dense") for row in attend(x, name + "attention.self.")]
        x = [norm(added(a, b), name + "attention.output.LayerNorm") for a, b in zip(x, attended, strict=True)]
        wide = [
            [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in linear(row, name + "intermediate.dense")] for row in x
        ]
        x = [
            norm(added(a, linear(b, name + "output.dense")), name + "output.LayerNorm")
            for a, b in zip(x, wide, strict=True)
        ]
    return [sum(column) / len(ids) for column in zip(*x, strict=True)]


@pytest.mark.parametrize("ids", [[3], [1, 2, 3, 4, 5], [7, 7, 7], list(range(10))])
def test_encoder_equals_a_slow_reference(ids: list[int]) -> None:
    weights = random_weights(seed=len(ids))
    encoder = BertEncoder(weights, layers=LAYERS, heads=HEADS)
    np.testing.assert_allclose(encoder.encode(ids), slow_encode(weights, ids), rtol=1e-4, atol=1e-4)


def test_encoding_leaves_the_weights_alone_and_repeats_itself() -> None:
    weights = random_weights(seed=0)
    before = {name: value.copy() for name, value in weights.items()}
    encoder = BertEncoder(weights, layers=LAYERS, heads=HEADS)
    assert encoder.encode([1, 2, 3]).tobytes() == encoder.encode([1, 2, 3]).tobytes()
    for name, value in weights.items():
        np.testing.assert_array_equal(value, before[name])


def test_gelu_is_right_everywhere() -> None:
    x = np.linspace(-12.0, 12.0, 4001, dtype=np.float32)
    exact = [0.5 * value * (1.0 + math.erf(value / math.sqrt(2.0))) for value in x.tolist()]
    np.testing.assert_allclose(gelu(x), exact, atol=3e-6)
