from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, cluster, unit_vectors

from swarm.errors import BoundsError
from swarm.sona import PatternIndex, SonaConfig, Tally
from swarm.sona.adapter import Adapter, delta_of
from swarm.sona.experts import Experts
from swarm.sona.instant import outcome_step
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Doubles, Vector

TAU = 0.1
CONFIG = SonaConfig(dim=DIM, temperature=TAU, micro_lora_lr=1e-3)
AGENTS = ("ada", "bob", "cyd")
LAYERS = {"ada": ((2, 0.5), (3, 2.0)), "bob": ((1, 1.0),), "cyd": ((4, 1.5), (1, 0.3), (2, 1.0))}
"""(rank, scale) of the layers of each agent's base tier."""


def pair_of(rng: np.random.Generator, rank: int, scale: float, size: float = 0.2) -> LoraPair:
    down, up = (size * rng.standard_normal((2, rank, DIM))).astype(np.float32)
    return LoraPair(down, up, scale)


def untrained(rng: np.random.Generator, rank: int = 2) -> LoraPair:
    return LoraPair.initial(rank, DIM, 1.0, rng)


def bases_of(seed: int = 0, agents: Sequence[str] = AGENTS) -> dict[str, list[LoraPair]]:
    rng = np.random.default_rng([seed, 1])
    every = {name: [pair_of(rng, rank, scale) for rank, scale in LAYERS[name]] for name in AGENTS}
    return {name: every[name] for name in agents}


def adapter_of(seed: int = 0, *, base: bool = True, micro: bool = True) -> Adapter:
    """An adapter with two layers of its own, each tier trained or the identity."""
    rng = np.random.default_rng([seed, 2])
    layers = [pair_of(rng, 3, 0.7), pair_of(rng, 2, 1.3)] if base else [untrained(rng), untrained(rng)]
    return Adapter(pair_of(rng, 2, 1.0) if micro else untrained(rng), layers)


def successes(seed: int = 0, actions: int = 5) -> dict[str, tuple[Vector, dict[str, float]]]:
    """Where each action works, and how often it did for whom."""
    rng = np.random.default_rng([seed, 3])
    return {
        f"a{i}": (row, {name: float(rng.integers(0, 6)) for name in (*AGENTS, "dan")})
        for i, row in enumerate(unit_vectors(rng, actions))
    }


def index_of(known: Mapping[str, tuple[Vector, Mapping[str, float]]]) -> PatternIndex:
    """A cluster for each agent and action, and one of each action that a library gave."""
    index = PatternIndex(CONFIG)
    for action, (row, counts) in known.items():
        for name, n in {**counts, "library": 1.0}.items():
            if n:
                tally = {name: Tally(n=n, sum_quality=n)}
                index.put(cluster(f"{action} {name}", row, action=action, n=n, agents=tally))
    return index


def slow_gains(
    known: Mapping[str, tuple[Vector, Mapping[str, float]]], x: Vector, names: Sequence[str]
) -> dict[str, float]:
    """sum_a pi_a share_ka of each of `names`, made to sum to 1."""
    masses = {action: math.exp(float(x @ row) / TAU) for action, (row, _) in known.items()}
    everything = math.exp(0.2 / TAU) + sum(masses.values())
    found = dict.fromkeys(names, 0.0)
    for action, (_, counts) in known.items():
        total = sum(counts.values())
        for name in names:
            found[name] += masses[action] / everything * (counts.get(name, 0.0) / total if total else 0.0)
    return {name: value / sum(found.values()) for name, value in found.items()}


def slow_delta(pairs: Sequence[LoraPair], x: Vector) -> Doubles:
    """sum_layers s B A x in float64."""
    exact = x.astype(np.float64)
    total = np.zeros(DIM)
    for pair in pairs:
        total += pair.scale * pair.up.T.astype(np.float64) @ (pair.down.astype(np.float64) @ exact)
    return total


def present(delta: Vector | None) -> Vector:
    assert delta is not None
    return delta


# Alone


