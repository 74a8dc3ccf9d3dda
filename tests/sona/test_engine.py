from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sona_support import DIM, PROPERTY, near, record, seeded, state, trajectory, unit_vectors

from swarm.errors import CapacityError, UnknownIdError
from swarm.sona import Baseline, LearningSignal, SonaConfig, SonaEngine, Step, VariantScore, load, save, select_by_ucb
from swarm.sona import engine as engine_module
from swarm.sona.ranking import action_probabilities
from swarm.sona.vectors import Vector

FLOATS = st.floats(-1e5, 1e5, width=32)
E0, E1, E2, E3 = np.eye(4, DIM, dtype=np.float32)


def busy(seed: int = 0, n: int = 300, **values: object) -> SonaEngine:
    """An engine with some experience of every kind, in both tiers, and a part of it not consolidated."""
    engine = SonaEngine(SonaConfig(dim=DIM, seed=seed, base_lora_lr=0.01, **values))  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    centres = unit_vectors(rng, 6)
    for i in range(n):
        k = int(rng.integers(6))
        x = near(rng, centres[k], 0.6)
        trajectory_id = engine.begin_trajectory(x)
        engine.add_step(trajectory_id, near(rng, centres[k], 0.3), rng.random(3), float(rng.random()), latency_ms=2.0)
        engine.use_pattern(trajectory_id, str(rng.integers(6)) if i % 5 else "", "do it")
        engine.set_route(trajectory_id, f"model-{k % 2}")
        engine.add_context(trajectory_id, f"task {i}")
        engine.end_trajectory(trajectory_id, float(rng.random()), now_s=float(i))
        if i % 100 == 99 and i + 1 < n:
            engine.force_learn(float(i))
    return engine


def probability(engine: SonaEngine, x: Vector, action: str) -> float:
    """The probability of an action for the adapted query, over the prototypes."""
    candidates = engine.bank.index.candidates()
    pi = action_probabilities(engine.apply_lora(x)[None, :], candidates.prototypes, engine.config.temperature)
    return float(pi[0, candidates.rows[action]])


# The identity


@PROPERTY
@given(st.one_of(hnp.arrays(np.float32, DIM, elements=FLOATS), hnp.arrays(np.float32, (4, DIM), elements=FLOATS)))
def test_an_untrained_engine_is_the_identity_byte_for_byte(x: Vector) -> None:
    engine = SonaEngine(DIM)
    before = x.tobytes()
    for y in (engine.apply_lora(x), engine.apply_micro_lora(x), engine.apply_base_lora(0, x)):
        assert y.tobytes() == before
        assert y.dtype == np.float32
        assert not np.shares_memory(x, y)
    assert not np.asarray(engine.lora_delta(x)).any()
    assert x.tobytes() == before


def test_minus_zero_stays_minus_zero_untrained() -> None:
    x = np.full((3, DIM), -0.0, dtype=np.float32)
    assert SonaEngine(DIM).apply_lora(x).tobytes() == x.tobytes()
    assert SonaEngine(DIM).apply_lora(x[0]).tobytes() == x[0].tobytes()


def test_switched_off_an_engine_gives_the_frozen_answers_back_exactly_and_learns_nothing() -> None:
    rng = np.random.default_rng(1)
    engine = seeded(unit_vectors(rng, 5), SonaConfig(dim=DIM))
    queries = unit_vectors(rng, 20)
    frozen = [engine.rank_actions(x) for x in queries]
    for x in queries:
        record(engine, x, str(rng.integers(5)), float(rng.random() < 0.5))
    assert engine.apply_lora(queries).tobytes() != queries.tobytes()
    engine.set_enabled(False)
    assert engine.tick(1.0) is None
    before = state(engine)
    assert not engine.is_enabled
    assert engine.apply_lora(queries).tobytes() == queries.tobytes()
    assert [engine.rank_actions(x) for x in queries] == frozen
    engine.learn_from_feedback(LearningSignal.positive(1.0))
    assert engine.tick(1e9) is None
    assert engine.force_learn().outcomes == 0
    assert state(engine) == before
    recorded = engine.get_stats().trajectories_recorded
    record(engine, queries[0], "0", 0.0)
    assert engine.get_stats().trajectories_recorded == recorded + 1
    engine.set_enabled(True)
    assert engine.get_stats().instant_updates == 20


