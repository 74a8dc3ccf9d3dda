"""Every way into an engine, with everything that cannot be used: the right error, and nothing changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, near, record, seeded, state, trajectory, unit_vectors

from swarm.errors import BoundsError, CapacityError, InputError, ShapeError, SwarmError, TextError, UnknownIdError
from swarm.sona import LearningSignal, SonaConfig, SonaEngine, Step
from swarm.sona.vectors import Vector

X = unit_vectors(np.random.default_rng(0), 1)[0]

BAD_VECTORS: dict[str, tuple[object, type[InputError], str]] = {
    "nan": ([math.nan] * DIM, BoundsError, "must be finite, got nan at index 0"),
    "one nan": ([0.0] * 3 + [math.nan] + [0.0] * (DIM - 4), BoundsError, "must be finite, got nan at index 3"),
    "infinity": ([1.0] * (DIM - 1) + [-math.inf], BoundsError, f"must be finite, got -inf at index {DIM - 1}"),
    "float32 nan": (np.full(DIM, np.nan, dtype=np.float32), BoundsError, "must be finite, got nan"),
    "1e30": (np.full(DIM, 1e30, dtype=np.float32), BoundsError, "must not be longer than 1e6, got length 4e"),
    "1e300": ([1e300] * DIM, BoundsError, "must be finite, got inf"),
    "too long": ([1e6] * DIM, BoundsError, r"must not be longer than 1e6, got length 4e\+06"),
    "huge integers": ([10**400] * DIM, ShapeError, "must be"),
    "short": ([1.0] * (DIM - 1), ShapeError, rf"must have shape .*{DIM}.*, got \({DIM - 1},\)"),
    "long": (np.ones(DIM + 1, dtype=np.float32), ShapeError, rf"must have shape .*{DIM}.*, got \({DIM + 1},\)"),
    "three axes": (np.zeros((1, 1, DIM)), ShapeError, "must have shape"),
    "a number": (3.0, ShapeError, r"must have shape .*, got \(\)"),
    "nothing": ([], ShapeError, r"must have shape .*, got \(0,\)"),
    "ragged": ([[1.0] * DIM, [1.0]], ShapeError, "must be .*, got list of uneven rows"),
    "text": ("abc", ShapeError, "must be .*, got str"),
    "texts": (["1.0"] * DIM, ShapeError, "must be .*, got list"),
    "bytes": (b"\x00" * DIM, ShapeError, "must be .*, got bytes"),
    "truth": ([True] * DIM, ShapeError, "must be .*, got list of bool"),
    "complex": (np.ones(DIM, dtype=np.complex64), ShapeError, "must be .*, got ndarray of complex64"),
    "dates": (np.zeros(DIM, dtype="datetime64[s]"), ShapeError, "must be .*, got ndarray of datetime64"),
    "None": (None, ShapeError, "must be"),
    "Nones": ([None] * DIM, ShapeError, "must be"),
    "a map": ({"x": 1.0}, ShapeError, "must be"),
    "a set": ({1.0, 2.0}, ShapeError, "must be"),
    "an object": (object(), ShapeError, "must be"),
}
ZERO: dict[str, object] = {
    "zero": np.zeros(DIM, dtype=np.float32),
    "minus zero": [-0.0] * DIM,
    "all but zero": np.full(DIM, 1e-30, dtype=np.float32),
    "too short": [1e-7] + [0.0] * (DIM - 1),
}
BAD_UNIT_NUMBERS = [7.5, -0.1, math.nan, math.inf, True, np.True_, "x", "0.5", None, 10**400, 1j, [], np.float32(2)]
BAD_TIMES = [-1.0, math.nan, math.inf, "now", 1e30, True]
BAD_IDS = [0, -1, 999, 2**70, "1", None, 1.5, [], {}, "x" * 1000]
BAD_TEXTS = [5, None, b"x", ["a"], "\ud800", "a" * 10_000_000]


@pytest.fixture
def engine() -> SonaEngine:
    """An engine with patterns, weights in both tiers, something buffered and one trajectory open (id 50)."""
    rng = np.random.default_rng(1)
    centres = unit_vectors(rng, 4)
    engine = seeded(centres, SonaConfig(dim=DIM, max_trajectory_steps=3))
    for i in range(45):
        record(engine, near(rng, centres[i % 4], 0.8), str(rng.integers(4)), float(rng.random() < 0.5))
        if i == 40:
            engine.force_learn()
    assert engine.begin_trajectory(X) == 50
    engine.flush()
    return engine


def refused(engine: SonaEngine, call: Callable[[], object], error: type[SwarmError], message: str) -> None:
    """Assert that `call` raises `error` with `message`, and that the engine is as it was."""
    before = state(engine)
    # Products of huge numbers may warn; what counts is the error.
    with np.errstate(over="ignore"), pytest.raises(error, match=message):
        call()
    assert state(engine) == before
    # The trajectory that was open is open still, with no step added.
    engine.end_trajectory(50, 0.5)
    assert engine.buffered()[-1].steps == ()
    assert engine.buffered()[-1].action == ""


@pytest.mark.parametrize("name", BAD_VECTORS)
@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        ("apply_lora", "x"),
        ("apply_micro_lora", "x"),
        ("lora_delta", "x"),
        ("micro_lora_delta", "x"),
        ("find_patterns", "x"),
        ("query_patterns", "x"),
        ("rank_actions", "x"),
        ("predict_variant_scores", "x"),
        ("begin_trajectory", "embedding"),
    ],
)
def test_a_vector_that_cannot_be_used_is_refused(engine: SonaEngine, method: str, parameter: str, name: str) -> None:
    value, error, message = BAD_VECTORS[name]
    refused(engine, lambda: getattr(engine, method)(value), error, f"^{parameter} {message}")


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_a_vector_that_cannot_be_used_is_refused_by_layers_steps_and_signals(engine: SonaEngine, name: str) -> None:
    value, error, message = BAD_VECTORS[name]
    refused(engine, lambda: engine.apply_base_lora(0, value), error, f"^x {message}")
    if value is not None:
        fresh = SonaEngine(DIM)
        opened = fresh.begin_trajectory(X)
        before = state(fresh)
        with np.errstate(over="ignore"), pytest.raises(error, match=f"^activations {message}"):
            fresh.add_step(opened, value, None, 0.5)
        assert state(fresh) == before
    with pytest.raises(InputError, match="gradient must"):
        engine.learn_from_feedback(LearningSignal.with_gradient(value))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ZERO)
@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        ("find_patterns", "x"),
        ("rank_actions", "x"),
        ("predict_variant_scores", "x"),
        ("begin_trajectory", "embedding"),
    ],
)
def test_a_query_without_a_direction_is_refused(engine: SonaEngine, method: str, parameter: str, name: str) -> None:
    message = f"^{parameter} must be at least 1e-6 long, got length"
    refused(engine, lambda: getattr(engine, method)(ZERO[name]), BoundsError, message)


def test_a_zero_vector_is_adapted_to_itself(engine: SonaEngine) -> None:
    zero = np.zeros(DIM, dtype=np.float32)
    assert not engine.apply_lora(zero).any()
    assert not engine.apply_lora(np.stack([zero, X]))[0].any()


def test_a_row_that_cannot_be_used_is_named(engine: SonaEngine) -> None:
    rows = np.stack([X, X, X])
    rows[1, 2] = np.nan
    refused(engine, lambda: engine.apply_lora(rows), BoundsError, r"^x\[1\] must be finite, got nan at index 2")
    assert engine.apply_lora(np.empty((0, DIM), dtype=np.float32)).shape == (0, DIM)


@pytest.mark.parametrize("quality", BAD_UNIT_NUMBERS, ids=repr)
def test_a_quality_or_reward_out_of_bounds_is_refused(engine: SonaEngine, quality: object) -> None:
    refused(engine, lambda: engine.end_trajectory(50, quality), BoundsError, r"^quality must be .*0\.\.1, got ")
    second = engine.begin_trajectory(X)
    with pytest.raises(BoundsError, match=r"^reward must be .*0\.\.1, got "):
        engine.add_step(second, X, None, quality)
    with pytest.raises(BoundsError, match=r"^reward must be .*0\.\.1, got "):
        engine.record_step(second, "node", quality, 5.0)
    engine.end_trajectory(second, 0.5)
    assert engine.buffered()[-1].steps == ()


@pytest.mark.parametrize("value", BAD_TIMES, ids=repr)
def test_a_time_or_latency_out_of_bounds_is_refused(engine: SonaEngine, value: float) -> None:
    refused(engine, lambda: engine.end_trajectory(50, 0.5, value), BoundsError, "^now_s must be")
    second = engine.begin_trajectory(X)
    before = state(engine)
    calls: dict[str, Callable[[], object]] = {
        "latency_ms": lambda: engine.add_step(second, X, None, 0.5, latency_ms=value),
        "latency_us": lambda: engine.record_step(second, "node", 0.5, value),
        "now_s": lambda: engine.tick(value),
        "now_s ": lambda: engine.force_learn(value),
    }
    for parameter, call in calls.items():
        with pytest.raises(BoundsError, match=f"^{parameter.strip()} must be"):
            call()
    assert state(engine) == before


@pytest.mark.parametrize("trajectory_id", BAD_IDS, ids=lambda value: repr(value)[:20])
def test_an_id_that_was_never_issued_is_refused(engine: SonaEngine, trajectory_id: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: engine.end_trajectory(trajectory_id, 0.5),
        lambda: engine.add_step(trajectory_id, X, None, 0.5),
        lambda: engine.add_step(trajectory_id, X, X, 0.5),
        lambda: engine.record_step(trajectory_id, 1, 0.5, 1.0),
        lambda: engine.use_pattern(trajectory_id, "a"),
        lambda: engine.set_route(trajectory_id, "m"),
        lambda: engine.set_task_type(trajectory_id, "CodeGen"),
        lambda: engine.add_context(trajectory_id, "text"),
    ]
    before = state(engine)
    for call in calls:
        with pytest.raises(UnknownIdError, match=r"^trajectory_id .{1,40} was never issued$"):
            call()
    refused(engine, calls[0], UnknownIdError, "was never issued") if before == state(engine) else pytest.fail("changed")


def test_an_id_that_has_ended_is_refused_and_says_so(engine: SonaEngine) -> None:
    engine.end_trajectory(50, 0.5)
    engine.flush()
    before = state(engine)
    calls: list[Callable[[], object]] = [
        lambda: engine.end_trajectory(50, 0.5),
        lambda: engine.add_step(50, X, None, 0.5),
    ]
    for call in calls:
        with pytest.raises(UnknownIdError, match=r"^trajectory_id 50 has ended already$"):
            call()
    with pytest.raises(UnknownIdError, match="trajectory_id '777': not among the last"):
        engine.learn_from_feedback(LearningSignal.from_feedback(True, 1.0, 1.0, "777"))
    assert state(engine) == before


def test_feedback_before_any_trajectory_ended_is_refused() -> None:
    fresh = SonaEngine(DIM)
    for signal in (LearningSignal.positive(1.0), LearningSignal.with_gradient(X)):
        with pytest.raises(UnknownIdError):
            fresh.learn_from_feedback(signal)


@pytest.mark.parametrize("text", BAD_TEXTS, ids=lambda value: repr(value)[:12])
def test_what_is_no_text_that_can_be_stored_is_refused(engine: SonaEngine, text: str) -> None:
    calls: dict[str, Callable[[], object]] = {
        "action": lambda: engine.use_pattern(50, text, "response"),
        "response": lambda: engine.use_pattern(50, "a", text),
        "route": lambda: engine.set_route(50, text),
        "task_type": lambda: engine.set_task_type(50, text),
        "text": lambda: engine.add_context(50, text),
        "node": lambda: engine.add_step(50, X, None, 0.5, node=text),
    }
    for parameter, call in calls.items():
        with pytest.raises(TextError, match=f"^{parameter} (must be|may have)") as caught:
            call()
        assert len(str(caught.value)) < 200
    engine.end_trajectory(50, 0.5)
    ended = engine.buffered()[-1]
    assert (ended.action, ended.response, ended.route, ended.steps, dict(ended.context)) == ("", "", "", (), {})
    engine.force_learn()


@pytest.mark.parametrize("k", [0, -1, 2.5, 5.0, math.nan, "x", None, True, 10**400, 10_001], ids=lambda k: repr(k)[:12])
def test_a_number_of_results_out_of_bounds_is_refused(engine: SonaEngine, k: int) -> None:
    for method in (engine.find_patterns, engine.rank_actions):
        with pytest.raises(BoundsError, match=r"^k must be .*1\.\.10.*, got"):
            method(X, k)
    refused(engine, lambda: engine.predict_variant_scores(X, k), BoundsError, "^k must be")


@pytest.mark.parametrize("layer", [-1, 1, 0.5, "0", None, True, math.nan])
def test_a_layer_that_is_not_there_is_refused_also_while_off(engine: SonaEngine, layer: int) -> None:
    engine.set_enabled(False)
    with pytest.raises(BoundsError, match=r"^layer must be .*0\.\.0, got"):
        engine.apply_base_lora(layer, X)
    engine.set_enabled(True)
    refused(engine, lambda: engine.apply_base_lora(layer, X), BoundsError, r"^layer must be .*0\.\.0, got")


@pytest.mark.parametrize(
    "attention", ["abc", [[1.0]], [math.nan], [math.inf], ["1"], 5.0, {}, np.ones(65_537), [1e300]]
)
def test_attention_that_is_no_vector_of_finite_numbers_is_refused(engine: SonaEngine, attention: object) -> None:
    refused(engine, lambda: engine.add_step(50, X, attention, 0.5), InputError, "^attention must")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"embedding": np.zeros(DIM, dtype=np.float32)}, BoundsError, "^embedding must be at least 1e-6 long"),
        ({"embedding": np.full(DIM, np.nan, dtype=np.float32)}, BoundsError, "^embedding must be finite"),
        ({"embedding": np.ones(3, dtype=np.float32)}, ShapeError, "^embedding must have shape"),
        ({"embedding": "x"}, ShapeError, "^embedding must be"),
        ({"quality": 7.5}, BoundsError, r"^quality must be in 0\.\.1, got 7.5"),
        ({"quality": None}, BoundsError, "^quality must be"),
        ({"latency_ms": math.nan}, BoundsError, "^latency_ms must be"),
        ({"cost": "x"}, BoundsError, "^cost must be"),
        ({"at_s": -1.0}, BoundsError, "^at_s must be"),
        ({"id": 5}, TextError, "^id must be text"),
        ({"action": b"x"}, TextError, "^action must be text"),
        ({"response": "\ud800"}, TextError, "^response must be valid Unicode"),
        ({"route": None}, TextError, "^route must be text"),
        ({"text": "a" * 10_000_000}, TextError, "^text may have 1000000 characters at most, got 10000000"),
        ({"task_type": 3}, TextError, "^task_type must be text"),
        ({"agent": None}, TextError, "^agent must be text"),
        ({"context": None}, InputError, "^context must be a mapping"),
        ({"context": {"a": 5}}, TextError, "^context must be text"),
        ({"steps": ("x",)}, InputError, "^steps must hold Step objects, got str"),
        ({"steps": (Step(reward=9.0),)}, BoundsError, r"^reward must be in 0\.\.1, got 9"),
        ({"steps": (Step(reward=0.5, activations=np.ones(3, dtype=np.float32)),)}, ShapeError, "^activations must"),
        ({"steps": (Step(reward=0.5, attention=np.full(3, np.nan, np.float32)),)}, BoundsError, "^attention must"),
        ({"steps": (Step(reward=0.5, node=5),)}, TextError, "^node must be text"),  # type: ignore[arg-type]
        ({"steps": (Step(reward=0.5, latency_ms=-1.0),)}, BoundsError, "^latency_ms must be"),
        ({"steps": (Step(reward=0.5),) * 4}, CapacityError, "^max_trajectory_steps is 3: the trajectory has 4"),
    ],
)
def test_a_trajectory_from_elsewhere_with_a_value_that_cannot_be_used_is_refused(
    engine: SonaEngine, change: dict[str, object], error: type[SwarmError], message: str
) -> None:
    bad = replace(trajectory("t", X, 0.5, action="0"), **change)  # type: ignore[arg-type]
    refused(engine, lambda: engine.submit_trajectory(bad), error, message)


@pytest.mark.parametrize("value", ["x", None, {}, 5])
def test_what_is_no_trajectory_is_refused(engine: SonaEngine, value: object) -> None:
    message = "^trajectory must be a Trajectory, got"
    refused(engine, lambda: engine.submit_trajectory(value), InputError, message)  # type: ignore[arg-type]


def test_a_gradient_of_another_dimension_is_refused(engine: SonaEngine) -> None:
    signal = LearningSignal.with_gradient(np.ones(3, dtype=np.float32))
    refused(engine, lambda: engine.learn_from_feedback(signal), ShapeError, r"^gradient must have shape \(16,\)")


@pytest.mark.parametrize("config", [15, 8193, 10**30, 16.0, "x", None, True, {}, -1, math.nan])
def test_an_engine_of_an_impossible_dimension_is_refused(config: int) -> None:
    with pytest.raises(InputError, match=r"^dim must be"):
        SonaEngine(config)


@PROPERTY
@given(
    st.lists(
        st.one_of(
            st.floats(width=32), st.floats(), st.integers(), st.none(), st.text(max_size=3), st.booleans(),
            st.lists(st.floats(), max_size=2),
        ),
        max_size=DIM + 1,
    )
)  # fmt: skip
def test_whatever_is_passed_as_a_vector_is_used_or_refused(value: list[object]) -> None:
    engine = seeded(unit_vectors(np.random.default_rng(2), 3), SonaConfig(dim=DIM))
    calls: list[Callable[[object], object]] = [
        engine.apply_lora,
        engine.find_patterns,
        engine.rank_actions,
        engine.begin_trajectory,
    ]
    for call in calls:
        before = state(engine) if call != engine.find_patterns else b""
        try:
            result = call(value)
        except InputError:
            assert not before or state(engine) == before
        else:
            assert result is not None
            assert np.isfinite(np.array(value, dtype=np.float32)).all()


def test_after_all_of_it_the_engine_still_learns(engine: SonaEngine) -> None:
    vectors: list[object] = [value for value, _, _ in BAD_VECTORS.values()]
    for value in vectors:
        for call in (engine.begin_trajectory, engine.apply_lora, engine.find_patterns):
            with np.errstate(over="ignore"), pytest.raises(InputError):
                call(value)
    query: Vector = near(np.random.default_rng(3), X, 0.3)
    for _ in range(5):
        record(engine, query, "new", 1.0)
    engine.force_learn()
    assert engine.rank_actions(query, 1)[0].action == "new"
    assert np.isfinite(engine.adapter.micro.up).all()