@PROPERTY
@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_alone_a_query_is_bent_byte_for_byte_as_by_the_adapter(seed: int, base: bool, micro: bool) -> None:
    index = index_of(successes(seed))
    adapter = adapter_of(seed, base=base, micro=micro)
    rng = np.random.default_rng(seed)
    still = {"bob": [untrained(rng)], "cyd": [untrained(rng), untrained(rng, 3)]}
    rows = unit_vectors(rng, 4)
    # Nobody; nobody else; nobody whose tier is trained.
    mine = bases_of(seed, ["ada"])
    swarms: list[dict[str, list[LoraPair]]] = [{}, mine, still, {**still, **mine}, {"bob": []}]
    for bases in swarms:
        experts = Experts(bases)
        for x in (rows, rows[0]):
            assert experts.apply(x, adapter, "ada", index).tobytes() == adapter.apply(x).tobytes()
            assert experts.delta(x, adapter, "ada", index) is None


def test_experts_whose_tiers_are_untrained_are_left_out_and_so_are_single_layers() -> None:
    rng = np.random.default_rng(4)
    bases = bases_of()
    assert Experts({"zoe": bases["ada"], "bob": [untrained(rng)], "ada": bases["bob"]}).names == ("ada", "zoe")
    index, adapter, x = index_of(successes()), adapter_of(), unit_vectors(rng, 3)
    gapped = {"bob": [untrained(rng), *bases["bob"], untrained(rng)], "cyd": bases["cyd"]}
    whole = Experts({"bob": bases["bob"], "cyd": bases["cyd"]})
    assert Experts(gapped).apply(x, adapter, "ada", index).tobytes() == whole.apply(x, adapter, "ada", index).tobytes()


def test_without_any_trained_tier_queries_come_back_byte_for_byte_in_a_new_array() -> None:
    index, adapter = index_of(successes()), adapter_of(base=False, micro=False)
    rows = unit_vectors(np.random.default_rng(5), 3)
    for x in (rows, rows[0]):
        y = Experts({}).apply(x, adapter, "ada", index)
        assert y.tobytes() == x.tobytes()
        assert not np.shares_memory(x, y)


# Mixed


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from(["ada", "dan", "stranger"]), st.booleans())
def test_what_is_added_equals_the_sum_of_what_each_expert_adds_by_its_gain(seed: int, agent: str, base: bool) -> None:
    known, bases, adapter = successes(seed), bases_of(seed), adapter_of(seed, base=base)
    index, experts = index_of(known), Experts(bases)
    others = [name for name in AGENTS if name != agent]
    x = unit_vectors(np.random.default_rng(seed), 6)
    found = present(experts.delta(x, adapter, agent, index))
    assert found.dtype == np.float32
    for row, query in zip(found, x, strict=True):
        gains = slow_gains(known, query, [*others, agent])
        # The asker's part is bent by its tier as it is now, whatever it has published.
        expected = gains[agent] * slow_delta(adapter.trained_base, query)
        for name in others:
            expected += gains[name] * slow_delta(bases[name], query)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(present(experts.delta(query, adapter, agent, index)), row, rtol=1e-5, atol=1e-7)


def test_one_query_between_two_experts_worked_by_hand() -> None:
    # pi of a query at the prototype of a, orthogonal to that of b: e^10, 1 and e^2 for "none of these". Of a, bob has
    # 3 of 4 successes and ada 1; of b cyd has all.
    e = np.eye(DIM, dtype=np.float32)
    known = {"a": (e[0], {"bob": 3.0, "ada": 1.0}), "b": (e[1], {"cyd": 2.0})}
    bases = {"bob": [LoraPair(e[:1].copy(), e[2:3].copy(), 0.5)], "cyd": [LoraPair(e[:1].copy(), e[3:4].copy(), 4.0)]}
    adapter = Adapter(untrained(np.random.default_rng(0)), [LoraPair(e[:1].copy(), e[4:5].copy(), 1.0)])
    total = math.exp(10.0) + 1.0
    expected = np.zeros(DIM)
    expected[2:5] = 0.5 * 0.75 * math.exp(10.0) / total, 4.0 * 1.0 / total, 0.25 * math.exp(10.0) / total
    found = present(Experts(bases).delta(e[0], adapter, "ada", index_of(known)))
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-9)


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from([*AGENTS, "dan", "stranger"]))
def test_gains_sum_to_one_so_that_experts_who_agree_bend_as_one_of_them(seed: int, agent: str) -> None:
    index, base = index_of(successes(seed)), bases_of(seed)["ada"]
    adapter = Adapter(untrained(np.random.default_rng(seed)), base)
    x = unit_vectors(np.random.default_rng(seed), 8)
    found = present(Experts(dict.fromkeys(AGENTS, base)).delta(x, adapter, agent, index))
    np.testing.assert_allclose(found, present(delta_of(base, x)), rtol=1e-4, atol=1e-6)


