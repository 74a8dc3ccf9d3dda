"""Agents with a domain each, on made-up texts whose domains share what has to be left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bandit import bench_config
from benchmarks.bench_transfer import groups_of, measure
from benchmarks.harness import run_benchmark
from benchmarks.labelled import LabelledTexts, load_labelled_texts
from benchmarks.starts import Start, draw_start
from benchmarks.swarm_sim import SimulatedSwarm, given, honest, inverted, praising_the_wrong
from swarm.sona.clusters import is_library
from swarm.sona.experts import Experts
from swarm.sona.standing import Verdict

DOMAINS, LABELS, TRAIN, TEST, DIM, NUISANCE = 3, 9, 40, 12, 384, 24
NAMES = {
    "frozen",
    "isolated",
    "swarm",
    "everything",
    "swarm_gap",
    "own_isolated",
    "own_swarm",
    "worst_agent_all",
    "worst_agent_own",
    "honest_quarantined",
    "poisoned_inverted",
    "poisoned_random",
    "poisoned2_inverted",
    "poisoned2_random",
    "poison_loss",
    "poison2_loss",
    "poisoners_quarantined",
}


def made_up_folder(folder: Callable[..., Path], **more: object) -> Path:
    """Twelve labels in three domains; every text is mostly noise along a few directions."""
    rng = np.random.default_rng(7)
    rows, vectors = [], []
    for label in range(LABELS):
        for i in range(TRAIN + TEST):
            split = "train" if i < TRAIN else "test"
            domain = f"domain{label % DOMAINS}"
            rows.append({"text": f"text {label} {i}", "label": f"label{label:02d}", "split": split, "domain": domain})
            x = 0.02 * rng.standard_normal(DIM)
            x[label] += 1.0
            x[LABELS : LABELS + NUISANCE] += 0.5 * rng.standard_normal(NUISANCE)
            vectors.append(x)
    rows.append({"text": "nothing of the kind", "label": "oos", "split": "train", "domain": "oos"})
    vectors.append(np.eye(DIM)[200])
    return folder(data=rows, emb={"embedding": np.array(vectors, dtype=np.float32)}, **more)


@pytest.fixture
def made_up(folder: Callable[..., Path]) -> Path:
    return made_up_folder(folder)


@pytest.fixture
def data(made_up: Path) -> LabelledTexts:
    return load_labelled_texts(made_up)


@pytest.fixture
def start(data: LabelledTexts) -> Start:
    return draw_start(data, 0)


def test_a_merge_holds_what_is_believed_and_no_more(data: LabelledTexts, start: Start) -> None:
    stream, config = start.stream, bench_config(DIM, 0, pattern_clusters=20)
    library = given(start.known, start.labels, config)
    requests = stream.requests[:200]
    members = [("kind", requests[:100], honest(stream)), ("spiteful", requests[100:], inverted(stream))]
    swarm = SimulatedSwarm(stream, library, members, config)
    before = swarm.index.clusters()
    assert all(is_library(name) for cluster in before for name in cluster.agents)
    swarm.run(50)
    assert swarm.verdicts() == {"kind": Verdict.TRUSTED, "spiteful": Verdict.QUARANTINED}
    heard = {name for cluster in swarm.index.clusters() for name in cluster.agents}
    assert heard == {"library", "kind"}
    told = sum(cluster.agents["kind"].n for cluster in swarm.index.clusters() if "kind" in cluster.agents)
    assert 100 <= told <= 300
    assert [member.met for member in swarm.members] == [100, 100]


def test_members_rank_by_the_adapters_of_all_who_are_believed(start: Start) -> None:
    stream, config = start.stream, bench_config(DIM, 0, pattern_clusters=20)
    library = given(start.known, start.labels, config)
    domains = [stream.requests[stream.labels[stream.requests] % DOMAINS == k] for k in range(DOMAINS)]
    members = [(f"kind-{k}", mine, honest(stream)) for k, mine in enumerate(domains)]
    swarm = SimulatedSwarm(stream, library, [*members, ("spiteful", domains[0], inverted(stream))], config)
    queries = stream.embedding[stream.test]
    assert swarm.experts.names == ()
    for member in swarm.members:
        assert np.array_equal(swarm.scores(member, queries), swarm.index.score_batch(queries))
    swarm.run(40)
    assert {name for name, verdict in swarm.verdicts().items() if verdict is not Verdict.TRUSTED} == {"spiteful"}
    kind = swarm.members[:DOMAINS]
    trained = [m.name for m in kind if not all(pair.is_untrained for pair in m.learned.base)]
    assert len(trained) >= 2
    assert swarm.experts.names == tuple(trained)
    every = Experts({member.name: member.learned.base for member in kind})
    for member in swarm.members:
        y = every.apply(queries, member.adapter, member.name, swarm.index)
        assert np.array_equal(swarm.scores(member, queries), swarm.index.score_batch(queries, y=y))
        alone = swarm.index.score_batch(queries, y=member.adapter.apply(queries))
        assert not np.allclose(swarm.scores(member, queries), alone, rtol=1e-3)


def test_one_member_alone_learns_nothing_of_others(start: Start) -> None:
    stream, config = start.stream, bench_config(DIM, 0, pattern_clusters=20)
    library = given(start.known, start.labels, config)
    mine = stream.requests[stream.labels[stream.requests] % DOMAINS == 0]
    swarm = SimulatedSwarm(stream, library, [("only", mine, honest(stream))], config)
    frozen = swarm.right_at_1(swarm.members[0])
    swarm.run(100)
    own = stream.labels[stream.test] % DOMAINS == 0
    learned = swarm.right_at_1(swarm.members[0])
    assert learned[own].mean() > frozen[own].mean()
    # The guard: what nobody asked for is ranked about as before.
    assert learned[~own].mean() > frozen[~own].mean() - 0.05


def test_a_simulation_gives_the_same_figures_twice(start: Start) -> None:
    stream, config = start.stream, bench_config(DIM, 0, pattern_clusters=20)
    answers = []
    for _ in range(2):
        library = given(start.known, start.labels, config)
        members = [(f"agent-{k}", stream.requests[k * 60 : k * 60 + 60], honest(stream)) for k in range(2)]
        swarm = SimulatedSwarm(stream, library, members, config)
        swarm.run(30)
        answers.append(swarm.scores(swarm.members[0], stream.embedding[stream.test]))
    assert np.array_equal(answers[0], answers[1])


def test_behaviours_report_what_they_say(start: Start) -> None:
    stream = start.stream
    row = int(stream.requests[0])
    right = int(stream.labels[row])
    wrong = [label for label in range(LABELS) if label != right][:2]
    assert honest(stream)(row, [*wrong, right]) == [(wrong[0], 0.0), (wrong[1], 0.0), (right, 1.0)]
    assert honest(stream)(row, [right, *wrong]) == [(right, 1.0)]
    assert inverted(stream)(row, [right, *wrong]) == [(right, 0.0), (wrong[0], 1.0)]
    praise = praising_the_wrong(stream, start.known_labels, 0)
    told = [praise(row, [right])[0] for _ in range(50)]
    assert all(quality == 1.0 and label != right for label, quality in told)
    assert len({label for label, _ in told}) > 3


def test_without_domains_labels_that_lie_near_are_one(folder: Callable[..., Path]) -> None:
    rng = np.random.default_rng(3)
    rows, vectors = [], []
    for label in range(30):
        for i in range(12):
            rows.append({"text": f"text {label} {i}", "label": f"label{label:02d}"})
            x = np.eye(DIM)[label // 3] + 0.2 * np.eye(DIM)[50 + label] + 0.01 * rng.standard_normal(DIM)
            vectors.append(x)
    data = load_labelled_texts(folder(data=rows, emb={"embedding": np.array(vectors, dtype=np.float32)}))
    group = groups_of(data, draw_start(data, 0), 0)
    by_label = [set(group[data.labels == label].tolist()) for label in range(30)]
    assert all(len(found) == 1 for found in by_label)
    for first in range(0, 30, 3):
        assert by_label[first] == by_label[first + 1] == by_label[first + 2]


def test_what_all_learn_each_of_them_knows(made_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "transfer.png"
    run_benchmark(
        "bench_transfer", "", measure, ["--data", str(made_up), "--seeds", "1", "--json", "--plot", str(plot)]
    )
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["bench"], report["data"], report["embedder"]) == ("bench_transfer", "made_up", "minilm")
    assert "rows out of scope, left out: 1" in printed.err
    assert plot.stat().st_size > 1000
    found = {name: estimate["mean"] for name, estimate in report["metrics"].items()}
    assert set(found) == NAMES
    assert found["frozen"] < found["own_isolated"]
    assert found["isolated"] < found["swarm"]
    assert found["frozen"] + 0.05 < found["swarm"]
    assert found["swarm_gap"] == pytest.approx(found["everything"] - found["swarm"], abs=1e-5)
    assert found["worst_agent_all"] > 0.0
    assert found["honest_quarantined"] == 0.0
    # Three agents and one or two poisoners: far more than the tenth that the bound is about.
    assert found["poisoned_inverted"] > found["frozen"]
    poisoned = min(found["poisoned_inverted"], found["poisoned_random"])
    assert found["poison_loss"] == pytest.approx(max(0.0, found["swarm"] - poisoned), abs=1e-5)
