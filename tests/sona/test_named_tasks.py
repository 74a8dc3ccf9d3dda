"""A task that is said to begin ends the one before: what that learned is held, by EWC and by rehearsal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from sona_support import cluster, near, trajectory, unit_vectors

from swarm.sona.adapter import Adapter
from swarm.sona.background import Learned, run_cycle
from swarm.sona.boundary import TaskShift
from swarm.sona.config import SonaConfig
from swarm.sona.ewc import EwcMemory
from swarm.sona.index import PatternIndex
from swarm.sona.training import adapted
from swarm.sona.vectors import Vector, unit

DIM = 16
SEEDS = range(3)


class TwoTasks:
    """Twelve prototypes that stand still; the queries of each task lie beyond other ones of them than its own.

    Six actions are asked for by both tasks, and bent differently.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.centres = unit_vectors(np.random.default_rng(seed), 12, DIM)

    def draw(self, task: str, n: int, number: int) -> tuple[Vector, list[int]]:
        actions = np.arange(9) if task == "a" else np.arange(3, 12)
        targets = np.random.default_rng([self._seed, ord(task)]).permutation(actions)
        rng = np.random.default_rng([self._seed, ord(task), number])
        rows = rng.integers(len(actions), size=n)
        bent = self.centres[actions[rows]] + 1.2 * self.centres[targets[rows]]
        return np.array([near(rng, unit(row.astype(np.float32)), 0.4) for row in bent]), actions[rows].tolist()


def learned_in_turn(seed: int, *, is_told: bool = True, **changes: float) -> dict[str, float]:
    """What the adapter finds of `a` after it, and of both tasks after `b`; shares of right actions."""
    world = TwoTasks(seed)
    config = SonaConfig.from_dict({"dim": DIM, "base_lora_lr": 0.01, "base_epochs": 15, **changes})
    index = PatternIndex(config)
    index.replace_all([cluster(f"home-{k}", centre, action=str(k)) for k, centre in enumerate(world.centres)])
    base = tuple(Adapter.initial(config, np.random.default_rng(0)).base)
    learned = Learned(clusters=(), base=base, ewc=EwcMemory.empty())
    found: dict[str, float] = {}

    def score(task: str) -> float:
        queries, actions = world.draw(task, 200, 1)
        y, _ = adapted(learned.base, queries)
        return float(((y @ world.centres.T).argmax(axis=1) == actions).mean())

    for task in ("a", "b"):
        queries, actions = world.draw(task, 300, 0)
        outcomes = [
            trajectory(f"{task}-{i}", x, action=str(k)) for i, (x, k) in enumerate(zip(queries, actions, strict=True))
        ]
        name = task if is_told else ""
        learned, report = run_cycle(learned, outcomes, index, config, np.random.default_rng(0), task=name)
        assert report.promoted, report.why
        assert report.new_task is (is_told and task == "b")
        found |= {f"a after {task}": score("a"), f"b after {task}": score("b")}
    return found


def mean_of(*, is_told: bool = True, **changes: float) -> Mapping[str, float]:
    runs = [learned_in_turn(seed, is_told=is_told, **changes) for seed in SEEDS]
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def test_finetuning_on_one_task_keeps_another() -> None:
    kept = mean_of()
    naive = mean_of(ewc_lambda=0.0, rehearsal_capacity=0)
    # Both learned the first task alike, and the naive one loses much of it to the second.
    assert abs(kept["a after a"] - naive["a after a"]) < 0.02
    assert naive["a after b"] < naive["a after a"] - 0.1
    assert kept["a after b"] > kept["a after a"] - 0.03
    # Not by learning nothing.
    assert kept["b after b"] > kept["b after a"] + 0.4
    assert kept["b after b"] > naive["b after b"] - 0.06


def test_where_little_is_rehearsed_ewc_holds_a_task_only_if_its_end_is_known() -> None:
    told = mean_of(rehearsal_capacity=20)
    without = mean_of(rehearsal_capacity=20, ewc_lambda=0.0)
    untold = mean_of(rehearsal_capacity=20, is_told=False)
    assert told["a after b"] > without["a after b"] + 0.005
    # One batch of another task is not yet a shift that lasts.
    assert told["a after b"] > untold["a after b"] + 0.005


def seen(state: TaskShift, centre: Vector, n: int = 30) -> TaskShift:
    rng = np.random.default_rng(n)
    return state.seen(np.array([near(rng, centre, 0.3) for _ in range(n)]))[0]


def test_a_name_begins_a_task_once() -> None:
    centre = unit_vectors(np.random.default_rng(0), 1)[0]
    fresh, has_ended = TaskShift.beginning(DIM).announced("review")
    assert (fresh.name, has_ended) == ("review", False)
    state = seen(fresh, centre)
    assert (state.name, state.announced("review")[1]) == ("review", False)
    other, has_ended = state.announced("triage")
    assert has_ended
    assert (other.name, other.tasks, other.n) == ("triage", state.tasks + 1, 0.0)


@pytest.mark.parametrize("n", [5, 30])
def test_a_task_without_a_name_ends_where_one_with_a_name_begins(n: int) -> None:
    state = seen(TaskShift.beginning(DIM), unit_vectors(np.random.default_rng(0), 1)[0], n)
    assert state.announced("review")[1]


def test_a_shift_that_is_found_ends_what_was_told() -> None:
    near_one, far = unit_vectors(np.random.default_rng(0), 2)
    state = seen(TaskShift.beginning(DIM).announced("review")[0], near_one)
    once = seen(state, far)
    assert once.name == "review"
    assert seen(once, far).name == ""
    assert seen(once, far).tasks == 1