def test_what_was_recorded_while_off_is_consolidated_once_on_again() -> None:
    engine = seeded(np.stack([E0, E1]), SonaConfig(dim=DIM))
    engine.set_enabled(False)
    record(engine, E2, "c", 1.0)
    micro = engine.adapter.micro.up.tobytes()
    engine.set_enabled(True)
    engine.flush()
    assert engine.adapter.micro.up.tobytes() == micro
    assert engine.force_learn().outcomes == 1
    assert engine.rank_actions(E2, 1)[0].action == "c"


# Determinism


def test_same_seed_and_stream_give_the_same_bits_and_another_seed_other_ones() -> None:
    assert state(busy(3)) == state(busy(3))
    one, other = busy(3), busy(3)
    x = unit_vectors(np.random.default_rng(0), 5)
    assert one.apply_lora(x).tobytes() == other.apply_lora(x).tobytes()
    assert state(busy(3)) != state(busy(4))


def test_batch_equals_one_by_one_after_training() -> None:
    engine = busy(base_lora_layers=2)
    rows = 3 * unit_vectors(np.random.default_rng(1), 8)
    before = rows.tobytes()
    calls: list[Callable[[Vector], Vector]] = [
        engine.apply_lora,
        engine.apply_micro_lora,
        lambda x: engine.apply_base_lora(1, x),
        engine.lora_delta,
        engine.micro_lora_delta,
        lambda x: engine.base_lora_delta(0, x),
    ]
    for call in calls:
        batch = call(rows)
        for row, y in zip(rows, batch, strict=True):
            np.testing.assert_allclose(call(row), y, rtol=1e-6, atol=1e-6)
    assert rows.tobytes() == before
    assert engine.lora_delta(rows).any()


def test_no_call_touches_or_keeps_the_arrays_it_is_given() -> None:
    rng = np.random.default_rng(2)
    arrays = [*unit_vectors(rng, 3), rng.random(7).astype(np.float32)]
    embedding, activations, gradient, attention = arrays
    before = [array.tobytes() for array in arrays]
    engine, other = SonaEngine(DIM), SonaEngine(DIM)
    for each in (engine, other):
        trajectory_id = each.begin_trajectory(embedding)
        each.add_step(trajectory_id, activations, attention, 0.9)
        each.end_trajectory(trajectory_id, 0.9)
        each.submit_trajectory(trajectory("t", embedding, steps=(Step(reward=0.1, activations=activations),)))
        each.learn_from_feedback(LearningSignal.with_gradient(gradient))
    assert [array.tobytes() for array in arrays] == before
    for array in arrays:
        array[:] = 9.0
    engine.force_learn()
    for array, data in zip(arrays, before, strict=True):
        array[:] = np.frombuffer(data, dtype=np.float32)
    other.force_learn()
    assert state(engine) == state(other)


@pytest.mark.parametrize("length", [1e-3, 30.0, 9e5])
def test_answers_do_not_depend_on_the_length_of_a_query(length: float) -> None:
    engine = busy()
    engine.force_learn()
    for x in unit_vectors(np.random.default_rng(3), 5):
        scaled = np.float32(length) * x
        for find in (engine.find_patterns, engine.query_patterns):
            assert [h.cluster.id for h in find(scaled)] == [h.cluster.id for h in find(x)]
        one, other = engine.rank_actions(x), engine.rank_actions(scaled)
        assert [h.action for h in one] == [h.action for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], rel=1e-3)
        assert engine.predict_variant_scores(scaled) == engine.predict_variant_scores(x)


