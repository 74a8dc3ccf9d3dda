from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import BoundsError
from swarm.sona.standing import CONTRADICTS, PROBATION, Standing, Verdict, threshold
from swarm.sona.vectors import Vector

Columns = tuple[Vector, Vector, Vector, Vector]


def outcomes(rng: np.random.Generator, n: int) -> Columns:
    """Honest reports of n outcomes: what others know makes success likelier, and what is known beside that as well.

    Returns qualities, p of the action tried, r predicted for it, and p of the action that others prefer.
    """
    p = rng.random(n)
    q = (rng.random(n) < 0.15 + 0.7 * p).astype(np.float32)
    r = np.clip(p + 0.2 * rng.standard_normal(n), 0.0, 1.0)
    best = np.maximum(p, rng.random(n))
    return q, p.astype(np.float32), r.astype(np.float32), best.astype(np.float32)


def shuffled(rng: np.random.Generator, n: int) -> Columns:
    """Reports that do not depend on what was tried."""
    q, *known = outcomes(rng, n)
    return rng.permutation(q), known[0], known[1], known[2]


def inverted(rng: np.random.Generator, n: int) -> Columns:
    q, *known = outcomes(rng, n)
    return 1.0 - q, known[0], known[1], known[2]


def verdicts(reports: list[Columns]) -> list[Verdict]:
    """The verdict after each of the batches."""
    standing, found = Standing(), []
    for columns in reports:
        standing += Standing.of(*columns)
        found.append(standing.verdict)
    return found


# Verdicts


