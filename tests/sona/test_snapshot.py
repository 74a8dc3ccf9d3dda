from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import DIM, PROPERTY, near, record, state, trajectory, unit_vectors

from swarm.errors import DamagedRecordError, NewerRecordError
from swarm.sona import SonaConfig, SonaEngine, Step, load, save
from swarm.sona.credit import CreditSums
from swarm.sona.snapshot import FORMAT
from swarm.sona.standing import Standing


def lived(seed: int = 2, n: int = 205) -> SonaEngine:
    """A small engine with something in every part that is saved: its queries changed, so that a task lies behind it."""
    config = SonaConfig(
        dim=DIM, base_lora_rank=4, base_lora_layers=2, base_lora_lr=0.01, pattern_clusters=10, seed=seed,
        lora_alpha=3.0, background_interval=40.0, lora_dropout=0.2, rehearsal_capacity=150,
    )  # fmt: skip
    engine = SonaEngine(config, agent="zoë")
    for k, centre in enumerate(unit_vectors(np.random.default_rng(seed), 4)):
        engine.submit_trajectory(trajectory(f"seed {k}", centre, 1.0, action=str(k), agent="library"))
    live(engine, seed, n)
    live(engine, seed + 1, 123)
    return engine


def live(engine: SonaEngine, seed: int, n: int) -> None:
    rng = np.random.default_rng([seed, n])
    centres = unit_vectors(np.random.default_rng(seed), 4)
    start = int(engine.last_cycle_s or 0.0) + len(engine.buffered())
    for i in range(n):
        x = near(rng, centres[i % 4], 0.7)
        trajectory_id = engine.begin_trajectory(x)
        engine.add_step(trajectory_id, x[::-1], rng.random(3), float(rng.random()), node="é", latency_ms=2.0)
        engine.add_step(trajectory_id, None, None, 0.5)
        tried = int(rng.integers(4))
        engine.use_pattern(trajectory_id, str(tried) if i % 3 else "", "do it \x00 \N{SNOWMAN}")
        engine.set_route(trajectory_id, "m")
        engine.add_context(trajectory_id, f"task {i}")
        engine.end_trajectory(trajectory_id, float((tried == i % 4) ^ (rng.random() < 0.1)), now_s=float(start + i + 1))
        engine.tick(float(start + i + 1))
    engine.find_patterns(centres[0])
    full = trajectory("elsewhere", centres[1], 0.4, agent="ada", text="t", cost=0.5, context={"k": "v"})
    engine.submit_trajectory(replace(full, steps=(Step(reward=0.9, activations=centres[2]),)))


def saved(engine: SonaEngine) -> bytes:
    file = io.BytesIO()
    save(engine, file)
    return file.getvalue()


DATA = saved(lived())
STATE = state(lived())


def test_everything_comes_back_exactly() -> None:
    engine = lived()
    assert engine.ewc.tasks > 0
    assert engine.promotions > 0
    assert engine.buffered()
    assert len(engine.reservoir) == 150
    assert engine.task.tasks > 0
    assert engine.task.waiting_n + engine.task.n > 0
    assert engine.standing != Standing()
    assert engine.credit != CreditSums()
    assert set(engine.bank.parts) == {"zoë", "ada", "library"}
    other = load(io.BytesIO(saved(engine)))
    assert state(other) == state(engine)
    assert other.config == engine.config
    assert other.bank.accesses == engine.bank.accesses != {}
    assert (other.agent, other.standing, other.credit) == ("zoë", engine.standing, engine.credit)
    assert other.bank.silent == engine.bank.silent
    assert list(other.bank.parts) == list(engine.bank.parts)
    assert (other.reservoir.ids, other.reservoir.actions) == (engine.reservoir.ids, engine.reservoir.actions)
    assert other.reservoir.embeddings.tobytes() == engine.reservoir.embeddings.tobytes()
    assert other.reservoir.priorities.tolist() == engine.reservoir.priorities.tolist()
    assert (other.task.n, other.task.tasks) == (engine.task.n, engine.task.tasks)
    assert other.task.total.tobytes() == engine.task.total.tobytes()
    assert other.last_cycle_s == engine.last_cycle_s is not None
    assert other.baseline == engine.baseline
    for one, two in zip(engine.buffered(), other.buffered(), strict=True):
        assert one.embedding.tobytes() == two.embedding.tobytes()
        assert (one.id, one.action, one.text, one.context, one.at_s, one.agent, one.cost) == (
            two.id, two.action, two.text, two.context, two.at_s, two.agent, two.cost,
        )  # fmt: skip
        for step, same in zip(one.steps, two.steps, strict=True):
            assert (step.reward, step.node, step.latency_ms) == (same.reward, same.node, same.latency_ms)
            assert (step.activations is None) == (same.activations is None)
    x = unit_vectors(np.random.default_rng(1), 5)
    assert other.apply_lora(x).tobytes() == engine.apply_lora(x).tobytes()
    assert [h.score for h in other.rank_actions(x[0])] == [h.score for h in engine.rank_actions(x[0])]