def test_what_is_learned_does_not_depend_on_the_length_of_a_query() -> None:
    engines = []
    for length in (1.0, 50.0):
        engine = seeded(np.stack([E0, E1, E2]), SonaConfig(dim=DIM))
        for action, quality in (("0", 0.0), ("1", 1.0), ("2", 0.5)):
            trajectory_id = engine.begin_trajectory(np.float32(length) * (E0 + E1) / np.sqrt(np.float32(2)))
            engine.add_step(trajectory_id, E3, None, 0.9)
            engine.use_pattern(trajectory_id, action)
            engine.end_trajectory(trajectory_id, quality)
        engine.force_learn()
        engines.append(engine)
    x = unit_vectors(np.random.default_rng(4), 6)
    np.testing.assert_allclose(engines[0].apply_lora(x), engines[1].apply_lora(x), rtol=1e-3, atol=1e-5)
    for one, other in zip(engines[0].bank.clusters(), engines[1].bank.clusters(), strict=True):
        np.testing.assert_allclose(one.sum_embedding, other.sum_embedding, rtol=1e-4, atol=1e-6)


# One outcome is enough


@pytest.mark.parametrize(("quality", "rises"), [(1.0, True), (0.0, False)])
def test_one_outcome_moves_the_probability_of_what_was_tried(quality: float, rises: bool) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        centres = unit_vectors(rng, 5)
        engine = seeded(centres, SonaConfig(dim=DIM, seed=seed, base_lora_lr=0.0))
        # Between two patterns, so that there is something to decide.
        x = near(rng, centres[0] + centres[1], 0.3)
        before = probability(engine, x, "0")
        record(engine, x, "0", quality)
        assert (probability(engine, x, "0") > before) is rises
        assert probability(engine, x, "0") != before


@pytest.mark.parametrize(("quality", "rises"), [(1.0, True), (0.0, False)])
def test_the_base_tier_moves_the_probability_of_what_was_tried_once_there_are_judges(
    quality: float, rises: bool
) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        centres = unit_vectors(rng, 5)
        engine = seeded(centres, SonaConfig(dim=DIM, seed=seed, micro_lora_lr=0.0, base_lora_lr=0.003))
        parts = engine.bank.parts
        queries = np.array([near(rng, centres[0] + centres[1], 0.3) for _ in range(200)])
        before = np.mean([probability(engine, x, "0") for x in queries])
        for x in queries:
            record(engine, x, "0", quality)
        assert engine.force_learn().promoted
        engine.bank.replace(parts)
        after = np.mean([probability(engine, x, "0") for x in queries])
        assert (after > before) is np.bool_(rises)


def test_one_step_draws_the_query_towards_what_went_well_and_pushes_it_from_what_did_not() -> None:
    for reward, sign in ((0.9, 1.0), (0.1, -1.0)):
        engine = SonaEngine(DIM)
        trajectory_id = engine.begin_trajectory(E0)
        engine.add_step(trajectory_id, E1, None, reward)
        engine.end_trajectory(trajectory_id, reward)
        assert np.sign(engine.apply_lora(E0)[1]) == sign
        assert engine.get_stats().instant_updates == 1


def test_a_later_word_on_a_trajectory_outweighs_the_rewards_its_steps_had() -> None:
    engine = SonaEngine(DIM)
    trajectory_id = engine.begin_trajectory(E0)
    engine.add_step(trajectory_id, E1, None, 0.9)
    engine.end_trajectory(trajectory_id, 0.9)
    praised = engine.apply_lora(E0)[1]
    engine.learn_from_feedback(LearningSignal.from_feedback(False, 5.0, 0.0, trajectory_id))
    assert engine.apply_lora(E0)[1] < praised
    engine.learn_from_feedback(LearningSignal.from_feedback(True, 5.0, 1.0, str(trajectory_id)))
    assert engine.apply_lora(E0)[1] > praised * 0.5


def test_feedback_moves_the_probability_of_the_action_that_was_tried() -> None:
    rng = np.random.default_rng(5)
    centres = unit_vectors(rng, 4)
    x = near(rng, centres[1] + centres[2], 0.3)
    moved = {}
    for name, signal in {"up": LearningSignal.positive(1.0), "down": LearningSignal.negative(1.0)}.items():
        engine = seeded(centres, SonaConfig(dim=DIM))
        record(engine, x, "1", 0.5)
        before = probability(engine, x, "1")
        engine.learn_from_feedback(signal)
        moved[name] = probability(engine, x, "1") - before
    assert moved["up"] > 0 > moved["down"]