@pytest.mark.parametrize("seed", range(20))
def test_an_honest_agent_is_trusted_and_stays_so(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = verdicts([outcomes(rng, 50) for _ in range(20)])
    first = found.index(Verdict.TRUSTED)
    assert first < 6
    assert set(found[first:]) == {Verdict.TRUSTED}


def test_shuffled_reports_are_quarantined_and_hardly_ever_trusted_however_often_one_looks() -> None:
    # By chance 1 in 200 passes the bound once in sixty looks, and falls below it again.
    lucky = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = verdicts([shuffled(rng, 25) for _ in range(60)])
        lucky += Verdict.TRUSTED in found
        assert found[0] is Verdict.PROBATION
        assert Verdict.PROBATION not in found[1:]
        assert found[-1] is Verdict.QUARANTINED
    assert lucky <= 2


@pytest.mark.parametrize("seed", range(20))
def test_inverted_reports_are_quarantined_as_soon_as_there_are_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = verdicts([inverted(rng, 20) for _ in range(20)])
    assert found[0] is Verdict.PROBATION
    assert set(found[1:]) == {Verdict.QUARANTINED}


@pytest.mark.parametrize("seed", range(10))
def test_inverted_reports_that_agree_with_one_another_are_quarantined_all_the_same(seed: int) -> None:
    # Whoever inverts and is learned from is soon predicted well by what came of that.
    rng = np.random.default_rng(seed)
    q, p, _, best = inverted(rng, 400)
    standing = Standing.of(q, p, q, best)
    assert standing.z_own == pytest.approx(20.0)
    assert standing.z_prior < CONTRADICTS
    assert standing.verdict is Verdict.QUARANTINED


@pytest.mark.parametrize("seed", range(10))
def test_an_agent_that_finds_out_what_nobody_knows_is_trusted_by_its_own_record(seed: int) -> None:
    # What others know says nothing about its outcomes, neither for nor against.
    rng = np.random.default_rng(seed)
    q, _, r, best = outcomes(rng, 600)
    known = 0.5 + 0.001 * (np.arange(600) % 2)
    standing = Standing.of(q, known, r, best)
    assert standing.z_own > threshold(600)
    if standing.z_prior > CONTRADICTS:
        assert standing.verdict is Verdict.TRUSTED


@pytest.mark.parametrize("n", [1, 30, 39, 40, 500, 5000])
def test_constant_successes_of_an_agent_that_does_what_others_would_stay_on_probation(n: int) -> None:
    known = np.full(n, 0.8)
    assert Standing.of(np.ones(n, dtype=np.float32), known, known, known).verdict is Verdict.PROBATION


def test_constant_successes_with_what_nobody_else_would_do_are_quarantined() -> None:
    ones = np.ones(200, dtype=np.float32)
    assert Standing.of(ones, np.full(200, 0.1), 0.1 * ones, np.full(200, 0.9)).verdict is Verdict.QUARANTINED


def test_constant_failures_are_quarantined() -> None:
    known = np.full(200, 0.8)
    assert Standing.of(np.zeros(200, dtype=np.float32), known, known, known).verdict is Verdict.QUARANTINED


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, int(PROBATION) - 1))
def test_with_fewer_outcomes_than_probation_takes_nobody_is_judged(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    for reports in (outcomes(rng, n), inverted(rng, n), shuffled(rng, n)):
        assert Standing.of(*reports).verdict is Verdict.PROBATION


def test_who_lied_and_reports_the_truth_from_then_on_is_trusted_again() -> None:
    rng = np.random.default_rng(1)
    found = verdicts([*(shuffled(rng, 50) for _ in range(4)), *(outcomes(rng, 50) for _ in range(20))])
    assert found[3] is Verdict.QUARANTINED
    assert found[-1] is Verdict.TRUSTED


def test_the_bound_of_trust_rises_with_the_number_of_looks_and_asks_for_a_correlation_of_a_fifth() -> None:
    # sqrt(2 ln ln n) + 2 where ln ln n = 1.125 and 1.62; then sqrt(n) / 5.
    assert threshold(math.exp(math.exp(1.125))) == pytest.approx(3.5)
    assert threshold(math.exp(math.exp(1.62))) == pytest.approx(3.8)
    assert threshold(10_000.0) == pytest.approx(20.0)
    assert threshold(0.0) == threshold(16.0)


# Sums


def approximately(one: Standing, other: Standing) -> bool:
    return all(
        getattr(one, field.name) == pytest.approx(getattr(other, field.name), rel=1e-9, abs=1e-9)
        for field in fields(Standing)
    )


@PROPERTY
@given(st.integers(0, 10_000), st.integers(0, 60), st.lists(st.integers(0, 60), max_size=4))
def test_standings_of_parts_in_any_order_add_up_to_that_of_the_whole(seed: int, n: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    columns = outcomes(rng, n)
    ends = sorted(min(cut, n) for cut in cuts)
    rows = [np.arange(start, end) for start, end in zip([0, *ends], [*ends, n], strict=True)]
    parts = [Standing.of(*(column[part] for column in columns)) for part in rows]
    forwards = sum(parts, Standing())
    backwards = sum(reversed(parts), Standing())
    assert approximately(forwards, Standing.of(*columns))
    assert approximately(backwards, forwards)
    assert forwards + Standing() == forwards


@PROPERTY
@given(st.integers(0, 10_000), st.integers(3, 80))
def test_z_is_the_correlation_times_the_root_of_n_and_turns_with_the_reports(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    q, p, r, best = outcomes(rng, n)
    q = rng.random(n).astype(np.float32)
    standing, turned = Standing.of(q, p, r, best), Standing.of(1.0 - q, p, r, best)
    exact = q.astype(np.float64)
    assert standing.z_prior == pytest.approx(np.corrcoef(p, exact)[0, 1] * math.sqrt(n), rel=1e-4, abs=1e-6)
    assert standing.z_own == pytest.approx(np.corrcoef(r, exact)[0, 1] * math.sqrt(n), rel=1e-4, abs=1e-6)
    assert turned.z_prior == pytest.approx(-standing.z_prior, rel=1e-4, abs=1e-4)


def test_sums_of_three_outcomes_worked_by_hand() -> None:
    q, p, r = np.array([1.0, 0.5, 0.0]), np.array([0.2, 0.4, 0.6]), np.array([0.5, 0.5, 0.5])
    found = Standing.of(q.astype(np.float32), p, r, np.array([0.5, 0.5, 1.0]))
    expected = Standing(n=3, q=1.5, qq=1.25, p=1.2, pp=0.56, pq=0.4, r=1.5, rr=0.75, rq=0.75, best=2.0)
    assert approximately(found, expected)
    # q falls as p rises, in a straight line; r never changes.
    assert found.z_prior == pytest.approx(-math.sqrt(3.0))
    assert found.z_own == 0.0


def test_nothing_is_said_of_fewer_than_three_outcomes_and_of_none() -> None:
    two = Standing.of(np.array([0.0, 1.0], dtype=np.float32), np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.ones(2))
    for standing in (Standing(), two):
        assert (standing.z_prior, standing.z_own) == (0.0, 0.0)
        assert standing.verdict is Verdict.PROBATION
    assert Standing.of(np.empty(0, np.float32), np.empty(0), np.empty(0), np.empty(0)) == Standing()


# Records


def test_values_survive_a_dictionary_and_strange_ones_are_refused_by_name() -> None:
    standing = Standing.of(*outcomes(np.random.default_rng(2), 77))
    assert Standing.from_dict(standing.as_dict()) == standing
    assert Standing.from_dict({}) == Standing()
    for bad in (math.nan, math.inf, -1.0, 1e16, "1", None, True):
        with pytest.raises(BoundsError, match=r"^pq must be"):
            Standing.from_dict({**standing.as_dict(), "pq": bad})
    with pytest.raises(TypeError):
        Standing.from_dict({"stranger": 1.0})
