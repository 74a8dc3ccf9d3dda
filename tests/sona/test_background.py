from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sona_support import DIM, cluster, near, trajectory, unit_vectors

from swarm.sona import CycleReport, EwcMemory, Learned, PatternIndex, SonaConfig, Tally, Trajectory, run_cycle
from swarm.sona.adapter import Adapter
from swarm.sona.background import MIN_JUDGES, _of_others
from swarm.sona.reservoir import HELD_OUT_EVERY, Reservoir, priority_of
from swarm.sona.standing import Standing, Verdict
from swarm.sona.training import Outcomes, flatten, mean_loss
from swarm.sona.vectors import Vector

CONFIG = SonaConfig(dim=DIM, base_lora_lr=0.01)
N = 240


def judges(trajectories: list[Trajectory]) -> int:
    """How many of the outcomes about the four known actions are held out."""
    return sum(priority_of(t.id) % HELD_OUT_EVERY == 0 for t in trajectories if t.action in {"0", "1", "2", "3"})


def start(seed: int = 0, n: int = N, first: int = 0) -> tuple[Learned, PatternIndex, list[Trajectory]]:
    """An agent that knows nothing yet, the index of four patterns that a library gave, and outcomes about them.

    Queries lie between the pattern that is right for them and another; every sixth names no action.
    """
    rng = np.random.default_rng(seed)
    centres = unit_vectors(np.random.default_rng(7), 4)
    index = PatternIndex(CONFIG)
    index.replace_all(
        cluster(f"c{k}", row, action=str(k), agents={"library": Tally(n=1, sum_quality=1)})
        for k, row in enumerate(centres)
    )
    trajectories = []
    for i in range(first, first + n):
        k, tried = (int(value) for value in rng.integers(4, size=2))
        x = near(rng, centres[k] + np.float32(0.8) * centres[(k + 1) % 4], 0.4)
        action = "" if i % 6 == 5 else str(tried)
        trajectories.append(trajectory(f"t{i}", x, float(tried == k), action=action))
    base = tuple(Adapter.initial(CONFIG, np.random.default_rng(0)).base)
    return Learned(clusters=(), base=base, ewc=EwcMemory.empty()), index, trajectories


def run(
    learned: Learned, trajectories: list[Trajectory], index: PatternIndex, config: SonaConfig = CONFIG, seed: int = 1
) -> tuple[Learned, CycleReport]:
    return run_cycle(learned, trajectories, index, config, np.random.default_rng(seed))


def bits(learned: Learned) -> list[bytes]:
    """The weights as bytes."""
    return [array.tobytes() for array in flatten(learned.base)]


def test_a_cycle_changes_nothing_that_it_was_given() -> None:
    learned, index, trajectories = start()
    before, held = bits(learned), index.clusters()
    after, report = run(learned, trajectories, index)
    assert report.promoted
    assert bits(learned) == before
    assert (len(learned.reservoir), learned.standing, learned.task, learned.clusters) == (0, Standing(), None, ())
    assert index.clusters() == held
    assert after.base is not learned.base
    assert bits(after) != before