def test_a_given_gradient_is_descended_and_its_part_along_the_query_does_not_count() -> None:
    engine = SonaEngine(DIM)
    record(engine, E0, "", 0.5)
    engine.learn_from_feedback(LearningSignal.with_gradient(E1, importance=0.5))
    assert engine.apply_lora(E0)[1] < 0
    before = state(engine)
    y, up = engine.apply_lora(E0), engine.adapter.micro.up.copy()
    engine.learn_from_feedback(LearningSignal.with_gradient(3 * y))
    np.testing.assert_allclose(engine.adapter.micro.up, up, atol=1e-6)
    engine.learn_from_feedback(LearningSignal.with_gradient(np.zeros(DIM, dtype=np.float32)))
    assert len(state(engine)) == len(before)


def test_the_baseline_follows_the_qualities_so_that_the_usual_teaches_less_and_less() -> None:
    moved = []
    engine = SonaEngine(DIM)
    for _ in range(80):
        before = engine.adapter.micro.up.copy()
        trajectory_id = engine.begin_trajectory(E0)
        engine.add_step(trajectory_id, E1, None, 0.8)
        engine.end_trajectory(trajectory_id, 0.8)
        engine.flush()
        moved.append(float(np.abs(engine.adapter.micro.up - before).sum()))
    assert engine.baseline.value == pytest.approx(0.8 - 0.3 * 0.95**80)
    assert moved[-1] < moved[1] / 10


def test_the_micro_tier_is_halved_when_the_base_tier_was_trained_on_the_same_outcomes_and_only_then() -> None:
    promoted = {}
    for base_lora_lr in (0.01, 0.0):
        engine = seeded(np.stack([E0, E1]), SonaConfig(dim=DIM, base_lora_lr=base_lora_lr))
        for k in range(200):
            record(engine, (E0 + np.float32(0.9 + k / 1000) * E1) / np.float32(1.41), "0", 1.0)
        engine.flush()
        before = engine.adapter.micro.up.copy()
        promoted[base_lora_lr] = engine.force_learn().promoted
        expected = before * np.float32(0.5) if promoted[base_lora_lr] else before
        np.testing.assert_array_equal(engine.adapter.micro.up, expected)
    assert promoted == {0.01: True, 0.0: False}


def test_signals_of_trajectories_are_learned_by_id_for_as_long_as_they_are_remembered() -> None:
    engine = SonaEngine(DIM)
    first = engine.begin_trajectory(E0)
    engine.add_step(first, E1, None, 0.9)
    engine.end_trajectory(first, 0.9)
    ended = engine.buffered()[0]
    engine.force_learn()
    engine.learn_from_feedback(LearningSignal.from_trajectory(ended, Baseline()))
    assert engine.get_stats().instant_updates == 2
    for _ in range(engine_module._RECENT + 1):
        record(engine, E2, "", 0.5)
        engine.discard()
    with pytest.raises(UnknownIdError, match="not among the last 1024"):
        engine.learn_from_feedback(LearningSignal.from_trajectory(ended, Baseline()))


def test_the_micro_tier_is_of_full_rank_and_the_base_tier_moves_in_both_factors() -> None:
    engine = busy(n=600)
    assert engine.promotions > 0
    micro = engine.adapter.micro
    assert np.linalg.matrix_rank(micro.up.T @ micro.down) == 2
    fresh = SonaEngine(engine.config)
    for old, new in zip(fresh.adapter.base, engine.adapter.base, strict=True):
        assert (old.up != new.up).mean() > 0.99
        assert (old.down != new.down).mean() > 0.99
        assert np.linalg.matrix_rank(new.up.T @ new.down) == engine.config.base_lora_rank
    assert np.abs(engine.base_lora_delta(0, unit_vectors(np.random.default_rng(0), 3))).max() > 1e-3
    assert (micro.down != fresh.adapter.micro.down).mean() > 0.99