@PROPERTY
@given(st.integers(0, 10_000))
def test_the_own_published_tier_gives_way_to_the_one_that_the_agent_has_now(seed: int) -> None:
    known, published = successes(seed), bases_of(seed)
    index, adapter = index_of(known), adapter_of(seed)
    x = unit_vectors(np.random.default_rng(seed), 5)
    mine = Experts(published).apply(x, adapter, "ada", index)
    without = Experts({name: published[name] for name in ("bob", "cyd")}).apply(x, adapter, "ada", index)
    np.testing.assert_allclose(mine, without, rtol=1e-5, atol=1e-6)
    # For somebody else it is that which was published.
    theirs = Experts(published).apply(x, adapter, "bob", index)
    changed = {**published, "ada": bases_of(seed + 1)["ada"]}
    if all(counts["ada"] for _, counts in known.values()):
        assert not np.allclose(theirs, Experts(changed).apply(x, adapter, "bob", index), atol=1e-4)
    np.testing.assert_allclose(mine, Experts(changed).apply(x, adapter, "ada", index), rtol=1e-5, atol=1e-6)


@PROPERTY
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.floats(0.1, 10.0))
def test_a_query_is_bent_by_the_mixture_and_the_whole_micro_tier_and_keeps_its_length(
    seed: int, base: bool, micro: bool, length: float
) -> None:
    known, bases, adapter = successes(seed), bases_of(seed), adapter_of(seed, base=base, micro=micro)
    index, experts = index_of(known), Experts(bases)
    x = unit_vectors(np.random.default_rng(seed), 6) * np.float32(length)
    before = x.tobytes()
    y = experts.apply(x, adapter, "ada", index)
    added = present(experts.delta(x, adapter, "ada", index)).astype(np.float64)
    for row, query, more in zip(y, x, added, strict=True):
        z = query + more + slow_delta(adapter.trained_micro, query)
        expected = z * np.linalg.norm(query.astype(np.float64)) / np.linalg.norm(z)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5 * length)
        one = experts.apply(query, adapter, "ada", index)
        assert one.shape == (DIM,)
        np.testing.assert_allclose(one, row, rtol=1e-5, atol=1e-5 * length)
        assert float(np.linalg.norm(row)) == pytest.approx(float(np.linalg.norm(query)), rel=1e-5)
    assert y.dtype == np.float32
    assert x.tobytes() == before


def test_the_order_in_which_experts_are_given_changes_no_bit() -> None:
    index, adapter, bases = index_of(successes()), adapter_of(), bases_of()
    x = unit_vectors(np.random.default_rng(7), 4)
    turned = {name: bases[name] for name in reversed(AGENTS)}
    one, other = (Experts(b).apply(x, adapter, "ada", index) for b in (bases, turned))
    assert one.tobytes() == other.tobytes()


def test_experts_are_as_they_were_when_they_were_stacked() -> None:
    # The pairs of an agent in this process go on to be trained.
    index, adapter, bases = index_of(successes()), adapter_of(), bases_of()
    x = unit_vectors(np.random.default_rng(8), 4)
    experts = Experts(bases)
    before = experts.apply(x, adapter, "ada", index)
    for pair in bases["bob"]:
        pair.up[:] = 0.0
        pair.down[:] = 0.0
    assert experts.apply(x, adapter, "ada", index).tobytes() == before.tobytes()


# Where nobody knows anything


def lopsided() -> tuple[PatternIndex, Vector, Vector]:
    """An index in which others know one action, and a query at it and one far from all there is."""
    e = np.eye(DIM, dtype=np.float32)
    index = index_of({"a": (e[0], {"bob": 3.0, "cyd": 1.0}), "given": (e[1], {})})
    return index, e[0], np.asarray(-(e[0] + e[1]) / np.float32(math.sqrt(2.0)), dtype=np.float32)