def test_living_on_gives_the_same_bits_with_and_without_having_been_saved() -> None:
    engine = lived()
    other = load(io.BytesIO(saved(engine)))
    for each in (engine, other):
        live(each, 1, 90)
        each.force_learn()
    assert state(other) == state(engine)


@pytest.mark.parametrize("engine", [SonaEngine(DIM), SonaEngine(SonaConfig.preset("edge_deployment", dim=32))])
def test_a_fresh_engine_comes_back(engine: SonaEngine) -> None:
    assert state(load(io.BytesIO(saved(engine)))) == state(engine)


def test_an_engine_that_is_off_comes_back_off() -> None:
    engine = lived()
    engine.set_enabled(False)
    assert not load(io.BytesIO(saved(engine))).is_enabled


def test_ids_go_on_where_they_stopped_and_open_trajectories_are_not_saved() -> None:
    engine = SonaEngine(DIM)
    record(engine, np.ones(DIM), "a", 1.0)
    opened = engine.begin_trajectory(np.ones(DIM))
    other = load(io.BytesIO(saved(engine)))
    assert other.get_stats().trajectories_open == 0
    assert other.begin_trajectory(np.ones(DIM)) == opened + 1


def test_a_file_holds_no_pickle_and_is_not_compressed() -> None:
    with zipfile.ZipFile(io.BytesIO(DATA)) as archive:
        for member in archive.infolist():
            assert member.compress_type == zipfile.ZIP_STORED
            assert b"|O" not in archive.read(member)[:128]
        assert json.loads(archive.read("header.npy")[128:].decode().lstrip())["format"] == FORMAT


def load_or_damaged(data: bytes) -> None:
    """Fails unless `data` gives an engine equal to the saved one, or a `DamagedRecordError`."""
    try:
        engine = load(io.BytesIO(data))
    except DamagedRecordError:
        return
    assert state(engine) == STATE


@PROPERTY
@given(st.integers(0, len(DATA) - 1))
def test_a_file_that_was_cut_is_damaged(size: int) -> None:
    with pytest.raises(DamagedRecordError, match=r"^engine file: "):
        load(io.BytesIO(DATA[:size]))


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(1, 255)), min_size=1, max_size=3))
def test_a_file_with_flipped_bits_is_damaged_or_the_same_engine(flips: list[tuple[int, int]]) -> None:
    data = bytearray(DATA)
    for position, mask in flips:
        data[position] ^= mask
    load_or_damaged(bytes(data))


@PROPERTY
@given(st.integers(0, 6000), st.integers(0, 7))
def test_each_bit_of_the_headers_of_a_file_may_flip(offset: int, bit: int) -> None:
    # Where the structure is: the local headers at the front, the directory at the end.
    for position in (offset % len(DATA), len(DATA) - 1 - offset % 3000):
        data = bytearray(DATA)
        data[position] ^= 1 << bit
        load_or_damaged(bytes(data))