# Patterns and evidence


def test_every_outcome_is_counted_once_over_all_clusters_agents_and_routes() -> None:
    engine = busy(n=250, pattern_clusters=1000)
    report = engine.force_learn()
    assert report.pruned == 0
    clusters = engine.bank.clusters()
    assert sum(c.n for c in clusters) == 250
    assert sum(t.n for c in clusters for t in c.agents.values()) == 250
    assert sum(r.n for c in clusters for r in c.routes.values()) == 250
    assert sum(sum(c.task_types.values()) for c in clusters) == 250
    # Two milliseconds for the one step of each.
    assert sum(r.sum_latency_ms for c in clusters for r in c.routes.values()) == pytest.approx(500.0)
    assert all(e.text.startswith("task ") for c in clusters for e in c.exemplars)


def test_five_true_clusters_stay_five_after_four_background_cycles() -> None:
    rng = np.random.default_rng(6)
    centres = unit_vectors(rng, 5)
    engine = SonaEngine(DIM)
    for cycle in range(4):
        for i in range(40):
            trajectory_id = engine.begin_trajectory(near(rng, centres[i % 5], 0.15))
            engine.end_trajectory(trajectory_id, 0.9, now_s=float(cycle))
        engine.force_learn()
        assert len(engine.bank) == 5
    assert engine.get_stats().patterns == 5
    assert engine.consolidate_patterns() == 0


def test_force_learn_keeps_a_handful_and_nothing_is_thrown_away() -> None:
    engine = SonaEngine(DIM)
    for i, x in enumerate((E0, E1, E2)):
        record(engine, x, str(i), 1.0)
    report = engine.force_learn()
    assert (report.outcomes, report.clusters, len(engine.bank)) == (3, 3, 3)
    assert engine.buffered() == ()
    assert [engine.rank_actions(x, 1)[0].action for x in (E0, E1, E2)] == ["0", "1", "2"]
    assert engine.force_learn().outcomes == 0
    assert len(engine.bank) == 3


def test_failures_are_kept_and_speak_against_their_action() -> None:
    engine = seeded(np.stack([E0, E1]), SonaConfig(dim=DIM, micro_lora_lr=0.0, base_lora_lr=0.0))
    x = (0.74 * E0 + 0.6726 * E1).astype(np.float32)
    before = engine.rank_actions(x)
    assert [h.action for h in before] == ["0", "1"]
    record(engine, x, "0", 0.0)
    engine.force_learn()
    hits = engine.rank_actions(x)
    assert [h.action for h in hits] == ["1", "0"]
    assert hits[1].failures == 1.0
    assert hits[1].score < before[0].score / 2
    assert {h.cluster.positive for h in engine.find_patterns(x, 9)} == {True}


def test_the_type_of_a_task_is_that_of_its_pattern_and_survives_a_snapshot() -> None:
    engine = SonaEngine(SonaConfig(dim=DIM))
    for number in range(3):
        trajectory_id = engine.begin_trajectory(E0)
        engine.use_pattern(trajectory_id, "answer")
        engine.set_task_type(trajectory_id, "CodeGen" if number else "")
        engine.end_trajectory(trajectory_id, 0.9)
    file = io.BytesIO()
    save(engine, file)
    file.seek(0)
    engine = load(file)
    engine.force_learn()
    [hit] = engine.find_patterns(E0)
    assert hit.cluster.task_types == {"General": 1.0, "CodeGen": 2.0}
    assert hit.cluster.task_type == "CodeGen"


def test_routes_are_scored_by_their_outcomes_near_the_query_and_chosen_by_ucb() -> None:
    engine = SonaEngine(SonaConfig(dim=DIM, micro_lora_lr=0.0))
    outcomes = [(E0, "cheap", 1.0)] * 20 + [(E0, "dear", 0.0)] * 20 + [(E1, "cheap", 0.0)] * 20
    for x, route, quality in outcomes:
        trajectory_id = engine.begin_trajectory(x)
        engine.set_route(trajectory_id, route)
        engine.end_trajectory(trajectory_id, quality)
    engine.force_learn()
    here = engine.predict_variant_scores(E0, k=2)
    assert here == [VariantScore(name="cheap", mean=1.0, n=20.0), VariantScore(name="dear", mean=0.0, n=20.0)]
    assert engine.predict_variant_scores(E1, k=1) == [VariantScore(name="cheap", mean=0.0, n=20.0)]
    assert select_by_ucb(["cheap", "dear"], here) == "cheap"