@pytest.mark.parametrize("base", [True, False])
def test_where_nobody_knows_what_is_asked_the_own_base_tier_counts_whole(base: bool) -> None:
    adapter, bases = adapter_of(base=base), bases_of()
    x = unit_vectors(np.random.default_rng(9), 5)
    e = np.eye(DIM, dtype=np.float32)
    nothing, given_only = PatternIndex(CONFIG), index_of({"a": (e[0], {}), "b": (e[1], {})})
    for index in (nothing, given_only):
        for query in (x, x[0]):
            found = Experts(bases).apply(query, adapter, "ada", index)
            np.testing.assert_allclose(found, adapter.apply(query), rtol=1e-5, atol=1e-6)
    index, _, far = lopsided()
    cold = PatternIndex(SonaConfig(dim=DIM, temperature=0.05))
    cold.replace_all(index.clusters())
    np.testing.assert_allclose(
        Experts(bases).apply(far, adapter, "ada", cold), adapter.apply(far), rtol=1e-5, atol=1e-6
    )


def test_untrained_and_where_nobody_knows_what_is_asked_a_query_stays_byte_for_byte() -> None:
    adapter = adapter_of(base=False, micro=False)
    x = unit_vectors(np.random.default_rng(10), 5)
    for query in (x, x[0]):
        found = Experts(bases_of()).apply(query, adapter, "ada", PatternIndex(CONFIG))
        assert found.tobytes() == query.tobytes()
        assert not np.shares_memory(found, query)


def test_in_a_batch_each_query_is_mixed_by_what_is_known_of_it() -> None:
    index, at, _ = lopsided()
    # Orthogonal to what others know: all of what is known of it is still theirs, and so is the bend.
    e = np.eye(DIM, dtype=np.float32)
    cold = PatternIndex(SonaConfig(dim=DIM, temperature=0.02))
    cold.replace_all(index.clusters())
    x = np.array([at, -at, e[5]])
    bases, adapter = bases_of(), adapter_of()
    found = present(Experts(bases).delta(x, adapter, "ada", cold))
    theirs = 0.75 * slow_delta(bases["bob"], x[0]) + 0.25 * slow_delta(bases["cyd"], x[0])
    np.testing.assert_allclose(found[0], theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], slow_delta(adapter.trained_base, x[1]), rtol=1e-4, atol=1e-6)
    theirs = 0.75 * slow_delta(bases["bob"], x[2]) + 0.25 * slow_delta(bases["cyd"], x[2])
    np.testing.assert_allclose(found[2], theirs, rtol=1e-4, atol=1e-6)


# Diverged


@pytest.mark.parametrize("tier", ["expert", "own", "micro"])
def test_weights_that_diverged_are_an_error_and_no_answer(tier: str) -> None:
    index, adapter, bases = index_of(successes()), adapter_of(), bases_of()
    pair = {"expert": bases["bob"][0], "own": adapter.base[0], "micro": adapter.micro}[tier]
    pair.up[:] = np.inf
    experts = Experts(bases)
    rows = unit_vectors(np.random.default_rng(11), 3)
    for x in (rows, rows[0]):
        with np.errstate(all="ignore"), pytest.raises(BoundsError, match="diverged"):
            experts.apply(x, adapter, "ada", index)


# The instant step


def slow_loss(z: Doubles, quality: float, prototypes: Doubles, tried: int) -> float:
    """-q log pi_a - (1 - q) log(1 - pi_a) at z / |z|, in float64."""
    masses = np.exp(prototypes @ (z / np.linalg.norm(z)) / TAU)
    total = float(masses.sum()) + math.exp(0.2 / TAU)
    p = float(masses[tried]) / total
    return -quality * math.log(p) - (1.0 - quality) * math.log(1.0 - p)


