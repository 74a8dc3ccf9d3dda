from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, trajectory, unit_vectors

from swarm.sona import Trajectory
from swarm.sona.reservoir import HELD_OUT_EVERY, MAX_FLOATS, SUCCESSES_WEIGH, Reservoir, priority_of

ROWS = unit_vectors(np.random.default_rng(0), 50)


def outcomes(ids: list[int]) -> list[Trajectory]:
    """One outcome per number, the same for the same number."""
    return [trajectory(f"t{i}", ROWS[i % 50], (i % 11) / 10.0, action=f"a{i % 3}") for i in ids]


def sample(ids: list[int]) -> Reservoir:
    return Reservoir.of(outcomes(ids), DIM)


def content(reservoir: Reservoir) -> dict[str, tuple[bytes, str, float, int]]:
    """What is known of each outcome, whatever their order."""
    rows = zip(
        reservoir.ids,
        reservoir.embeddings,
        reservoir.actions,
        reservoir.qualities.tolist(),
        reservoir.priorities.tolist(),
        strict=True,
    )
    return {key: (x.tobytes(), action, quality, priority) for key, x, action, quality, priority in rows}


@PROPERTY
@given(st.data(), st.integers(0, 60), st.integers(1, 40))
def test_the_sample_is_the_same_for_any_order_and_any_batches_of_the_same_outcomes(
    data: st.DataObject, n: int, capacity: int
) -> None:
    order = data.draw(st.permutations(range(n)))
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    streamed = Reservoir.empty(DIM)
    for start, end in zip([0, *cuts], [*cuts, n], strict=True):
        streamed = streamed.joined(sample(list(order[start:end]))).bounded(capacity)
    at_once = sample(list(range(n))).bounded(capacity)
    assert content(streamed) == content(at_once)
    assert len(streamed) == min(n, capacity)


@PROPERTY
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)), st.integers(0, 40))
def test_two_samples_that_were_bounded_apart_join_to_that_of_all_outcomes(
    mine: set[int], theirs: set[int], capacity: int
) -> None:
    apart = sample(sorted(mine)).bounded(capacity).joined(sample(sorted(theirs)).bounded(capacity)).bounded(capacity)
    assert content(apart) == content(sample(sorted(mine | theirs)).bounded(capacity))


@PROPERTY
@given(st.integers(0, 80), st.integers(0, 80))
def test_those_of_the_smallest_priority_over_weight_stay_in_their_order(n: int, capacity: int) -> None:
    full = sample(list(range(n)))
    kept = full.bounded(capacity)
    assert len(kept) == min(n, capacity)
    quality = dict(zip(full.ids, full.qualities.tolist(), strict=True))
    expected = set(sorted(full.ids, key=lambda key: priority_of(key) / (1.0 + 2.0 * quality[key]))[:capacity])
    assert kept.ids == tuple(key for key in full.ids if key in expected)
    assert content(kept).items() <= content(full).items()


@PROPERTY
@given(st.integers(0, 80), st.integers(0, 80))
def test_an_even_sample_holds_those_of_the_smallest_priority_whatever_their_quality(n: int, capacity: int) -> None:
    full = sample(list(range(n)))
    kept = full.even(capacity)
    expected = set(sorted(full.ids, key=priority_of)[:capacity])
    assert kept.ids == tuple(key for key in full.ids if key in expected)
    assert content(kept).items() <= content(full).items()


def test_what_worked_is_kept_three_times_as_readily_as_what_did_not() -> None:
    n, qualities = 30_000, (0.0, 0.5, 1.0)
    full = Reservoir.of([trajectory(f"t{i}", ROWS[0], qualities[i % 3]) for i in range(n)], DIM)
    assert SUCCESSES_WEIGH == 3.0
    kept = full.bounded(1_200)
    counts = [int((kept.qualities == quality).sum()) for quality in qualities]
    # As 1 to 2 to 3: about 200, 400, 600; five standard deviations are 65, 82 and 87.
    assert abs(counts[0] - 200) < 65
    assert abs(counts[1] - 400) < 82
    assert abs(counts[2] - 600) < 87
    # And within each kind those of the smallest priority.
    for quality, count in zip(qualities, counts, strict=True):
        own = full.take(np.flatnonzero(full.qualities == quality))
        assert set(own.even(count).ids) == {
            k for k, q in zip(kept.ids, kept.qualities.tolist(), strict=True) if q == quality
        }
    # The even sample holds as much of each.
    even = full.even(1_200)
    assert all(abs(int((even.qualities == quality).sum()) - 400) < 82 for quality in qualities)
    # Among what is kept as many judge, of successes and of failures.
    for quality in (0.0, 1.0):
        own = full.bounded(12_000)
        judges = own.held_out[own.qualities == quality]
        assert float(judges.mean()) == pytest.approx(1.0 / HELD_OUT_EVERY, abs=0.025)