# Loops and bounds


def test_a_full_buffer_refuses_and_the_trajectory_stays_open() -> None:
    engine = SonaEngine(SonaConfig(dim=DIM, trajectory_capacity=100))
    for i in range(100):
        record(engine, E0, str(i % 3), 1.0)
    trajectory_id = engine.begin_trajectory(E1)
    engine.use_pattern(trajectory_id, "late")
    before = state(engine)
    with pytest.raises(CapacityError, match=r"trajectory_capacity is 100 .* tick\(\) or force_learn\(\)"):
        engine.end_trajectory(trajectory_id, 1.0)
    with pytest.raises(CapacityError, match="trajectory_capacity is 100"):
        engine.submit_trajectory(trajectory("t", E1))
    assert state(engine) == before
    assert engine.get_stats().trajectories_open == 1
    assert engine.force_learn().outcomes == 100
    engine.end_trajectory(trajectory_id, 1.0)
    engine.force_learn()
    assert engine.rank_actions(E1, 1)[0].action == "late"


def test_a_full_trajectory_refuses_the_next_step_and_can_be_ended() -> None:
    engine = SonaEngine(SonaConfig(dim=DIM, max_trajectory_steps=2))
    trajectory_id = engine.begin_trajectory(E0)
    engine.record_step(trajectory_id, 7, 0.5, 1500.0)
    engine.add_step(trajectory_id, E1, [0.1, 0.9], 0.25, node="tool", latency_ms=2.5)
    with pytest.raises(CapacityError, match=f"max_trajectory_steps is 2: trajectory {trajectory_id} is full"):
        engine.add_step(trajectory_id, E1, None, 0.5)
    engine.end_trajectory(trajectory_id, 0.5)
    (ended,) = engine.buffered()
    assert [(s.node, s.reward, s.latency_ms) for s in ended.steps] == [("7", 0.5, 1.5), ("tool", 0.25, 2.5)]
    assert ended.latency_ms == 4.0
    assert ended.steps[1].attention is not None
    np.testing.assert_allclose(ended.steps[1].attention, [0.1, 0.9])


