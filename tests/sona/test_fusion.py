"""Fused adapters do what the average of the parts does, as well as their rank allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, World, adapted_success, bandit, seeded

from swarm.errors import BoundsError, InputError, ShapeError
from swarm.sona import SonaConfig
from swarm.sona.fusion import fuse_adapters, fusion_weights
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Doubles


def a_pair(seed: int, rank: int = 4, dim: int = DIM, scale: float = 1.0) -> LoraPair:
    rng = np.random.default_rng(seed)
    pair = LoraPair.initial(rank, dim, scale, rng)
    pair.up[:] = rng.standard_normal((rank, dim)) / 8.0
    return pair


def dense(*pairs: LoraPair) -> Doubles:
    """Delta W as the matrix (d, d) that the code never forms."""
    parts = [p.scale * p.up.T.astype(np.float64) @ p.down.astype(np.float64) for p in pairs]
    return np.asarray(np.sum(parts, axis=0))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def truncated(matrix: Doubles, rank: int) -> Doubles:
    left, values, right = np.linalg.svd(matrix)
    return np.asarray((left[:, :rank] * values[:rank]) @ right[:rank])


def test_fusion_is_the_dense_average_truncated_by_a_dense_decomposition() -> None:
    parts = [(2.0, [a_pair(1)]), (1.0, [a_pair(2, rank=3, scale=0.5)]), (5.0, [a_pair(3, rank=2, scale=2.0)])]
    average = np.sum([weight / 8.0 * dense(*pairs) for weight, pairs in parts], axis=0)
    fusion = fuse_adapters(parts, 4, rng())
    expected = truncated(average, 4)
    assert np.abs(dense(*fusion.pairs) - expected).max() < 1e-5
    lost = np.linalg.norm(average - expected) / np.linalg.norm(average)
    assert fusion.lost == pytest.approx(lost, abs=1e-6)
    assert 0.05 < fusion.lost < 0.9


def test_more_ranks_than_dimensions_are_no_obstacle() -> None:
    parts = [(1.0, [a_pair(seed, rank=8)]) for seed in range(5)]
    average = np.mean([dense(*pairs) for _, pairs in parts], axis=0)
    fusion = fuse_adapters(parts, DIM, rng())
    assert np.abs(dense(*fusion.pairs) - average).max() < 1e-5
    assert fusion.lost == 0.0


@PROPERTY
@given(order=st.permutations(range(4)), factor=st.floats(1e-3, 1e3))
def test_neither_the_order_of_the_parts_nor_a_common_factor_of_the_weights_matters(
    order: list[int], factor: float
) -> None:
    parts = [(1.0 + i, [a_pair(i)]) for i in range(4)]
    first = fuse_adapters(parts, 5, rng())
    second = fuse_adapters([(factor * parts[i][0], parts[i][1]) for i in order], 5, rng())
    assert np.abs(dense(*first.pairs) - dense(*second.pairs)).max() < 1e-6
    assert first.lost == pytest.approx(second.lost, abs=1e-9)


def test_a_part_with_more_weight_counts_more() -> None:
    one, other = a_pair(1), a_pair(2)
    fused = fuse_adapters([(3.0, [one]), (1.0, [other])], 8, rng()).pairs
    assert np.abs(dense(*fused) - (0.75 * dense(one) + 0.25 * dense(other))).max() < 1e-6


def test_one_part_alone_stays_what_it_does() -> None:
    pair = a_pair(1, scale=0.7)
    fusion = fuse_adapters([(3.0, [pair])], 4, rng(), scale=0.25)
    assert fusion.pairs[0].scale == 0.25
    assert np.abs(dense(*fusion.pairs) - dense(pair)).max() < 1e-6
    assert fusion.lost < 1e-7


def test_averaging_the_factors_separately_is_wrong() -> None:
    """The same adapter twice, its factors written differently: the average of Delta W is that adapter still."""
    pair = a_pair(1)
    turned = LoraPair(-pair.down[::-1].copy(), -pair.up[::-1].copy(), pair.scale)
    assert np.abs(dense(turned) - dense(pair)).max() < 1e-6
    fused = fuse_adapters([(1.0, [pair]), (1.0, [turned])], 4, rng()).pairs
    assert np.abs(dense(*fused) - dense(pair)).max() < 1e-6
    half = np.float32(0.5)
    naive = LoraPair(half * (pair.down + turned.down), half * (pair.up + turned.up), pair.scale)
    assert np.linalg.norm(dense(naive) - dense(pair)) > 0.5 * np.linalg.norm(dense(pair))


def test_an_untrained_part_counts_as_zero() -> None:
    pair, untrained = a_pair(1), LoraPair.initial(4, DIM, 1.0, rng())
    fused = fuse_adapters([(1.0, [pair]), (3.0, [untrained])], 4, rng()).pairs
    assert np.abs(dense(*fused) - dense(pair) / 4).max() < 1e-6


def test_untrained_parts_alone_give_the_identity_that_can_be_trained() -> None:
    fusion = fuse_adapters([(1.0, [LoraPair.initial(4, DIM, 1.0, rng())])], 6, np.random.default_rng(9))
    assert fusion.pairs[0].is_untrained
    assert fusion.pairs[0].down.any(axis=1).all()
    assert fusion.lost == 0.0


def test_ranks_that_nobody_needs_can_be_trained_still() -> None:
    fused = fuse_adapters([(1.0, [a_pair(1, rank=2)])], 5, np.random.default_rng(9)).pairs[0]
    assert fused.up[:2].any(axis=1).all()
    assert not fused.up[2:].any()
    assert np.linalg.norm(fused.down[2:], axis=1).min() > 0.3


def test_both_factors_carry_the_same_share_of_each_singular_value() -> None:
    fused = fuse_adapters([(1.0, [a_pair(1)])], 4, rng()).pairs[0]
    assert np.linalg.norm(fused.up, axis=1) == pytest.approx(np.linalg.norm(fused.down, axis=1), rel=1e-5)


def test_layers_are_averaged_one_by_one_and_surplus_ones_are_folded() -> None:
    first, second, third = a_pair(1), a_pair(2), a_pair(3)
    both = fuse_adapters([(1.0, [first, second]), (1.0, [third])], 8, rng(), layers=2).pairs
    assert np.abs(dense(both[0]) - (dense(first) + dense(third)) / 2).max() < 1e-6
    assert np.abs(dense(both[1]) - dense(second) / 2).max() < 1e-6
    folded = fuse_adapters([(1.0, [first, second, third])], 12, rng()).pairs
    assert np.abs(dense(*folded) - dense(first, second, third)).max() < 1e-6


def test_the_parts_stay_untouched_and_the_same_seed_gives_the_same_bits() -> None:
    pair = a_pair(1)
    before = pair.copy()
    first = fuse_adapters([(1.0, [pair])], 6, rng()).pairs[0]
    second = fuse_adapters([(1.0, [pair])], 6, rng()).pairs[0]
    assert (pair.up == before.up).all()
    assert (pair.down == before.down).all()
    assert first.up.tobytes() + first.down.tobytes() == second.up.tobytes() + second.down.tobytes()


def test_an_agent_that_starts_with_the_fused_adapter_knows_what_the_others_learned() -> None:
    world, parts = World.make(2), []
    for seed in range(2):
        engine = seeded(world.centres, SonaConfig(dim=32, seed=seed))
        bandit(engine, world, seed, n=600, keep_clusters=True)
        parts.append((1.0, engine.adapter.base))
    queries, labels = world.draw(np.random.default_rng(99), 300)
    new = seeded(world.centres, SonaConfig(dim=32))
    cold = adapted_success(new, queries, labels)
    new.adapter.set_base(fuse_adapters(parts, 8, rng()).pairs)
    assert adapted_success(new, queries, labels) > cold + 0.05


@pytest.mark.parametrize(
    ("parts", "options", "kind", "words"),
    [
        ([], {}, InputError, "parts must hold one of positive weight, got 0"),
        ([(0.0, [a_pair(1)])], {}, InputError, "sum 0"),
        ([(-1.0, [a_pair(1)])], {}, BoundsError, "weight of part 0 must be in"),
        ([(float("nan"), [a_pair(1)])], {}, BoundsError, "weight of part 0"),
        ([(1.0, [a_pair(1)]), (1.0, [a_pair(1, dim=32)])], {}, ShapeError, r"\[16, 32\]"),
        ([(1.0, [a_pair(1)])], {"rank": 0}, BoundsError, "rank"),
        ([(1.0, [a_pair(1)])], {"scale": 0.0}, BoundsError, "scale"),
        ([(1.0, [a_pair(1)])], {"layers": 0}, BoundsError, "layers"),
    ],
)
def test_what_cannot_be_fused_is_refused(
    parts: list[tuple[float, list[LoraPair]]], options: dict[str, float], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        fuse_adapters(parts, int(options.get("rank", 4)), rng(), **{k: v for k, v in options.items() if k != "rank"})  # type: ignore[arg-type]  # what is wrong is the point


def test_an_adapter_that_gained_nothing_counts_nothing() -> None:
    assert fusion_weights([100, 10, 50], [-0.1, 0.5, None]) == [0.0, 5.0, 12.5]