def test_a_cycle_reports_what_it_was_given_and_held_out() -> None:
    learned, index, trajectories = start()
    after, report = run(learned, trajectories, index)
    held_out = judges(trajectories)
    assert held_out >= MIN_JUDGES
    assert (report.outcomes, report.trained_on, report.held_out) == (N, N - N // 6 - held_out, held_out)
    assert report.loss_after < report.loss_before
    assert report.why == "promoted"
    assert report.clusters == len(after.clusters)
    assert sum(c.n for c in after.clusters) == N
    assert report.audited == after.standing.n == min(200, N) - sum(not t.action for t in _audited(trajectories))
    assert after.standing.q == sum(t.quality for t in _audited(trajectories) if t.action)
    assert (report.z_prior, report.z_own) == (after.standing.z_prior, after.standing.z_own)


def _audited(trajectories: list[Trajectory]) -> list[Trajectory]:
    return sorted(trajectories, key=lambda t: priority_of(t.id))[:200]


def test_the_same_cycle_gives_the_same_bits() -> None:
    learned, index, trajectories = start()
    one, _ = run(learned, trajectories, index)
    other, _ = run(learned, trajectories, index)
    assert bits(one) == bits(other)
    assert [c.sum_embedding.tobytes() for c in one.clusters] == [c.sum_embedding.tobytes() for c in other.clusters]


def test_how_clusters_are_grouped_does_not_hang_on_what_training_drew() -> None:
    learned, index, trajectories = start()
    crowded = replace(CONFIG, pattern_clusters=10)
    trained, _ = run(learned, trajectories, index, crowded)
    still, report = run(learned, trajectories, index, replace(crowded, base_lora_lr=0.0))
    assert not report.promoted
    assert [c.sum_embedding.tobytes() for c in trained.clusters] == [c.sum_embedding.tobytes() for c in still.clusters]


@pytest.mark.parametrize("known", [True, False])
def test_outcomes_that_no_candidate_knows_still_found_clusters(known: bool) -> None:
    learned, index, trajectories = start()
    if not known:
        index.replace_all(())
    strangers = [trajectory(t.id, t.embedding, 1.0, action="new") for t in trajectories]
    after, report = run(learned, strangers, index)
    assert (report.outcomes, report.trained_on, report.promoted) == (N, 0, False)
    assert report.why.startswith("not tried: 0 outcomes held out")
    assert after.base is learned.base
    assert sum(c.n for c in after.clusters if c.action == "new") == N
    # Nobody could say anything about them.
    assert after.standing == Standing()


def test_without_outcomes_a_cycle_leaves_everything() -> None:
    learned, index, trajectories = start()
    lived, _ = run(learned, trajectories, index)
    for before in (learned, lived):
        config = replace(CONFIG, base_lora_lr=0.0)
        after, report = run(before, [], index, config)
        assert after.base is before.base
        assert after.ewc is before.ewc
        assert (after.clusters, after.reservoir.ids) == (before.clusters, before.reservoir.ids)
        assert after.standing == before.standing
        assert (report.outcomes, report.trained_on, report.promoted, report.new_task) == (0, 0, False, False)


def test_an_agent_whose_base_tier_does_not_learn_is_told_so() -> None:
    learned, index, trajectories = start()
    _, report = run(learned, trajectories, index, replace(CONFIG, base_lora_lr=0.0))
    assert (report.trained_on, report.why) == (0, "not tried: base_lora_lr is 0")


@pytest.mark.parametrize("n", [1, 4, 5])
def test_a_handful_of_outcomes_founds_clusters_and_waits_in_the_sample_for_judges(n: int) -> None:
    learned, index, trajectories = start()
    first = [t for t in trajectories if t.action][:n]
    after, report = run(learned, first, index)
    assert (report.trained_on, report.promoted) == (0, False)
    assert report.why == f"not tried: {judges(first)} outcomes held out, {MIN_JUDGES} needed"
    assert sum(c.n for c in after.clusters) == n
    assert set(after.reservoir.ids) == {t.id for t in first}
    # They are trained on once enough are held out.
    _, report = run(after, trajectories[-N // 2 :] + trajectories[: N // 2], index)
    assert report.trained_on + report.held_out >= n
    assert report.promoted


# The gate


def test_weights_that_are_no_better_on_what_was_held_out_are_refused_with_the_figures() -> None:
    learned, index, trajectories = start()
    # What is held out contradicts all that is trained on.
    forged = [
        replace(t, quality=1.0 - t.quality) if priority_of(t.id) % HELD_OUT_EVERY == 0 else t for t in trajectories
    ]
    after, report = run(learned, forged, index)
    assert not report.promoted
    assert report.why == "refused: no better on what was held out"
    assert report.trained_on > 0
    assert report.held_out == judges(forged)
    assert report.loss_after >= report.loss_before > 0.0
    assert after.base is learned.base
    # The outcomes are not lost with the weights.
    assert sum(c.n for c in after.clusters) == N
    assert set(after.reservoir.ids) == {t.id for t in forged}


def test_what_is_held_out_is_never_trained_on_in_any_cycle() -> None:
    learned, index, trajectories = start()
    held = [t for t in trajectories if priority_of(t.id) % HELD_OUT_EVERY == 0]
    changed = [replace(t, quality=0.5) if t in held else t for t in trajectories]
    one, other = learned, learned
    for begin in range(0, N, 120):
        one, _ = run(one, trajectories[begin : begin + 120], index)
        other, _ = run(other, changed[begin : begin + 120], index)
        if bits(one) != bits(other):
            # Only the gate may tell them apart.
            assert bits(one) == bits(learned) or bits(other) == bits(learned)
            return
    assert bits(one) == bits(other) != bits(learned)


def test_base_weights_of_a_quarantined_agent_do_not_move() -> None:
    learned, index, trajectories = start()
    liar = [replace(t, quality=1.0 - t.quality) for t in trajectories]
    after, report = run(learned, liar, index)
    assert report.verdict == Verdict.QUARANTINED
    assert report.z_prior < 0.0
    assert (report.promoted, report.trained_on) == (False, 0)
    assert report.why == "refused: the feedback is not believed"
    assert after.base is learned.base
    assert after.ewc is learned.ewc
    # What it reported is kept: it may be believed again.
    assert sum(c.n for c in after.clusters) == N
    truth = start(3, 600, first=1_000)[2]
    again, report = run(after, truth, index)
    assert report.audited == again.standing.n > after.standing.n
    assert again.standing.z_prior > after.standing.z_prior


@pytest.mark.parametrize("seed", range(4))
def test_a_coin_that_falls_on_success_three_times_in_four_is_not_taken_for_an_agent_that_hardly_ever_fails(
    seed: int,
) -> None:
    # More outcomes than are looked at: were it more of the successes, they would seem to be nine in ten.
    learned, index, _ = start()
    rng = np.random.default_rng(seed)
    centres = unit_vectors(np.random.default_rng(7), 4)
    coin = []
    for i in range(1_000):
        k = int(rng.integers(4))
        coin.append(trajectory(f"t{seed}-{i}", near(rng, centres[k], 0.5), float(rng.random() < 0.76), action=str(k)))
    after, report = run(learned, coin, index)
    assert after.standing.q / after.standing.n == pytest.approx(0.76, abs=0.1)
    assert report.verdict == Verdict.QUARANTINED


def test_an_honest_agent_is_trusted() -> None:
    learned, index, trajectories = start()
    after, report = run(learned, trajectories, index)
    assert report.verdict == Verdict.TRUSTED
    assert after.standing.verdict is Verdict.TRUSTED


# What others found out


def told(n: float, quality: float = 1.0, *names: str) -> dict[str, Tally]:
    """The tallies of n outcomes for each of these agents."""
    return {name: Tally(n=n, sum_quality=n * quality) for name in names}


def test_of_others_the_confirmed_clusters_in_feedback_about_known_actions_are_rehearsed() -> None:
    x = unit_vectors(np.random.default_rng(3), 7)
    index = PatternIndex(CONFIG)
    index.replace_all(
        [
            cluster("theirs", x[0], action="a", n=2, quality=0.9, agents=told(2, 0.9, "bob")),
            cluster("failed", x[1], action="a", n=3, quality=0.1, positive=False, agents=told(3, 0.1, "cyd")),
            cluster("ours", x[2], action="b", n=4, agents=told(2, 1.0, "ada", "bob")),
            cluster("mine", x[3], action="b", n=4, agents=told(4, 1.0, "ada")),
            cluster("given", x[4], action="a", agents=told(1, 1.0, "library")),
            replace(cluster("loud", x[5], action="b", n=9, agents=told(9, 1.0, "bob")), confirmed=False),
            # Nothing was ever done with it that worked: no candidate.
            cluster("never", x[6], action="c", n=2, quality=0.0, positive=False, agents=told(2, 0.0, "bob")),
        ]
    )
    candidates = index.candidates()
    found = _of_others(index, candidates, "ada", np.random.default_rng(0))
    rows = {
        tuple(query): (tried, q) for query, tried, q in zip(found.queries, found.tried, found.qualities, strict=True)
    }
    expected = {0: ("a", 0.9), 1: ("a", 0.1), 2: ("b", 1.0)}
    assert len(found) == len(expected)
    for at, (action, quality) in expected.items():
        [(query, (tried, q))] = [item for item in rows.items() if np.allclose(item[0], x[at], atol=1e-6)]
        assert (tried, q) == (candidates.rows[action], pytest.approx(quality)), query
    assert len(_of_others(PatternIndex(CONFIG), candidates, "ada", np.random.default_rng(0))) == 0


def test_of_many_clusters_of_others_a_bounded_part_is_rehearsed_rather_those_of_many_outcomes() -> None:
    n = 4_000
    x = unit_vectors(np.random.default_rng(4), n)
    index = PatternIndex(CONFIG)
    # Of one outcome and of 32, by turns: the weights are 1 and 32 ** 0.7 = 11.3.
    index.replace_all(
        cluster(f"c{i}", x[i], action=str(i % 4), n=1 + 31 * (i % 2), agents=told(1 + 31 * (i % 2), 1.0, "bob"))
        for i in range(n)
    )
    found = _of_others(index, index.candidates(), "ada", np.random.default_rng(0))
    assert len(found) == 3_000
    assert len(np.unique(found.queries, axis=0)) == 3_000
    held = {c.centroid.astype(np.float32).tobytes() for c in index.clusters() if c.n > 1}
    # Nearly all of the latter, and half of the former.
    assert 1_900 < sum(row.tobytes() in held for row in found.queries) <= 2_000


def test_an_adapter_learns_what_others_found_out_where_its_own_agent_never_was() -> None:
    # Tasks of action 3 that lie nearer to 0; the agent meets none of them, and the prototype stays what was given.
    learned, index, trajectories = start(n=480)
    rng = np.random.default_rng(9)
    centres = unit_vectors(np.random.default_rng(7), 4)
    mine = [t for t in trajectories if t.action in {"0", "1", "2"} and float(t.embedding @ centres[3]) < 0.4]
    theirs = np.array([near(rng, np.float32(0.6) * centres[3] + centres[0], 0.2) for _ in range(60)])
    index.put(cluster("c3", centres[3], action="3", n=10_000, agents=told(10_000, 1.0, "library")))
    for i, row in enumerate(theirs[:30]):
        index.put(cluster(f"theirs {i}", row, action="3", n=5, agents=told(5, 1.0, "bob")))
    candidates = index.candidates()
    asked = Outcomes(theirs[30:], np.full(30, candidates.rows["3"], dtype=np.intp), np.ones(30, dtype=np.float32))
    after, report = run(learned, mine, index)
    assert report.promoted
    # The same clusters, but the agent's own: what it met is rehearsed from its sample, and these are not in it.
    for i, row in enumerate(theirs[:30]):
        index.put(cluster(f"theirs {i}", row, action="3", n=5, agents=told(5, 1.0, "self")))
    without, report = run(learned, mine, index)
    assert report.promoted
    before, blind, knowing = (
        mean_loss(base, asked, candidates, CONFIG.temperature) for base in (learned.base, without.base, after.base)
    )
    assert knowing < 0.5 * min(before, blind)


# Tasks


def lived_twice(second: Vector | None) -> tuple[Learned, list[CycleReport], PatternIndex]:
    """An agent after six cycles; the last three are about other queries, if a turn for them is given."""
    learned, index, _ = start()
    reports = []
    for cycle in range(6):
        trajectories = start(cycle, 120, first=1_000 * cycle)[2]
        if second is not None and cycle >= 3:
            trajectories = [replace(t, embedding=(second @ t.embedding).astype(np.float32)) for t in trajectories]
        learned, report = run(learned, trajectories, index, seed=cycle)
        reports.append(report)
    return learned, reports, index


def turn(seed: int) -> Vector:
    """A rotation of the space."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, DIM)))
    return np.asarray(q, dtype=np.float32)


def test_nothing_is_consolidated_while_the_task_lasts() -> None:
    learned, reports, _ = lived_twice(None)
    assert any(report.promoted for report in reports)
    assert not any(report.new_task for report in reports)
    assert (learned.ewc.tasks, learned.ewc.importance) == (0, [])


def test_a_new_task_is_found_once_and_what_mattered_to_the_one_before_is_remembered_at_its_weights() -> None:
    learned, reports, _ = lived_twice(turn(5))
    assert [report.new_task for report in reports] == [False, False, False, False, True, False]
    assert [report.tasks for report in reports] == [0, 0, 0, 0, 1, 1]
    assert all((array >= 0).all() and array.any() for array in learned.ewc.importance)
    assert learned.task is not None
    assert learned.task.tasks == 1


def test_the_memory_is_anchored_where_the_task_before_ended() -> None:
    learned, index, _ = start()
    for cycle in range(3):
        learned, _ = run(learned, start(cycle, 120, first=1_000 * cycle)[2], index, seed=cycle)
    parameters = flatten(learned.base)
    shifted = learned
    for cycle in (3, 4):
        moved = [
            replace(t, embedding=(turn(5) @ t.embedding).astype(np.float32))
            for t in start(cycle, 120, first=1_000 * cycle)[2]
        ]
        before = shifted
        shifted, report = run(shifted, moved, index, replace(CONFIG, base_lora_lr=0.0), seed=cycle)
    assert report.new_task
    assert before.base is learned.base
    assert shifted.ewc.penalty(parameters, 2000.0) == pytest.approx(0.0, abs=1e-3)
    assert shifted.ewc.penalty([p + np.float32(0.1) for p in parameters], 2000.0) > 0.0
    # The memory that was given stays without the task.
    assert before.ewc.tasks == 0


def test_an_untrained_agent_has_nothing_to_remember_of_a_task() -> None:
    learned, index, trajectories = start()
    config = replace(CONFIG, base_lora_lr=0.0)
    reports = []
    for cycle in range(4):
        rows = trajectories[60 * cycle : 60 * cycle + 60]
        if cycle >= 2:
            rows = [replace(t, embedding=(turn(5) @ t.embedding).astype(np.float32)) for t in rows]
        learned, report = run(learned, rows, index, config)
        reports.append(report.new_task)
    assert reports == [False, False, False, True]
    assert learned.ewc.tasks == 0


# The sample


def test_the_sample_holds_what_was_seen_within_its_capacity_and_each_outcome_once() -> None:
    learned, index, trajectories = start()
    config = replace(CONFIG, rehearsal_capacity=100)
    after, _ = run(learned, trajectories[:80], index, config)
    assert set(after.reservoir.ids) == {t.id for t in trajectories[:80]}
    twice, _ = run(after, trajectories[:160], index, config)
    assert len(twice.reservoir) == 100
    # What worked three times as readily as what did not.
    weighed = {t.id: priority_of(t.id) / (1.0 + 2.0 * t.quality) for t in trajectories[:160]}
    assert set(twice.reservoir.ids) == set(sorted(weighed, key=weighed.__getitem__)[:100])


def test_an_agent_that_begins_has_a_sample_a_task_and_a_standing_that_say_nothing() -> None:
    learned, _, _ = start()
    assert len(learned.reservoir) == len(Reservoir.empty())
    assert learned.task is None
    assert learned.standing.verdict is Verdict.PROBATION