@pytest.mark.parametrize("where", ["run_cycle", "regroup"])
def test_a_cycle_that_fails_midway_loses_no_outcome_and_counts_none_twice(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    engine = seeded(np.stack([E0, E1]), SonaConfig(dim=DIM))
    record(engine, E2, "a", 1.0)
    for agent in ("library", "ada"):
        engine.submit_trajectory(trajectory(f"given by {agent}", E3, 1.0, action="b", agent=agent))
    engine.flush()
    before = dict(engine.bank.parts), engine.bank.clusters(), engine.reservoir.ids, engine.standing, engine.get_stats()

    def fail(*_: object) -> None:
        raise MemoryError

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(engine_module, where, fail)
            with pytest.raises(MemoryError):
                engine.force_learn()
        assert len(engine.buffered()) == 3
        after = dict(engine.bank.parts), engine.bank.clusters(), engine.reservoir.ids, engine.standing
        assert (*after, engine.get_stats()) == before
    assert engine.force_learn().outcomes == 1
    assert engine.buffered() == ()
    assert sum(c.n for c in engine.bank.clusters()) == 2 + 3
    assert {agent: sum(c.n for c in part) for agent, part in engine.bank.parts.items()} == {
        "self": 3.0,
        "library": 1.0,
        "ada": 1.0,
    }
    assert engine.force_learn().outcomes == 0
    assert sum(c.n for c in engine.bank.clusters()) == 2 + 3


def test_outcomes_of_others_found_patterns_and_train_nothing() -> None:
    engine = seeded(np.stack([E0, E1]), SonaConfig(dim=DIM, micro_lora_lr=0.0, base_lora_lr=0.01))
    known = len(engine.reservoir)
    for k in range(200):
        engine.submit_trajectory(trajectory(f"g{k}", E0 + np.float32(k / 100) * E1, 1.0, action="0", agent="library"))
    report = engine.force_learn()
    assert (report.outcomes, report.promoted) == (0, False)
    assert len(engine.reservoir) == known
    assert sum(c.n for c in engine.bank.part("library")) == 200
    assert sum(c.n for c in engine.bank.part("self")) == 2


def test_the_outcomes_of_an_agent_that_cannot_be_believed_are_kept_and_not_searched() -> None:
    rng = np.random.default_rng(1)
    centres = unit_vectors(rng, 6)
    engine = SonaEngine(SonaConfig(dim=DIM, base_lora_lr=0.01))
    for k, centre in enumerate(centres):
        engine.submit_trajectory(trajectory(f"g{k}", centre, 1.0, action=str(k), agent="library"))
    engine.force_learn()
    queries = unit_vectors(rng, 20)
    frozen = [[(h.action, h.score) for h in engine.bank.rank(x, 9)] for x in queries]
    base = engine.adapter.base
    for _ in range(3):
        for _ in range(60):
            k, tried = (int(value) for value in rng.integers(6, size=2))
            # The truth turned round.
            record(engine, near(rng, centres[k], 0.5), str(tried), float(tried != k))
        report = engine.force_learn()
    assert report.verdict == "quarantined"
    assert engine.adapter.base is base
    assert engine.bank.silent == {"self"}
    assert sum(c.n for c in engine.bank.part("self")) == 180
    assert [[(h.action, h.score) for h in engine.bank.rank(x, 9)] for x in queries] == frozen


def test_tick_runs_when_the_interval_is_over_or_the_buffer_is_full_enough_and_not_before() -> None:
    config = SonaConfig(dim=DIM, background_interval=60.0, trajectory_capacity=100, learn_at_utilisation=0.1)
    engine = SonaEngine(config)
    assert engine.tick(1000.0) is None
    record(engine, E0, "a", 1.0)
    assert engine.tick(1059.0) is None
    report = engine.tick(1060.0)
    assert report is not None
    assert report.outcomes == 1
    assert engine.tick(1061.0) is None
    for _ in range(9):
        record(engine, E0, "a", 1.0)
    assert engine.tick(1062.0) is None
    record(engine, E0, "a", 1.0)
    report = engine.tick(1063.0)
    assert report is not None
    assert report.outcomes == 10
    assert engine.tick(2000.0) is None


def test_forcing_a_cycle_without_a_time_does_not_move_the_clock_of_tick() -> None:
    engine = SonaEngine(SonaConfig(dim=DIM, background_interval=60.0))
    engine.tick(1_700_000_000.0)
    record(engine, E0, "a", 1.0)
    engine.force_learn()
    record(engine, E0, "a", 1.0)
    assert engine.tick(1_700_000_030.0) is None
    assert engine.tick(1_700_000_060.0) is not None


def test_statistics_count_what_happened_and_print_as_json() -> None:
    engine = busy(n=150)
    engine.begin_trajectory(E0)
    engine.flush()
    stats = engine.get_stats()
    assert json.loads(str(stats)) == {
        "trajectories_recorded": 150,
        "trajectories_buffered": 50,
        "trajectories_open": 1,
        "trajectory_utilisation": 0.005,
        "patterns": len(engine.bank),
        "instant_updates": 150,
        "background_cycles": 1,
        "promotions": engine.promotions,
        "ewc_tasks": engine.ewc.tasks,
        "baseline": engine.baseline.value,
        "enabled": True,
    }


def test_a_gradient_step_after_loading_equals_one_without_having_saved() -> None:
    engine = busy(n=120)
    file = io.BytesIO()
    save(engine, file)
    file.seek(0)
    other = load(file)
    for each in (engine, other):
        record(each, E3, "1", 1.0)
        each.force_learn()
    assert state(engine) == state(other)
