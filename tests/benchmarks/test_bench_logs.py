"""Routing logs and agent trajectories: what is read, and an error that says where for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.routing_log import load_routing_log, with_routing_split_of
from benchmarks.trajectories import load_agent_trajectories
from swarm.errors import InputError

Folder = Callable[..., Path]

MODELS = ["small", "large"]


def query(i: int, **changes: object) -> dict[str, object]:
    """One request of a routing log."""
    row: dict[str, object] = {
        "id": f"q{i}",
        "bench": "maths" if i % 2 else "law",
        "split": "test" if i % 5 == 0 else "train",
        "prompt": f"question {i}",
        "score": [0, 1],
        "cost": [3e-5, 0.5],
        "latency_s": [0.1, 2],
        "tools": ["solve"] if i % 2 else [],
    }
    return {name: value for name, value in {**row, **changes}.items() if value is not None}


QUERIES = [query(i) for i in range(10)]
TASKS = [
    {"task_id": "mail/0", "domain": "mail", "query": "send it to Ann", "template": "send it to {name}", "answer": []},
    {
        "task_id": "mail/1",
        "domain": "mail",
        "query": "send it to Bob",
        "template": "send it to {name}",
        "answer": ["s()"],
    },
    {"task_id": "plot/0", "domain": "plot", "query": "draw a line"},
]


def run(**changes: object) -> dict[str, object]:
    """One run of an agent."""
    row: dict[str, object] = {"task_id": "mail/0", "agent": "b", "success": 1, "tools": "all", "calls": ["x()", "y()"]}
    return {name: value for name, value in {**row, **changes}.items() if value is not None}


def test_a_routing_log_holds_tables_of_requests_by_models(folder: Folder) -> None:
    given = np.random.default_rng(0).standard_normal((10, 384)).astype(np.float16)
    log = load_routing_log(folder("calls", queries=QUERIES, models_json=MODELS, emb={"embedding": given}))
    assert (log.name, log.embedder, log.models) == ("calls", "minilm", ("small", "large"))
    assert log.category_names == ("law", "maths")
    assert log.categories.tolist() == [0, 1] * 5
    assert log.scores.shape == (10, 2)
    assert log.costs_usd[0].tolist() == [3e-5, 0.5]
    assert log.latencies_s is not None
    assert log.latencies_s[9].tolist() == [0.1, 2.0]
    assert log.tools[:2] == ((), ("solve",))
    assert np.flatnonzero(log.test).tolist() == [0, 5]
    assert log.train.sum() == 8
    np.testing.assert_allclose(np.linalg.norm(log.embedding, axis=1), 1.0, atol=1e-6)
    assert not any(array.flags.writeable for array in (log.scores, log.costs_usd, log.latencies_s, log.embedding))


def test_names_of_tools_are_part_of_what_is_embedded(folder: Folder) -> None:
    with_tools = load_routing_log(folder(queries=QUERIES, models_json=MODELS), "hashed:64")
    rows = [query(i, tools=None, latency_s=None) for i in range(10)]
    without = load_routing_log(folder("bare", queries=rows, models_json=MODELS), "hashed:64")
    assert without.latencies_s is None
    same = (with_tools.embedding == without.embedding).all(axis=1)
    assert same.tolist() == [True, False] * 5


def test_a_routing_log_without_a_split_gets_one_by_seed(folder: Folder) -> None:
    rows = [query(i, split=None) for i in range(100)]
    log = load_routing_log(folder(queries=rows, models_json=MODELS), "hashed:64")
    drawn = [with_routing_split_of(log, seed) for seed in (0, 1)]
    assert [one.test.sum() for one in drawn] == [20, 20]
    assert (drawn[0].test != drawn[1].test).any()
    own = load_routing_log(folder("own", queries=QUERIES, models_json=MODELS), "hashed:64")
    assert with_routing_split_of(own, 1) is own


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score": [0]}, "score must hold 2 numbers, got 1"),
        ({"score": [0, 1.5]}, r"score\[1\] must be in 0..1, got 1.5"),
        ({"score": [0, True]}, r"score\[1\] must be a number in 0..1, got True"),
        ({"cost": [0.1, float("nan")]}, r"cost\[1\] must be in 0..1e\+06, got nan"),
        ({"cost": [-1, 0]}, r"cost\[0\] must be in 0"),
        ({"latency_s": "fast"}, "latency_s must be a list, got str"),
        ({"prompt": ""}, "prompt must hold more than white space"),
        ({"id": None}, "id is missing"),
    ],
)
def test_a_bad_request_is_an_error_that_names_file_and_line(
    folder: Folder, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=r"queries\.jsonl\.gz, line 11: " + reason):
        load_routing_log(folder(queries=[*QUERIES, query(10, **changes)], models_json=MODELS), "hashed:64")


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        ({"a": 1}, "must be a list of names, got dict"),
        (["a", 3], "must be a list of names"),
        (["a", "a"], "at least 2 different names are needed, got 2, 1 different"),
    ],
)
def test_names_of_models_that_do_not_fit_are_an_error(folder: Folder, models: object, reason: str) -> None:
    path = folder(queries=QUERIES)
    with pytest.raises(InputError, match=r"models\.json: cannot be read"):
        load_routing_log(path, "hashed:64")
    (path / "models.json").write_text(json.dumps(models))
    with pytest.raises(InputError, match=r"models\.json: " + reason):
        load_routing_log(path, "hashed:64")


def test_runs_point_to_their_tasks_and_a_task_without_template_is_its_own(folder: Folder) -> None:
    runs = [
        run(),
        run(task_id="plot/0", agent="a", success=0, tools=None, calls=None, n_steps=4, side_effect=1, error="out"),
    ]
    found = load_agent_trajectories(folder("office", plain=True, tasks=TASKS, trajectories=runs), "hashed:64")
    tasks, made = found.tasks, found.runs
    assert (found.name, found.embedder) == ("office", "hashed:64")
    assert tasks.domains.tolist() == [0, 0, 1]
    assert tasks.templates[0] == tasks.templates[1] != tasks.templates[2]
    assert tasks.answers == ((), ("s()",), ())
    assert tasks.embedding.shape == (3, 64)
    assert made.tasks.tolist() == [0, 2]
    assert [made.agent_names[agent] for agent in made.agents] == ["b", "a"]
    assert made.success.tolist() == [True, False]
    assert made.side_effect.tolist() == [False, True]
    assert made.n_steps.tolist() == [2, 4]
    assert made.calls == (("x()", "y()"), ())
    assert made.toolsets == ("all", "")
    assert made.errors == ("", "out")


def test_the_folders_vectors_of_tasks_are_taken_by_default(folder: Folder) -> None:
    given = np.eye(3, 384, dtype=np.float16)
    found = load_agent_trajectories(folder(tasks=TASKS, trajectories=[run()], emb={"tasks": 2 * given}))
    assert found.embedder == "minilm"
    assert (found.tasks.embedding == given.astype(np.float32)).all()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task_id": "gone"}, "task_id must be one of the tasks, got 'gone'"),
        ({"success": 0.5}, "success must be 0 or 1, got 0.5"),
        ({"success": None}, "success must be 0 or 1, got None"),
        ({"n_steps": -1}, "n_steps must be in 0"),
        ({"calls": "x()"}, "calls must be a list, got str"),
    ],
)
def test_a_bad_run_is_an_error_that_names_file_and_line(
    folder: Folder, changes: dict[str, object], reason: str
) -> None:
    runs = [run(), run(**changes)]
    with pytest.raises(InputError, match=r"trajectories\.jsonl\.gz, line 2: " + reason):
        load_agent_trajectories(folder(tasks=TASKS, trajectories=runs), "hashed:64")


def test_a_task_that_comes_twice_is_an_error(folder: Folder) -> None:
    with pytest.raises(InputError, match=r"tasks\.jsonl\.gz, line 4: task_id must be unique, got 'mail/0' twice"):
        load_agent_trajectories(folder(tasks=[*TASKS, TASKS[0]], trajectories=[run()]), "hashed:64")


def test_a_folder_of_another_form_is_an_error_that_says_what_is_needed(folder: Folder) -> None:
    labelled = folder(data=[{"text": "a", "label": "b"}])
    with pytest.raises(InputError, match=r"must be a routing set, but there is no queries\.jsonl\.gz"):
        load_routing_log(labelled)
    with pytest.raises(InputError, match=r"must be a set of agent trajectories, but there is no tasks\.jsonl\.gz"):
        load_agent_trajectories(labelled)
    for load in (load_routing_log, load_agent_trajectories):
        with pytest.raises(InputError, match="no data of its own, give --data DIR"):
            load(None)