def slopes(
    up: Doubles, down: Doubles, start: Doubles, x: Doubles, quality: float, prototypes: Doubles, tried: int
) -> tuple[Doubles, Doubles]:
    """Central differences of the loss in both factors of a micro tier that adds B A x to `start`."""
    result = []
    for factor in (up, down):
        found = np.zeros_like(factor)
        for at in np.ndindex(factor.shape):
            value, losses = factor[at], []
            for shifted in (value + 1e-5, value - 1e-5):
                factor[at] = shifted
                losses.append(slow_loss(start + up.T @ (down @ x), quality, prototypes, tried))
            factor[at] = value
            found[at] = (losses[0] - losses[1]) / 2e-5
        result.append(found)
    return result[0], result[1]


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.4, 1.0]), st.sampled_from([True, False]))
def test_a_step_goes_down_the_slope_of_the_loss_at_the_query_that_is_ranked(
    seed: int, quality: float, base: bool
) -> None:
    known, adapter = successes(seed), adapter_of(seed, base=base)
    index, experts = index_of(known), Experts(bases_of(seed))
    x = unit_vectors(np.random.default_rng(seed), 1)[0]
    tried = seed % len(known)
    delta = present(experts.delta(x, adapter, "ada", index))
    ranked = experts.apply(x, adapter, "ada", index)
    up, down = adapter.micro.up.astype(np.float64), adapter.micro.down.astype(np.float64)
    start = x.astype(np.float64) + delta.astype(np.float64)
    prototypes = np.array([row for row, _ in known.values()], dtype=np.float64)
    # The loss is taken where the query is ranked.
    z = start + up.T @ (down @ x.astype(np.float64))
    np.testing.assert_allclose(ranked, z / np.linalg.norm(z), rtol=1e-4, atol=1e-5)
    slope_up, slope_down = slopes(up, down, start, x.astype(np.float64), quality, prototypes, tried)
    norm = math.sqrt(float((slope_up**2).sum() + (slope_down**2).sum()))
    own = [array.tobytes() for pair in adapter.base for array in (pair.up, pair.down)]
    assert outcome_step(adapter, index, x, f"a{tried}", quality, CONFIG, delta)
    rate = CONFIG.micro_lora_lr * min(1.0, 1.0 / norm)
    moved = adapter.micro.up - up, adapter.micro.down - down
    for found, slope in zip(moved, (slope_up, slope_down), strict=True):
        np.testing.assert_allclose(found / rate, -slope, rtol=1e-2, atol=5e-3 * max(norm, 0.1))
    assert [array.tobytes() for pair in adapter.base for array in (pair.up, pair.down)] == own


def test_without_a_mixture_a_step_is_taken_at_the_query_that_the_own_tiers_bend() -> None:
    index, x = index_of(successes()), unit_vectors(np.random.default_rng(12), 1)[0]
    default, given_own, given_others = adapter_of(), adapter_of(), adapter_of()
    own = present(delta_of(default.trained_base, x))
    assert outcome_step(default, index, x, "a1", 1.0, CONFIG)
    assert outcome_step(given_own, index, x, "a1", 1.0, CONFIG, own)
    assert outcome_step(given_others, index, x, "a1", 1.0, CONFIG, -own)
    np.testing.assert_allclose(given_own.micro.up, default.micro.up, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(given_own.micro.down, default.micro.down, rtol=1e-4, atol=1e-7)
    assert not np.allclose(given_others.micro.up, default.micro.up, rtol=1e-4, atol=1e-6)


def test_a_step_for_what_never_worked_changes_nothing_with_a_mixture_either() -> None:
    index, adapter, x = index_of(successes()), adapter_of(), unit_vectors(np.random.default_rng(13), 1)[0]
    delta = Experts(bases_of()).delta(x, adapter, "ada", index)
    before = adapter.micro.up.tobytes(), adapter.micro.down.tobytes()
    assert not outcome_step(adapter, index, x, "never tried", 1.0, CONFIG, delta)
    assert (adapter.micro.up.tobytes(), adapter.micro.down.tobytes()) == before


def test_steps_by_the_mixture_make_what_worked_likelier_where_it_is_ranked() -> None:
    index, adapter, experts = index_of(successes()), adapter_of(), Experts(bases_of())
    config = CONFIG.updated(micro_lora_lr=0.02)
    x = unit_vectors(np.random.default_rng(14), 1)[0]
    prototypes = np.array([row for row, _ in successes().values()], dtype=np.float64)

    def loss() -> float:
        return slow_loss(experts.apply(x, adapter, "ada", index).astype(np.float64), 1.0, prototypes, 2)

    losses = [loss()]
    for _ in range(5):
        outcome_step(adapter, index, x, "a2", 1.0, config, experts.delta(x, adapter, "ada", index))
        losses.append(loss())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
