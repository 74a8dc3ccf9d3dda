from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import BoundsError, ShapeError, TextError
from swarm.sona.vectors import (
    MAX_LENGTH,
    MAX_TEXT,
    check_batch,
    check_count,
    check_direction,
    check_number,
    check_numbers,
    check_queries,
    check_text,
    check_vector,
    unit,
    unit_rows,
)


def shown(value: object) -> str:
    return "huge" if isinstance(value, int) and abs(value) > 1e9 else repr(value)


@PROPERTY
@given(st.lists(st.floats(-1e5, 1e5, width=32), min_size=4, max_size=4), st.sampled_from([list, tuple, np.array]))
def test_numbers_become_a_private_float32_array(values: list[float], kind: type) -> None:
    given_value = kind(values)
    vector = check_vector(given_value, 4, "x")
    assert vector.dtype == np.float32
    assert vector.tolist() == values
    vector[:] = 7.0
    assert list(given_value) == values


def test_arrays_of_any_layout_byte_order_and_number_type_are_taken() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    for value in (rows[:, 1], rows[1, ::2], rows[0].astype(">f4"), rows[0].astype(np.int8), rows[0].astype(np.float16)):
        vector = check_vector(value, len(value), "x")
        assert vector.tolist() == value.tolist()
        assert vector.flags.c_contiguous
    batch = check_batch(rows.T, 3, "x")
    assert batch.flags.c_contiguous
    assert batch.tolist() == rows.T.tolist()
    read_only = rows.copy()
    read_only.flags.writeable = False
    assert check_batch(read_only, 4, "x").flags.writeable


def test_queries_are_vectors_or_rows() -> None:
    assert check_queries([1.0, 2.0], 2, "x").shape == (2,)
    assert check_queries([[1.0, 2.0]], 2, "x").shape == (1, 2)
    with pytest.raises(ShapeError, match=r"x must have shape \(2,\), got \(1, 1, 2\)"):
        check_queries([[[1.0, 2.0]]], 2, "x")
    with pytest.raises(ShapeError, match=r"x must have shape \(n, 2\), got \(1, 3\)"):
        check_queries([[1.0, 2.0, 3.0]], 2, "x")


@PROPERTY
@given(st.integers(0, 1000), st.floats(-5.9, 5.9))
def test_a_direction_has_unit_length_whatever_the_length_was(seed: int, exponent: float) -> None:
    vector = np.random.default_rng(seed).standard_normal(8)
    vector /= np.linalg.norm(vector)
    direction = check_direction(10.0**exponent * vector, 8, "x")
    np.testing.assert_allclose(direction, vector, atol=1e-5)


def test_a_unit_vector_is_its_own_direction_byte_for_byte() -> None:
    x = unit(np.random.default_rng(0).standard_normal(64).astype(np.float32))
    assert check_direction(x, 64, "x") is x
    assert np.shares_memory(check_direction(x, 64, "x"), x)


def test_a_direction_does_not_change_what_it_was_made_from() -> None:
    x = np.full(4, 3.0, dtype=np.float32)
    assert check_direction(x, 4, "x").tolist() == [0.5] * 4
    assert x.tolist() == [3.0] * 4


@pytest.mark.parametrize("length", [0.0, 1e-7, 1e-30])
def test_what_is_too_short_for_a_direction_is_refused(length: float) -> None:
    with pytest.raises(BoundsError, match="x must be at least 1e-6 long, got length"):
        check_direction(np.array([length, 0.0], dtype=np.float32), 2, "x")


def test_numbers_of_any_length_are_bounded() -> None:
    assert len(check_numbers(np.zeros(MAX_LENGTH), "attention")) == MAX_LENGTH
    with pytest.raises(ShapeError, match=rf"attention must have shape \(m,\) with m <= {MAX_LENGTH}"):
        check_numbers(np.zeros(MAX_LENGTH + 1), "attention")
    assert check_numbers([], "attention").shape == (0,)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.float64(1.0), np.int8(1)])
def test_numbers_of_any_type_become_floats(value: float) -> None:
    number = check_number(value, "q", 0.0, 1.0)
    assert type(number) is float
    assert number == float(value)


@pytest.mark.parametrize(
    "value", [True, np.False_, "1", None, 1j, [], np.zeros(1), math.nan, 2, -1e-9, 10**5000, -(10**400)], ids=shown
)
def test_what_is_no_number_in_bounds_is_refused(value: object) -> None:
    with pytest.raises(BoundsError, match=r"^q must be .*0\.\.1, got") as caught:
        check_number(value, "q", 0.0, 1.0)
    assert len(str(caught.value)) < 120


def test_counts_are_whole_numbers() -> None:
    assert check_count(np.int64(3), "k", 1, 9) == 3
    assert type(check_count(np.int64(3), "k", 1, 9)) is int
    for value in (0, 10, 3.0, True, "3", None, 10**400):
        with pytest.raises(BoundsError, match=r"^k must be"):
            check_count(value, "k", 1, 9)


def test_text_is_a_str_of_bounded_length_that_can_be_encoded() -> None:
    for text in ("", "a\x00b", "\N{SNOWMAN}", "a" * MAX_TEXT):
        assert check_text(text, "t") is text
    for value in (b"x", None, 5, "\udfff", "a" * (MAX_TEXT + 1)):
        with pytest.raises(TextError, match=r"^t m") as caught:
            check_text(value, "t")
        assert len(str(caught.value)) < 100


def test_zero_rows_stay_zero_when_rows_become_units() -> None:
    rows = np.array([[0, 0], [3, 4]], dtype=np.float32)
    assert unit_rows(rows).tolist() == [[0, 0], [np.float32(0.6), np.float32(0.8)]]
    assert rows.tolist() == [[0, 0], [3, 4]]
    assert unit_rows(rows).dtype == np.float32
