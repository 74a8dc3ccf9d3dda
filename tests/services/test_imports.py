"""Agents taken to another swarm: they rank, learn and are forgotten there as here; what does not fit writes nothing."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exchange_support import AGENTS, TASKS, another_swarm, learn, told
from hypothesis import given, settings
from hypothesis import strategies as st
from swarm_support import present

from swarm.errors import (
    BoundsError,
    DamagedRecordError,
    EmbedderMismatchError,
    InputError,
    NewerRecordError,
    RecordError,
    RuntimeSetupError,
    ShapeError,
    SwarmError,
)
from swarm.services.background import Background
from swarm.services.exchange import export_agent_to, import_agents, read_portable
from swarm.services.lineage import IMPORT
from swarm.services.restore import restore
from swarm.services.swarm import Swarm
from swarm.sona.ewc import EwcMemory
from swarm.sona.standing import Standing, Verdict
from swarm.wire.agent_file import PortableAgent, check_portable, read_agent, write_agent
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.memory_records import decode_learner
from swarm.wire.records import Weights, encode_cluster, encode_weights
from swarm.wire.schema import SCHEMA

Place = tuple[Swarm, Background]


@pytest.fixture(scope="module")
def home(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A swarm in which two agents have learned."""
    with another_swarm(redis_server, tmp_path_factory.mktemp("home")) as (swarm, background):
        learn(swarm, background, 3)
        yield swarm, background