@PROPERTY
@given(st.binary(max_size=300))
def test_other_bytes_are_damaged(data: bytes) -> None:
    for prefix in (b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", DATA[:100]):
        with pytest.raises(DamagedRecordError):
            load(io.BytesIO(prefix + data))


def test_a_member_whose_header_asks_for_fewer_bytes_than_there_are_is_damaged() -> None:
    # NumPy would read the half of it, never reach the end, and so never compare the checksum.
    start = DATA.index(b"cluster_sums.npy")
    position = DATA.index(b"'<f8'", start)
    with pytest.raises(DamagedRecordError, match=r"the checksum of 'cluster_sums.npy' does not fit"):
        load(io.BytesIO(DATA[:position] + b"'<f4'" + DATA[position + 5 :]))


def test_other_files_of_numpy_are_damaged() -> None:
    single, several = io.BytesIO(), io.BytesIO()
    np.save(single, np.zeros(3))
    np.savez(several, a=np.zeros(3))
    for file in (single, several):
        file.seek(0)
        with pytest.raises(DamagedRecordError):
            load(file)


def test_a_compressed_file_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    np.savez_compressed(file, header=np.zeros(10_000_000, dtype=np.uint8))
    file.seek(0)
    with pytest.raises(DamagedRecordError, match="compressed"):
        load(file)


def rewritten(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """The saved engine with `change(header, arrays)` applied: every checksum fits again."""
    with np.load(io.BytesIO(DATA)) as archive:
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    header = json.loads(arrays["header"].tobytes())
    change(header, arrays)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_a_newer_format_says_so() -> None:
    data = rewritten(lambda header, _: header.update(format=FORMAT + 1))
    with pytest.raises(NewerRecordError, match=f"format {FORMAT + 1}, this program reads up to {FORMAT}"):
        load(io.BytesIO(data))


FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "format of text": lambda h, a: h.update(format="new"),
    "format 0": lambda h, a: h.update(format=0),
    "no rng": lambda h, a: h.pop("rng"),
    "odd rng": lambda h, a: h.update(rng={"bit_generator": "MT19937"}),
    "unknown field": lambda h, a: h["config"].update(simd=True),
    "config out of bounds": lambda h, a: h["config"].update(dim=5),
    "another dim": lambda h, a: h["config"].update(dim=32),
    "another rank": lambda h, a: h["config"].update(base_lora_rank=5),
    "more layers": lambda h, a: h["config"].update(base_lora_layers=3),
    "weights of nan": lambda h, a: a.update(micro_up=np.full_like(a["micro_up"], np.nan)),
    "weights of float64": lambda h, a: a.update(base_up_0=a["base_up_0"].astype(np.float64)),
    "weights of objects": lambda h, a: a.update(base_up_0=np.array([None])),
    "missing weights": lambda h, a: a.pop("base_down_1"),
    "ewc of another shape": lambda h, a: a.update(ewc_anchor_0=np.zeros((1, 1), np.float32)),
    "ewc of nan": lambda h, a: h["ewc"].update(constant=float("nan")),
    "fewer cluster sums": lambda h, a: a.update(cluster_sums=a["cluster_sums"][:1]),
    "cluster sums of nan": lambda h, a: a.update(cluster_sums=a["cluster_sums"] * np.nan),
    "cluster of -1 outcomes": lambda h, a: h["clusters"][0][1].update(n=-1),
    "cluster of text": lambda h, a: h["clusters"][0][1].update(n="3"),
    "action of a number": lambda h, a: h["clusters"][0][1].update(action=5),
    "extra field": lambda h, a: h["clusters"][0][1].update(extra=5),
    "quality 7.5": lambda h, a: h["buffer"][0].update(quality=7.5),
    "buffer beyond capacity": lambda h, a: (
        h["config"].update(trajectory_capacity=100) or h.update(buffer=h["buffer"] * 100)
    ),
    "embedding of zeros": lambda h, a: a.update(trajectory_0=np.zeros(DIM, np.float32)),
    "embedding of text": lambda h, a: a.update(trajectory_0=np.array(["x"] * DIM)),
    "baseline of nan": lambda h, a: h.update(baseline=float("nan")),
    "counts of text": lambda h, a: h.update(counts="abc"),
    "too few counts": lambda h, a: h.update(counts=[1]),
    "negative counts": lambda h, a: h.update(counts=[-1, 0, 0]),
    "recorder of floats": lambda h, a: h.update(recorder=[1.5, 2]),
    "accesses of text": lambda h, a: h.update(accesses={"a": "b"}),
    "time of nan": lambda h, a: h.update(last_cycle_s=float("nan")),
    "clusters a number": lambda h, a: h.update(clusters=5),
    "cluster of nobody": lambda h, a: h["clusters"][0].__setitem__(0, None),
    "confirmed a number": lambda h, a: h["clusters"][0][1].update(confirmed=1),
    "agent of a number": lambda h, a: h.update(agent=5),
    "no agent": lambda h, a: h.pop("agent"),
    "silent a number": lambda h, a: h.update(silent=5),
    "sample of fewer actions": lambda h, a: h["sample"][1].pop(),
    "sample of numbers": lambda h, a: h["sample"].__setitem__(0, [7] * 150),
    "sample of nan": lambda h, a: a.update(sample_embeddings=a["sample_embeddings"] * np.nan),
    "sample of another dim": lambda h, a: a.update(sample_embeddings=a["sample_embeddings"][:, :4]),
    "sample of objects": lambda h, a: a.update(sample_embeddings=np.array([None])),
    "fewer qualities": lambda h, a: a.update(sample_qualities=a["sample_qualities"][:3]),
    "qualities of nan": lambda h, a: a.update(sample_qualities=a["sample_qualities"] * np.nan),
    "qualities above one": lambda h, a: a.update(sample_qualities=a["sample_qualities"] + 1.5),
    "task of two sums": lambda h, a: a.update(task_sums=a["task_sums"][:2]),
    "task of nan": lambda h, a: a.update(task_sums=a["task_sums"] * np.nan),
    "task of another dim": lambda h, a: a.update(task_sums=a["task_sums"][:, :4]),
    "task of negative counts": lambda h, a: h.update(task=[-1, 0, 0, 0, 0]),
    "task of too few counts": lambda h, a: h.update(task=[1, 2]),
    "standing of text": lambda h, a: h["standing"].update(n="many"),
    "standing below zero": lambda h, a: h["standing"].update(pq=-1.0),
    "strange standing": lambda h, a: h["standing"].update(strange=1.0),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_file_with_impossible_values_is_damaged_although_its_checksums_fit(name: str) -> None:
    data = rewritten(FORGERIES[name])
    with pytest.raises(DamagedRecordError, match=r"^engine file: "):
        load(io.BytesIO(data))


def test_a_file_whose_header_is_no_map_is_damaged() -> None:
    for text in (b"[]", b"5", b"null", b"{", b"\xff", b"[" * 100_000):
        file = io.BytesIO()
        np.savez(file, header=np.frombuffer(text, dtype=np.uint8))
        file.seek(0)
        with pytest.raises(DamagedRecordError):
            load(file)