def test_a_sample_that_fits_is_kept_as_it_is() -> None:
    full = sample([0, 1, 2])
    assert full.bounded(3) is full
    assert full.even(3) is full


def test_a_sample_of_large_vectors_is_bounded_by_its_numbers() -> None:
    dim = 8192
    row = np.zeros(dim, dtype=np.float16)
    row[0] = 1.0
    n = MAX_FLOATS // dim + 7
    wide = Reservoir.made([str(i) for i in range(n)], np.tile(row, (n, 1)), ["a"] * n, np.ones(n, dtype=np.float32))
    assert len(wide.bounded(10_000)) == MAX_FLOATS // dim


def test_one_outcome_in_so_many_judges_and_which_never_changes() -> None:
    ids = list(range(20_000))
    first = Reservoir.of([trajectory(f"t{i}", ROWS[0]) for i in ids], DIM)
    share = float(first.held_out.mean())
    assert share == pytest.approx(1.0 / HELD_OUT_EVERY, rel=0.1)
    assert first.held_out.tolist() == [priority_of(key) % HELD_OUT_EVERY == 0 for key in first.ids]
    # An outcome that judges goes on to judge, in whatever company it is.
    judges = {key for key, judge in zip(first.ids, first.held_out.tolist(), strict=True) if judge}
    kept = first.bounded(1_000)
    assert all((key in judges) == judge for key, judge in zip(kept.ids, kept.held_out.tolist(), strict=True))


def test_a_bounded_sample_holds_the_same_share_of_judges_and_an_even_part_of_the_stream() -> None:
    full = Reservoir.of([trajectory(f"t{i}", ROWS[0]) for i in range(20_000)], DIM)
    kept = full.bounded(2_000)
    assert float(kept.held_out.mean()) == pytest.approx(1.0 / HELD_OUT_EVERY, rel=0.3)
    positions = np.array([int(key[1:]) for key in kept.ids])
    counts, _ = np.histogram(positions, bins=10, range=(0, 20_000))
    # Each tenth of the stream has about 200; five standard deviations are 67.
    assert counts.min() > 133
    assert counts.max() < 267


def test_an_outcome_that_is_in_both_counts_once_with_what_was_known_first() -> None:
    first = Reservoir.of([trajectory("same", ROWS[0], 0.25, action="first")], DIM)
    second = Reservoir.of([trajectory("same", ROWS[1], 0.75, action="second"), *outcomes([5])], DIM)
    both = first.joined(second)
    assert both.ids == ("same", "t5")
    assert both.actions == ("first", "a2")
    assert both.qualities.tolist() == [0.25, 0.5]
    assert both.joined(first).ids == both.ids


@PROPERTY
@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_joining_is_a_union_and_without_takes_out(mine: set[int], theirs: set[int], gone: set[int]) -> None:
    joined = sample(sorted(mine)).joined(sample(sorted(theirs)))
    assert set(joined.ids) == {f"t{i}" for i in mine | theirs}
    assert len(joined) == len(mine | theirs)
    left = joined.without([f"t{i}" for i in gone])
    assert set(left.ids) == {f"t{i}" for i in (mine | theirs) - gone}
    assert content(left).items() <= content(joined).items()
    assert content(left) == content(sample(sorted((mine | theirs) - gone)))


def test_embeddings_come_back_with_unit_length_whatever_the_length_of_the_query() -> None:
    long = Reservoir.of([trajectory(f"t{i}", (1000.0 * row).astype(np.float32)) for i, row in enumerate(ROWS)], DIM)
    np.testing.assert_allclose(np.linalg.norm(long.queries, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(long.queries, ROWS, atol=1e-3)
    assert long.queries.dtype == np.float32


def test_a_sample_made_of_its_parts_is_the_same_sample() -> None:
    full = sample(list(range(30)))
    again = Reservoir.made(full.ids, full.embeddings, full.actions, full.qualities)
    assert content(again) == content(full)


def test_an_empty_sample_can_do_everything() -> None:
    for empty in (Reservoir.empty(), Reservoir.empty(DIM), Reservoir.of([], DIM)):
        assert (
            len(empty)
            == len(empty.bounded(0))
            == len(empty.bounded(5))
            == len(empty.even(0))
            == len(empty.without(["a"]))
            == 0
        )
        assert empty.held_out.tolist() == []
        assert len(empty.queries) == 0
        assert content(empty.joined(sample([1, 2]))) == content(sample([1, 2]))
    assert content(sample([1, 2]).joined(Reservoir.empty(DIM))) == content(sample([1, 2]))


def test_priorities_are_spread_evenly_and_take_any_text() -> None:
    found = [priority_of(f"t{i}") for i in range(2_000)]
    assert len(set(found)) == 2_000
    assert min(found) >= 0
    assert max(found) < 2**62
    assert float(np.mean(found)) / 2**61 == pytest.approx(1.0, abs=0.05)
    assert priority_of("\ud800") != priority_of("")