@pytest.fixture(scope="module")
def folder(home: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both agents, each in a folder of its name."""
    to = tmp_path_factory.mktemp("exported")
    for agent in AGENTS:
        export_agent_to(home[0], agent, to / agent, formats=["agent"])
    return to


@pytest.fixture
def away(redis_server: str, tmp_path: Path) -> Iterator[Place]:
    """An empty swarm."""
    with another_swarm(redis_server, tmp_path) as made:
        yield made


def answers(swarm: Swarm) -> list[list[tuple[str, float, float, tuple[str, ...]]]]:
    """What the swarm answers to some tasks, in order, with scores and provenance."""
    texts = [*TASKS, "parse a circle", "yesterday's date", "something else entirely"]
    return [
        [(hit.pattern_id, hit.score, hit.mean_quality, tuple(s.agent for s in hit.sources)) for hit in hits]
        for hits in (swarm.query(text, k=50) for text in texts)
    ]


def keys_of(swarm: Swarm) -> list[bytes]:
    return [key for pattern in swarm.keys.patterns for key in swarm.client.scan_iter(match=pattern)]


def as_file(portable: PortableAgent) -> io.BytesIO:
    file = io.BytesIO()
    write_agent(file, portable)
    file.seek(0)
    return file


def test_two_imported_agents_are_the_same_swarm_and_go_on_learning_alike(
    home: Place, folder: Path, away: Place
) -> None:
    (mine, my_work), (theirs, their_work) = home, away
    done = import_agents(theirs, folder)
    assert [(one.agent, one.swarm, one.generation) for one in done] == [(name, mine.keys.swarm, 1) for name in AGENTS]
    # Nobody works for that swarm: the import merges.
    assert answers(theirs) == answers(mine)
    assert len(answers(mine)[0]) > 3
    for name in AGENTS:
        assert theirs.agents.values(name) == mine.agents.values(name)
        assert theirs.roles()[name] == "coder"
        before, after = mine.agents.state(name), theirs.agents.state(name)
        assert (after.consolidated, after.pending, after.age) == (before.consolidated, 0, before.age)
        assert after.verdict is before.verdict
    # The same outcomes teach both the same, to the last bit: also the draws of the consolidation came along.
    for swarm, work in ((mine, my_work), (theirs, their_work)):
        learn(swarm, work, 1, start=3)
    for name in AGENTS:
        assert theirs.agents.values(name)["weights"] == mine.agents.values(name)["weights"] is not None
        assert list(map(encode_cluster, theirs.agents.clusters(name))) == list(
            map(encode_cluster, mine.agents.clusters(name))
        )
    assert answers(theirs) == answers(mine)


def test_an_agent_keeps_its_policy_and_template_where_it_is_imported(home: Place, away: Place, tmp_path: Path) -> None:
    portable, swarm = read_portable("ada", home[0]), away[0]
    policy = AgentPolicy(half_life_s=3_600.0, redact=("email",))
    registration = replace(portable.registration, template="expert", policy=policy)
    (tmp_path / "ada.swarm").write_bytes(as_file(replace(portable, registration=registration)).read())
    import_agents(swarm, tmp_path / "ada.swarm")
    found = swarm.agents.registration("ada")
    assert found is not None
    assert (found.template, found.policy) == ("expert", policy)


def test_an_agent_that_waits_for_its_import_keeps_the_policy_it_has(home: Place, away: Place, tmp_path: Path) -> None:
    portable, swarm = read_portable("ada", home[0]), away[0]
    policy = AgentPolicy(redact=("email",))
    swarm.register("ada", policy=policy)
    (tmp_path / "ada.swarm").write_bytes(as_file(portable).read())
    import_agents(swarm, tmp_path / "ada.swarm")
    assert swarm.agents.directory().policies["ada"] == policy


def test_an_import_is_a_version_that_says_where_it_comes_from(home: Place, folder: Path, away: Place) -> None:
    [done] = import_agents(away[0], folder / "ada")
    [version] = away[0].history("ada")
    assert (version.kind, version.outcomes, version.clusters) == (IMPORT, done.outcomes, done.clusters)
    assert version.figures["from_swarm"] == home[0].keys.swarm
    assert version.figures["from_generation"] == done.source_generation
    away[1].drain(0.0)
    [told] = away[0].events.latest("agent:imported")
    assert told.as_dict()["body"] == {"agent": "ada", "generation": version.version}


def test_under_another_name_every_tag_is_the_new_one(folder: Path, away: Place) -> None:
    swarm, work = away
    [done] = import_agents(swarm, folder / "ada" / "agent.swarm", "carol")
    assert (done.agent, done.source, swarm.agents.names()) == ("carol", "ada", ["carol"])
    work.merge("test", 0.0)
    hits = swarm.query(TASKS[0], k=50)
    assert {source.agent for hit in hits for source in hit.sources} == {"carol"}
    assert {example.agent for hit in hits for example in hit.examples} == {"carol"}


def test_what_an_import_brought_is_taken_out_with_its_agent(folder: Path, away: Place) -> None:
    swarm, work = away
    import_agents(swarm, folder / "ada")
    work.merge("test", 0.0)
    told(swarm, "ada", 5_000, 5_010)
    work.drain(0.0)
    # A later outcome goes alone: the version before it is the import, which stays.
    kept = swarm.rewind("ada-5003").agents[0]
    assert (kept.base, kept.replayed, kept.lost) == (1, 9, 0)
    assert swarm.query(TASKS[0])
    done = swarm.forget(agent="ada")
    assert done.patterns == swarm.bank.count() == 0
    assert swarm.query(TASKS[0]) == []
    # A file from before brings nothing of it back, under whatever name.
    for name in (None, "carol"):
        with pytest.raises(InputError, match="the agent ada was forgotten here after this file was written"):
            import_agents(swarm, folder / "ada", name)
    assert swarm.agents.names() == []


def test_what_was_forgotten_does_not_come_back_by_a_file(folder: Path, away: Place) -> None:
    swarm, work = away
    import_agents(swarm, folder / "bob")
    work.merge("test", 0.0)
    pattern = next(hit for hit in swarm.query(TASKS[0], k=50))
    swarm.forget(pattern=pattern.pattern_id)
    with pytest.raises(InputError, match=rf"the pattern {pattern.pattern_id} was forgotten here after"):
        import_agents(swarm, folder / "ada")
    assert swarm.agents.names() == ["bob"]


def test_a_forgotten_trajectory_stops_the_files_that_know_it(folder: Path, away: Place) -> None:
    swarm, work = away
    import_agents(swarm, folder / "bob")
    with (folder / "ada" / "agent.swarm").open("rb") as file:
        known = read_agent(file).clusters[0].exemplars[0].trajectory_id
    swarm.register("other")
    told(swarm, "other", 0, 3)
    work.drain(0.0)
    swarm.forget(trajectory="other-1")
    # Of another agent, and not in the file.
    assert import_agents(swarm, folder / "ada")[0].generation == 1
    assert swarm.forget(trajectory=known).agents[0].lost > 0
    with pytest.raises(InputError, match=f"the trajectory {known} was forgotten here after this file was written"):
        import_agents(swarm, folder / "ada", "carol")


def test_a_swarm_takes_no_file_of_its_own_from_before_a_forgetting(away: Place, tmp_path: Path) -> None:
    """A sum does not say whose outcomes are in it: what was forgotten might be."""
    swarm, work = away
    swarm.register("ada")
    told(swarm, "ada", 0, 5)
    work.drain(0.0)
    export_agent_to(swarm, "ada", tmp_path, formats=["agent"])
    swarm.forget(trajectory="long-ago")
    with pytest.raises(InputError, match="the trajectory long-ago was forgotten here after this file was written"):
        import_agents(swarm, tmp_path, "carol")
    export_agent_to(swarm, "ada", tmp_path, formats=["agent"])
    with pytest.raises(InputError, match="agent ada holds"):
        import_agents(swarm, tmp_path, "carol")


def test_an_agent_that_has_learned_here_is_not_overwritten(home: Place, folder: Path, away: Place) -> None:
    swarm, work = away
    swarm.register("ada")
    told(swarm, "ada", 0, 3)
    with pytest.raises(InputError, match="agent ada has learned in this swarm already: --as NAME"):
        import_agents(swarm, folder / "ada")
    work.drain(0.0)
    before = swarm.agents.state("ada")
    # Nor is anything of the other one written, though it would fit.
    with pytest.raises(InputError, match="agent ada has learned"):
        import_agents(swarm, folder)
    assert swarm.agents.state("ada") == before
    assert swarm.agents.names() == ["ada"]


def test_an_agent_that_is_here_itself_is_offered_no_other_name(folder: Path, away: Place) -> None:
    swarm, work = away
    import_agents(swarm, folder / "ada")
    told(swarm, "ada", 5_000, 5_001)
    work.drain(0.0)
    with pytest.raises(InputError, match="has learned on: --swarm NAME imports it into another one") as why:
        import_agents(swarm, folder / "ada")
    assert "--as" not in str(why.value)


def test_what_is_taken_out_of_its_texts_is_taken_out_there_as_here(home: Place, away: Place, tmp_path: Path) -> None:
    there, _ = away
    here = replace(read_portable("ada", home[0]), agent="ada")
    policy = AgentPolicy(ttl_s=9e6, redact=("email",))
    portable = replace(here, registration=replace(here.registration, template="code", policy=policy))
    with (tmp_path / "agent.swarm").open("wb") as file:
        write_agent(file, portable)
    # What an operator said here of an agent that is yet to come holds as well.
    there.register("ada", policy=AgentPolicy(ttl_s=8e6, redact=("phone",)))
    first, *others = portable.clusters
    example = replace(first.exemplars[0], text="call 212-555-0142")
    with io.BytesIO() as file:
        write_agent(file, replace(portable, clusters=(replace(first, exemplars=(example,)), *others)))
        (tmp_path / "said.swarm").write_bytes(file.getvalue())
    with pytest.raises(
        InputError, match=r"agent ada: texts of the file hold what its redaction here takes out \(phone"
    ):
        import_agents(there, tmp_path / "said.swarm")
    import_agents(there, tmp_path)
    known = present(there.agents.registration("ada"))
    assert known.policy == AgentPolicy(ttl_s=8e6, redact=("email", "phone"))
    assert known.template == "code"


def test_a_folder_that_holds_one_agent_under_two_names_writes_nothing(home: Place, away: Place, tmp_path: Path) -> None:
    portable = read_portable("ada", home[0])
    for name in ("ada", "eve"):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "agent.swarm").open("wb") as file:
            write_agent(file, portable.renamed(name))
    with pytest.raises(InputError, match="agents ada and eve hold the same"):
        import_agents(away[0], tmp_path)
    assert away[0].agents.names() == []


def test_the_same_agent_under_two_names_would_confirm_itself_and_is_refused(folder: Path, away: Place) -> None:
    import_agents(away[0], folder / "ada")
    with pytest.raises(InputError, match=r"agent ada holds .* under two names they would confirm one another"):
        import_agents(away[0], folder / "ada", "carol")


def test_an_import_that_was_interrupted_is_run_again(folder: Path, away: Place) -> None:
    swarm, _ = away
    first = import_agents(swarm, folder / "ada")
    again = import_agents(swarm, folder)
    assert again[0] == first[0]
    assert [(name, state.generation) for name, state in swarm.agents.states(AGENTS).items()] == [("ada", 1), ("bob", 1)]


def test_an_operators_quarantine_comes_along_and_probation_forgets_what_was_earned(home: Place, away: Place) -> None:
    mine, (theirs, work) = read_portable("ada", home[0]), away
    earned = decode_learner(mine.values["learner"]).standing
    assert earned.n > 0.0
    fresh = decode_learner(mine.on_probation().values["learner"])
    assert (fresh.standing, fresh.standing.verdict) == (Standing(), Verdict.PROBATION)
    path = work_file(theirs, replace(mine, is_silenced=True))
    [done] = import_agents(theirs, path, is_on_probation=True)
    assert done.verdict == Verdict.QUARANTINED
    work.merge("test", 0.0)
    assert theirs.query(TASKS[0]) == []
    assert theirs.release("ada").verdict == Verdict.PROBATION
    work.merge("test", 0.0)
    assert theirs.query(TASKS[0])


def work_file(swarm: Swarm, portable: PortableAgent) -> Path:
    path = swarm.settings.state_dir / "doctored.swarm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_file(portable).getvalue())
    return path


def test_vectors_of_another_embedder_are_refused(home: Place, away: Place) -> None:
    mine = read_portable("ada", home[0])
    path = work_file(away[0], replace(mine, embedder=replace(mine.embedder, version="2")))
    with pytest.raises(EmbedderMismatchError, match=r"hashed@2 \(32-d\) cannot be mixed with those of hashed@1"):
        import_agents(away[0], path)
    newer = work_file(away[0], replace(mine, schema=SCHEMA + 1))
    with pytest.raises(NewerRecordError, match=rf"has schema {SCHEMA + 1}, .* upgrade it"):
        import_agents(away[0], newer)
    assert keys_of(away[0]) == []


def test_values_that_do_not_fit_together_are_refused(home: Place, away: Place) -> None:
    mine = read_portable("ada", home[0])
    other = replace(mine.clusters[0], agents={"eve": next(iter(mine.clusters[0].agents.values()))})
    short = replace(mine.clusters[0], sum_embedding=np.ones(8))
    endless = replace(mine.clusters[0], sum_embedding=np.full(32, np.nan))
    config = mine.registration.config
    for doctored, kind, message in (
        (replace(mine, clusters=(other,)), InputError, "clusters must be of ada alone, one is of eve"),
        (replace(mine, clusters=(short,)), ShapeError, r"sum_embedding must have shape \(32,\), got \(8,\)"),
        (replace(mine, clusters=(endless,)), (BoundsError, DamagedRecordError), "sum_embedding must be finite"),
        (
            replace(mine, registration=replace(mine.registration, config=replace(config, dim=64))),
            ShapeError,
            r"config.dim must be 32, the dimension of hashed@1 \(32-d\), got 64",
        ),
        (replace(mine, values={**mine.values, "weights": b"x"}), DamagedRecordError, "weights record"),
        (replace(mine, values={**mine.values, "sample": mine.values["weights"]}), DamagedRecordError, "sample record"),
        (replace(mine, values={**mine.values, "notes": b"x"}), DamagedRecordError, "there is no string 'notes' in one"),
        (replace(mine, generation=-1), DamagedRecordError, "generation must be a whole number, got b'-1'"),
    ):
        with pytest.raises(kind, match=message):
            import_agents(away[0], work_file(away[0], doctored))
    assert keys_of(away[0]) == []
    assert check_portable(mine) is mine


def test_a_file_that_would_be_waited_for_is_refused(away: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RuntimeSetupError, match="fifo: it must be a file or a folder"):
        import_agents(away[0], tmp_path / "fifo")


def test_files_of_another_kind_are_refused_by_name(home: Place, folder: Path, away: Place, tmp_path: Path) -> None:
    swarm = away[0]
    home[0].backup(tmp_path / "whole.backup")
    export_agent_to(home[0], "ada", tmp_path / "ada", formats=["safetensors"])
    with pytest.raises(InputError, match=rf"holds the swarm {home[0].keys.swarm} whole: swarm restore reads it"):
        import_agents(swarm, tmp_path / "whole.backup")
    with pytest.raises(DamagedRecordError, match="this file is no backup"):
        import_agents(swarm, tmp_path / "ada" / "adapter.safetensors")
    with pytest.raises(RuntimeSetupError, match=r"holds no agent\.swarm: swarm export writes one"):
        import_agents(swarm, tmp_path / "ada")
    with pytest.raises(RuntimeSetupError, match=r"cannot read .*nowhere: No such file"):
        import_agents(swarm, tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds the agent ada alone, no swarm: swarm import reads it"):
        restore(folder / "ada" / "agent.swarm", swarm.settings)
    with pytest.raises(InputError, match=r"name goes with one agent, .* holds 2"):
        import_agents(swarm, folder, "carol")
    with pytest.raises(InputError, match="name must be"):
        import_agents(swarm, folder / "ada", "a b")
    assert keys_of(swarm) == []


@pytest.fixture(scope="module")
def small(home: Place) -> bytes:
    """The bytes of a small agent's file."""
    mine = read_portable("ada", home[0])
    return as_file(replace(mine, clusters=mine.clusters[:2])).getvalue()


def test_a_cut_or_changed_file_is_refused_wherever_it_is(small: bytes) -> None:
    @settings(max_examples=80, deadline=None, derandomize=True)
    @given(position=st.integers(0, len(small) - 1), bit=st.integers(0, 7))
    def refused(position: int, bit: int) -> None:
        changed = small[:position] + bytes([small[position] ^ 1 << bit]) + small[position + 1 :]
        for data in (changed, small[:position], small + b"x"):
            with pytest.raises(RecordError):
                read_agent(io.BytesIO(data))

    refused()
    assert len(read_agent(io.BytesIO(small)).clusters) == 2


def test_a_damaged_file_writes_nothing(small: bytes, away: Place, tmp_path: Path) -> None:
    for row, data in enumerate((b"", small[:-1], small[:200], small.replace(b"ada", b"eve", 1))):
        (path := tmp_path / f"{row}.swarm").write_bytes(data)
        with pytest.raises(SwarmError):
            import_agents(away[0], path)
    assert keys_of(away[0]) == []


def test_a_file_is_read_back_as_it_was(home: Place) -> None:
    mine = read_portable("bob", home[0])
    base = present(mine.weights).base
    assert base[0].up.any()
    # An EWC memory of two tasks comes along, to the last bit.
    held = [np.abs(array) for pair in base for array in (pair.up, pair.down)]
    ewc = EwcMemory(held, [np.float32(2.0) * array for array in held], 3.0, 2)
    mine = replace(mine, values={**mine.values, "weights": encode_weights(Weights(base=base, ewc=ewc))})
    found = read_agent(as_file(mine))
    assert as_file(found).getvalue() == as_file(mine).getvalue()
    kept = present(found.weights).ewc
    assert (kept.tasks, kept.constant) == (2, 3.0)
    assert all((a == b).all() for a, b in zip(kept.importance, ewc.importance, strict=True))
    assert all((a == b).all() for a, b in zip(kept.anchor, ewc.anchor, strict=True))


def test_the_ageing_of_the_new_swarm_holds_for_what_comes_in(folder: Path, away: Place) -> None:
    swarm, work = away
    import_agents(swarm, folder / "ada")
    work.merge("test", 0.0)
    assert swarm.bank.count() > 0
    # The outcomes of the tests are from 1970: they expire at once.
    swarm.set_retention(ttl_s=3600.0)
    work.merge("test", 0.0)
    assert swarm.bank.count() == 0
