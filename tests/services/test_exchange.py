"""What an agent is exported as, read by the libraries of these formats: the same adapter, and every outcome once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from exchange_support import TASKS, another_swarm, learn
from huggingface_hub import ModelCard
from safetensors.numpy import load_file
from swarm_support import DIM, present

from swarm.errors import BoundsError, DamagedRecordError, InputError, RuntimeSetupError, ShapeError, UnknownIdError
from swarm.services.exchange import FORMATS, ExportReport, export_agent_to
from swarm.services.exchange.adapters import read_adapter
from swarm.services.exchange.examples import Example, read_examples
from swarm.services.exchange.jsonl import distillation_rows, preference_rows
from swarm.services.exchange.source import read_portable
from swarm.services.swarm import Swarm
from swarm.sona.adapter import bend
from swarm.sona.lora import LoraPair
from swarm.sona.merged import joined_pair
from swarm.sona.quantised import QuantisedAdapter
from swarm.sona.vectors import Vector, unit_rows

QUERIES = unit_rows(np.random.default_rng(0).standard_normal((33, DIM)).astype(np.float32))


@pytest.fixture(scope="module")
def home(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """A swarm in which two agents have learned."""
    with another_swarm(redis_server, tmp_path_factory.mktemp("home")) as (swarm, background):
        learn(swarm, background, 2)
        yield swarm


@pytest.fixture(scope="module")
def micro() -> LoraPair:
    """The micro tier of a process of the agent."""
    pair = LoraPair.initial(2, DIM, 1.0, np.random.default_rng(1))
    pair.up[:] = 0.1 * np.random.default_rng(2).standard_normal(pair.up.shape)
    return pair


@pytest.fixture(scope="module")
def adapted(home: Swarm, micro: LoraPair) -> Vector:
    """The queries as both tiers bend them."""
    return bend(QUERIES, (*present(home.agents.weights("ada")).base, micro))


@pytest.fixture(scope="module")
def exported(home: Swarm, micro: LoraPair, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """Agent ada, everything of it."""
    return export_agent_to(home, "ada", tmp_path_factory.mktemp("ada"), bits=8, micro=micro)


def rows_of(exported: ExportReport, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(exported.path) / f"{name}.jsonl").read_text().splitlines()]


def test_everything_is_written_for_its_owner_alone(exported: ExportReport) -> None:
    folder = Path(exported.path)
    found = {str(path.relative_to(folder)): path.stat() for path in folder.rglob("*") if path.is_file()}
    assert {name: stat.st_size for name, stat in found.items()} == exported.files
    assert {stat.st_mode & 0o777 for stat in found.values()} == {0o600}
    assert (exported.left_out, exported.is_identity) == ({}, False)
    assert len(found) == len(FORMATS) + 6


def test_safetensors_reads_both_tiers(exported: ExportReport, adapted: Vector) -> None:
    path = Path(exported.path) / "adapter.safetensors"
    arrays = load_file(path)
    assert sorted(arrays) == ["base.0.down", "base.0.up", "micro.down", "micro.up"]
    delta = sum(QUERIES @ arrays[f"{pair}.down"].T @ arrays[f"{pair}.up"] for pair in ("base.0", "micro"))
    z = QUERIES + delta
    assert np.abs(z / np.linalg.norm(z, axis=1, keepdims=True) - adapted).max() < 1e-5
    saved = read_adapter(path)
    assert (saved.agent, saved.embedder, saved.dim, saved.bits) == ("ada", f"hashed@1 ({DIM}-d)", DIM, 32)
    assert isinstance(saved.adapter, tuple)
    assert (bend(QUERIES, saved.adapter) == adapted).all()


def test_eight_bits_are_read_back_and_what_they_cost_is_what_was_said(
    exported: ExportReport, adapted: Vector, home: Swarm, micro: LoraPair
) -> None:
    path, error = Path(exported.path) / "adapter-8bit.safetensors", present(exported.quantised)
    found = read_adapter(path).adapter
    assert isinstance(found, QuantisedAdapter)
    assert found.size_bytes == error.size_bytes < 0.3 * error.float_bytes
    assert 0.0 < np.abs(found.apply(QUERIES) - adapted).max() < 0.01
    centroids = np.array([cluster.centroid for cluster in read_portable("ada", home).clusters])
    pairs = (*present(home.agents.weights("ada")).base, micro)
    off = np.linalg.norm(found.apply(centroids) - bend(centroids, pairs), axis=1)
    assert error.applied == pytest.approx(off.mean(), rel=1e-3)


def test_a_file_that_holds_no_adapter_is_refused(exported: ExportReport, tmp_path: Path) -> None:
    whole = (Path(exported.path) / "adapter.safetensors").read_bytes()
    for name, data in (("cut", whole[:-1]), ("none", b"x" * 50), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DamagedRecordError, match=f"{name}: no adapter"):
            read_adapter(tmp_path / name)
    with pytest.raises(DamagedRecordError, match=r"adapter_model\.safetensors: its format is 'pt'"):
        read_adapter(Path(exported.path) / "peft" / "adapter_model.safetensors")
    with pytest.raises(RuntimeSetupError, match="cannot read the adapter"):
        read_adapter(tmp_path / "nowhere")


def test_onnxruntime_adapts_as_the_agent_does_for_any_number_of_queries(
    exported: ExportReport, adapted: Vector
) -> None:
    session = onnxruntime.InferenceSession(Path(exported.path) / "adapter.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 5, len(QUERIES)):
        [found] = session.run(["adapted"], {"x": QUERIES[:n]})
        assert found.shape == (n, DIM)
        assert np.abs(found - adapted[:n]).max() < 1e-4
    [long] = session.run(["adapted"], {"x": 7.0 * QUERIES})
    assert np.abs(np.linalg.norm(long, axis=1) - 7.0).max() < 1e-4
    [zero] = session.run(["adapted"], {"x": np.zeros((2, DIM), np.float32)})
    assert (zero == 0.0).all()


def test_the_graph_of_an_untrained_agent_is_the_identity(home: Swarm, tmp_path: Path) -> None:
    home.register("new", "coder")
    done = export_agent_to(home, "new", tmp_path, formats=["onnx", "peft", "safetensors", "jsonl", "card"], bits=4)
    session = onnxruntime.InferenceSession(tmp_path / "adapter.onnx", providers=["CPUExecutionProvider"])
    assert (session.run(None, {"x": QUERIES})[0] == QUERIES).all()
    assert (load_file(tmp_path / "peft" / "adapter_model.safetensors")[f"{PEFT}.lora_B.weight"] == 0.0).all()
    assert (done.rows, present(done.quantised).frobenius) == (
        dict.fromkeys(("patterns", "routing", "preferences", "distillation"), 0),
        0.0,
    )
    assert (done.is_identity, present(done.quantised).bits) == (True, 4)
    assert read_adapter(tmp_path / "adapter-4bit.safetensors").bits == 4
    # A file without rows is none: libraries cannot read it.
    assert done.left_out["routing"] == "no routes"
    assert set(done.left_out) == set(done.rows)
    assert list(tmp_path.glob("*.jsonl")) == []
    assert "there is no held-out loss" in (tmp_path / "README.md").read_text()


PEFT = "base_model.model.projection"


def test_the_peft_folder_has_the_keys_shapes_and_scale_of_a_lora(
    exported: ExportReport, home: Swarm, micro: LoraPair
) -> None:
    """The `peft` package itself reads it in `test_peft.py`, in an environment that has torch."""
    folder = Path(exported.path) / "peft"
    arrays, config = (
        load_file(folder / "adapter_model.safetensors"),
        json.loads((folder / "adapter_config.json").read_text()),
    )
    base = present(home.agents.weights("ada")).base
    rank = sum(len(pair.down) for pair in (*base, micro))
    assert {name: array.shape for name, array in arrays.items()} == {
        f"{PEFT}.lora_A.weight": (rank, DIM),
        f"{PEFT}.lora_B.weight": (DIM, rank),
    }
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", rank, rank)
    assert config["target_modules"] == ["projection"]
    joined = joined_pair((*base, micro), DIM)
    delta = arrays[f"{PEFT}.lora_B.weight"] @ arrays[f"{PEFT}.lora_A.weight"]
    assert np.abs(QUERIES @ delta.T - joined.delta(QUERIES)).max() < 1e-5


def test_the_datasets_library_loads_every_jsonl_file(exported: ExportReport, tmp_path: Path) -> None:
    """In a process of its own: that library takes seconds to import, and warns."""
    code = (
        "import json, sys; from datasets import load_dataset\n"
        "names = sys.argv[2].split(',')\n"
        "sets = {n: load_dataset('json', data_files=f'{sys.argv[1]}/{n}.jsonl', split='train') for n in names}\n"
        "print(json.dumps({n: [len(s), sorted(s.column_names), s[0]] for n, s in sets.items()}))"
    )
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code, exported.path, ",".join(exported.rows)],
        capture_output=True,
        text=True,
        timeout=100,
        env=environment,
        check=True,
    )
    found = json.loads(run.stdout.splitlines()[-1])
    assert {name: rows for name, (rows, _, _) in found.items()} == exported.rows
    assert {"prompt", "chosen", "rejected"} <= set(found["preferences"][1])
    assert [message["role"] for message in found["distillation"][2]["messages"]] == ["user", "assistant"]
    assert {"task", "route", "quality", "cost", "latency_ms"} <= set(found["routing"][1])
    assert len(found["patterns"][2]["embedding"]) == DIM


def test_rows_are_the_outcomes_as_they_were_reported(exported: ExportReport, home: Swarm) -> None:
    n = home.agents.state("ada").consolidated
    assert (exported.rows["routing"], exported.waiting) == (n, 0)
    first = rows_of(exported, "routing")[0]
    assert (first["trajectory"], first["route"], first["cost"], first["latency_ms"]) == (
        "ada-0",
        "route-0",
        0.25,
        100.0,
    )
    chats = rows_of(exported, "distillation")
    assert all(chat["quality"] == 0.9 for chat in chats)
    assert chats[0]["messages"] == [
        {"role": "user", "content": f"{TASKS[0]}, case 0 of ada"},
        {"role": "assistant", "content": "the way to parse"},
    ]
    for pair in rows_of(exported, "preferences"):
        verb = pair["prompt"].split()[0]
        assert pair["rejected"] == f"a wrong way to {verb}"
        assert pair["chosen"].startswith("the way to")
        assert pair["similarity"] >= 0.9
    assert exported.rows["preferences"] > 10
    patterns = rows_of(exported, "patterns")
    assert sum(pattern["outcomes"] for pattern in patterns) == n
    assert {tuple(pattern["agents"]) for pattern in patterns} == {("ada",)}


def test_outcomes_that_the_stream_lost_are_those_that_the_clusters_remember(home: Swarm) -> None:
    portable = read_portable("bob", home)
    whole = read_examples(portable, home)
    assert len({one.trajectory for one in whole}) == len(whole) == portable.outcomes
    assert all(one.is_whole for one in whole)
    home.client.xtrim(home.keys.agent("bob").stream, maxlen=0, approximate=False)
    left = read_examples(portable, home)
    known = {one.trajectory_id: one for cluster in portable.clusters for one in cluster.exemplars}
    assert {one.trajectory for one in left} == known.keys()
    assert not any(one.is_whole for one in left)
    texts = {one.trajectory: (one.prompt, one.quality) for one in whole}
    assert all((one.prompt, one.quality) == texts[one.trajectory] for one in left)


def example(name: str, prompt: str, response: str, quality: float, vector: Vector) -> Example:
    return Example(
        trajectory=name,
        prompt=prompt,
        response=response,
        quality=quality,
        action="",
        task_type="General",
        route="",
        latency_ms=0.0,
        cost=0.0,
        at_s=0.0,
        vector=vector,
        is_whole=True,
    )


def test_a_preference_needs_a_like_task_and_another_response() -> None:
    x, y = np.eye(4, dtype=np.float32)[:2]
    bad = example("bad", "p", "no", 0.0, x)
    good = [example("far", "q", "far", 1.0, y), example("same", "p", "no", 1.0, x)]
    assert preference_rows([bad, *good], 0.5) == []
    near = [example("worse", "p", "yes", 0.6, x), example("better", "p", "sure", 0.9, x)]
    [row] = preference_rows([bad, *good, *near], 0.5)
    assert (row["prompt"], row["chosen"], row["rejected"]) == ("p", "sure", "no")
    # The same pair again is no second row, and a failure that says nothing is none.
    again = example("again", "p", "no", 0.1, x)
    assert len(preference_rows([bad, again, example("mute", "p", "", 0.0, x), *near], 0.5)) == 1


def test_of_equal_chats_the_best_one_stays() -> None:
    x = np.eye(4, dtype=np.float32)[0]
    told = [example(str(q), "p", "r", q, x) for q in (0.6, 0.9, 0.7, 0.2)]
    assert [row["quality"] for row in distillation_rows(told, 0.5)] == [0.9]


def test_the_hub_reads_the_card_and_its_figures_are_those_that_are_stored(exported: ExportReport, home: Swarm) -> None:
    card = ModelCard.load(Path(exported.path) / "README.md")
    assert card.data.library_name == "peft"
    assert card.data.tags is not None
    assert "lora" in card.data.tags
    assert card.data.license is None
    state, [newest, *_] = home.agents.state("ada"), home.history("ada")
    assert f"| outcomes learned from | {state.consolidated:,} |" in card.text
    assert f"| {newest.version} | {newest.figures['held_out']} |" in card.text
    assert f"| {newest.loss_before:.4f} | {newest.loss_after:.4f} | {newest.update} |" in card.text
    stats = json.loads((Path(exported.path) / "stats.json").read_text())
    assert stats["held_out"][-1]["loss_after"] == newest.loss_after
    config = json.loads((Path(exported.path) / "config.json").read_text())
    assert config["config"] == present(home.agents.registration("ada")).config.as_dict()
    assert config["embedder"] == {"id": "hashed", "dim": DIM, "version": "1"}


def test_without_texts_no_word_of_a_task_or_response_is_in_any_file(
    home: Swarm, exported: ExportReport, tmp_path: Path
) -> None:
    done = export_agent_to(home, "ada", tmp_path, bits=4, has_texts=False)
    assert sorted(done.left_out) == ["distillation", "preferences"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for word in (b"the way to", b"yesterday", b"red circles", b"case 1"):
        assert word not in written
        assert word in b"".join(path.read_bytes() for path in Path(exported.path).rglob("*") if path.is_file())


def test_what_cannot_be_exported_is_refused_by_name(home: Swarm, micro: LoraPair, tmp_path: Path) -> None:
    to = tmp_path / "to"
    with pytest.raises(UnknownIdError, match="agent 'nobody' is not registered: see swarm agents list"):
        export_agent_to(home, "nobody", to)
    with pytest.raises(InputError, match=r"formats must be of all, agent, .* got \['gguf'\]"):
        export_agent_to(home, "ada", to, formats=["gguf"])
    with pytest.raises(BoundsError, match="bits must be 8 or 4, got 3"):
        export_agent_to(home, "ada", to, bits=3)
    with pytest.raises(ShapeError, match=rf"micro must have shape \(r, {DIM}\), got \(2, 8\)"):
        export_agent_to(home, "ada", to, micro=LoraPair(micro.down[:, :8], micro.up[:, :8], 1.0))
    assert not to.exists()
    to.write_text("a file")
    with pytest.raises(RuntimeSetupError, match="cannot make the folder"):
        export_agent_to(home, "ada", to)
