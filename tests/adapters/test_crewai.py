"""CrewAI's memory in the swarm: the storage alone, and under the real `Memory` and a real crew.

CrewAI cannot be installed beside mcp 2, so this needs an environment of its own; `.ci/run` makes one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from support import wait_until
from swarm_support import DIM, EMBEDDER, environment, make_swarm, present

from swarm.errors import EmbedderMismatchError, ShapeError
from swarm.services.background import Background
from swarm.services.backup import back_up
from swarm.services.restore import restore
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys

if find_spec("crewai") is None:
    pytest.skip("crewai needs mcp<2 and openai<3: it is tested in an environment of its own", allow_module_level=True)
# Nothing of a test leaves the machine; CrewAI reads these when it is imported. Only here, where no other test runs.
os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}
# It warns while it is imported, which this import alone lets pass.
pytest.importorskip("crewai")

from crewai.llms.base_llm import BaseLLM  # only where it is installed
from crewai.memory.storage.backend import StorageBackend  # the same
from crewai.memory.types import MemoryRecord  # the same
from crewai.memory.unified_memory import Memory  # the same

from swarm_agents.adapters.crewai import SwarmStorage  # the same

EXAMPLE = Path(__file__).parents[2] / "examples" / "crewai_memory.py"
BEGUN = datetime(2026, 1, 1)  # CrewAI's times are UTC and do not say so


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"embedder": EMBEDDER, "consolidate_delay": 0.0})


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Swarm:
    return make_swarm(settings, client)


@pytest.fixture
def storage(swarm: Swarm) -> SwarmStorage:
    return SwarmStorage(swarm)


def record(name: str, *embedding: float, scope: str = "/", day: int = 0, **fields: Any) -> MemoryRecord:
    return MemoryRecord(
        id=name,
        content=f"content of {name}",
        scope=scope,
        created_at=BEGUN + timedelta(days=day),
        embedding=list(embedding) or None,
        **fields,
    )


@pytest.fixture
def filled(storage: SwarmStorage) -> SwarmStorage:
    """Five records in three scopes."""
    storage.save(
        [
            record("a", 1, 0, scope="/crew/ada", day=1, categories=["x", "y"], metadata={"n": 1, "deep": {"a": [1]}}),
            record("b", 0, 1, scope="/crew/ada/notes", day=2, categories=["x"], metadata={"n": 2}),
            record("c", 1, 1, scope="/crew/adam", day=3, categories=["y"], source="bob", private=True, importance=0.9),
            record("d", -1, 0, scope="/", day=4),
            record("e", scope="/crew/ada", day=5),
        ]
    )
    return storage


def names(records: list[MemoryRecord]) -> list[str]:
    return [one.id for one in records]


def found(storage: SwarmStorage, *query: float, **options: Any) -> dict[str, float]:
    return {one.id: round(score, 4) for one, score in storage.search(list(query), **options)}


def test_it_is_what_crewai_takes_for_a_storage(storage: SwarmStorage) -> None:
    assert isinstance(storage, StorageBackend)


def test_a_record_comes_back_as_it_was_in_every_process(filled: SwarmStorage, swarm: Swarm) -> None:
    other = SwarmStorage(swarm)
    wanted = record("c", 1, 1, scope="/crew/adam", day=3, categories=["y"], source="bob", private=True, importance=0.9)
    got = present(other.get_record("c"))
    assert got.model_dump(exclude={"last_accessed"}) == wanted.model_dump(exclude={"last_accessed"})
    assert got.embedding == [1.0, 1.0]
    assert present(other.get_record("a")).metadata == {"n": 1, "deep": {"a": [1]}}
    assert other.get_record("none") is None


def test_the_most_like_comes_first_by_cosine(filled: SwarmStorage) -> None:
    assert list(found(filled, 2, 0).items()) == [("a", 1.0), ("c", 0.7071), ("b", 0.0)]
    assert found(filled, 2, 0, min_score=-1.0)["d"] == -1.0
    assert found(filled, 2, 0, min_score=0.8) == {"a": 1.0}
    assert found(filled, 2, 0, limit=1) == {"a": 1.0}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"scope_prefix": "/crew/ada"}, "ab"),
        ({"scope_prefix": "crew/ada/"}, "ab"),
        ({"scope_prefix": "/crew"}, "abc"),
        ({"scope_prefix": "/"}, "abcd"),
        ({"categories": ["y", "z"]}, "ac"),
        ({"metadata_filter": {"n": 1}}, "a"),
        ({"metadata_filter": {"deep": {"a": [1]}}, "categories": ["x"]}, "a"),
        ({"metadata_filter": {"n": 1}, "categories": ["z"]}, ""),
    ],
)
def test_a_search_is_narrowed_before_it_is_cut(filled: SwarmStorage, options: dict[str, Any], wanted: str) -> None:
    assert set(found(filled, -1, 0, min_score=-1.0, **options)) == set(wanted)
    if wanted:
        # The one that is least like the query is found, too, if it is the only one that is wanted.
        assert len(found(filled, -1, 0, min_score=-1.0, limit=1, **options)) == 1


def test_scopes_and_categories_are_counted(filled: SwarmStorage) -> None:
    assert names(filled.list_records()) == ["e", "d", "c", "b", "a"]
    assert names(filled.list_records("/crew/ada", limit=2)) == ["e", "b"]
    assert names(filled.list_records(limit=2, offset=3)) == ["b", "a"]
    assert (filled.count(), filled.count("/crew/ada"), filled.count("/none")) == (5, 3, 0)
    assert filled.list_scopes() == ["/crew"]
    assert filled.list_scopes("/crew") == ["/crew/ada", "/crew/adam"]
    assert filled.list_categories() == {"x": 2, "y": 2}
    assert filled.list_categories("/crew/ada") == {"x": 2, "y": 1}
    info = filled.get_scope_info("/crew/ada/")
    assert (info.path, info.record_count, info.categories) == ("/crew/ada", 3, ["x", "y"])
    assert info.child_scopes == ["/crew/ada/notes"]
    assert (info.oldest_record, info.newest_record) == (BEGUN + timedelta(days=1), BEGUN + timedelta(days=5))
    assert filled.get_scope_info("/none").record_count == 0


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({}, ""),
        ({"scope_prefix": "/crew/ada"}, "cd"),
        ({"categories": ["x"]}, "cde"),
        ({"record_ids": ["a", "none"]}, "bcde"),
        ({"record_ids": []}, "abcde"),
        ({"record_ids": ["a", "d"], "scope_prefix": "/crew"}, "bcde"),
        ({"older_than": BEGUN + timedelta(days=3)}, "cde"),
        ({"older_than": (BEGUN + timedelta(days=3)).replace(tzinfo=UTC), "scope_prefix": "/crew"}, "cde"),
        ({"metadata_filter": {"n": 2}}, "acde"),
    ],
)
def test_what_meets_every_condition_is_deleted(filled: SwarmStorage, options: dict[str, Any], left: str) -> None:
    assert filled.delete(**options) == 5 - len(left)
    assert sorted(names(filled.list_records())) == list(left)


def test_an_update_takes_the_place_of_the_record_wherever_it_was(filled: SwarmStorage, swarm: Swarm) -> None:
    other = SwarmStorage(swarm)
    assert other.count("/crew/ada") == 3
    filled.update(record("a", 0, -1, scope="/elsewhere", day=9))
    assert other.count("/crew/ada") == 2
    assert names(other.list_records("/elsewhere")) == ["a"]
    assert found(other, 0, -1, limit=1) == {"a": 1.0}
    filled.reset("/crew")
    assert sorted(names(other.list_records())) == ["a", "d"]
    filled.reset()
    assert other.count() == 0


def test_embeddings_of_two_dimensions_are_not_mixed(filled: SwarmStorage) -> None:
    for call in (
        lambda: filled.save([record("f", 1, 0, 0)]),
        lambda: filled.update(record("a", 1, 0, 0)),
        lambda: filled.search([1.0, 0.0, 0.0]),
    ):
        with pytest.raises(EmbedderMismatchError, match=r"the caller \(2-d\)"):
            call()
    with pytest.raises(ShapeError):
        filled.save([record("f", 1, 0), record("g", 1)])
    assert filled.count() == 5
    filled.reset()
    filled.save([record("f", 1, 0, 0)])
    assert found(filled, 1, 0, 0) == {"f": 1.0}


def test_the_same_without_waiting(storage: SwarmStorage) -> None:
    async def work() -> tuple[list[str], int]:
        await storage.asave([record("a", 1, 0, scope="/s"), record("b", 0, 1)])
        hits = await storage.asearch([1.0, 0.0], scope_prefix="/s", min_score=0.5)
        return [one.id for one, _ in hits], await storage.adelete(scope_prefix="/s")

    assert asyncio.run(work()) == (["a"], 1)
    assert names(storage.list_records()) == ["b"]


def test_what_an_agent_remembered_goes_with_it_and_a_backup_holds_the_rest(
    storage: SwarmStorage, swarm: Swarm, client: Client, tmp_path: Path
) -> None:
    swarm.register("ada", "coder")
    SwarmStorage(swarm, agent="ada").save([record("of-ada", 1, 0)])
    storage.save([record("of-nobody", 0, 1)])
    swarm.forget(agent="ada")
    assert names(storage.list_records()) == ["of-nobody"]
    back_up(tmp_path / "backup", swarm.settings, client)
    copy = f"{swarm.settings.name}-copy"
    try:
        restore(tmp_path / "backup", swarm.settings, copy)
        copied = SwarmStorage(make_swarm(swarm.settings.model_copy(update={"name": copy}), client))
        assert found(copied, 0, 1) == {"of-nobody": 1.0}
    finally:
        erase_swarm(client, SwarmKeys(copy))


# Under CrewAI's own Memory


@pytest.fixture
def new_memory(swarm: Swarm) -> Callable[[], Memory]:
    """The memory of a crew, over a storage of its own; it needs no model as long as nothing must be guessed."""

    def make() -> Memory:
        storage = SwarmStorage(swarm)
        return Memory(storage=storage, embedder=storage.embed, llm=_NoModel(model="none"))

    return make


class _NoModel(BaseLLM):  # type: ignore[misc, unused-ignore]  # of no known type where CrewAI is not
    """Stands where a model would be asked, and fails if one is."""

    def call(self, *_: Any, **__: Any) -> str:
        raise AssertionError("the model was asked")


def test_what_one_crew_remembers_another_recalls(new_memory: Callable[[], Memory]) -> None:
    first, second = new_memory(), new_memory()
    for content in ("dates are parsed by fromisoformat", "green tea in the morning"):
        first.remember(content, scope="/notes", categories=["c"], importance=0.8)
    matches = second.recall("how are dates parsed", scope="/notes", limit=1, depth="shallow")
    assert [match.record.content for match in matches] == ["dates are parsed by fromisoformat"]
    assert matches[0].score > 0.4
    assert second.recall("how are dates parsed", scope="/other", depth="shallow") == []
    assert second.forget(scope="/notes") == 2
    assert first.recall("dates", depth="shallow") == []
    first.close()
    second.close()


def test_what_is_saved_in_the_background_is_recalled(new_memory: Callable[[], Memory]) -> None:
    memory = new_memory()
    memory.remember_many([f"note {i} about topic {i}" for i in range(5)], scope="/n", categories=["c"], importance=0.5)
    memory.drain_writes()
    assert present(memory.info("/n")).record_count == 5
    matches = memory.recall("note 3 about topic 3", depth="shallow", limit=1)
    assert matches[0].record.content == "note 3 about topic 3"
    changed = memory.update(matches[0].record.id, content="something else", scope="/m")
    assert changed.content == "something else"
    assert memory.list_scopes("/") == ["/m", "/n"]
    memory.close()


def test_the_embedder_of_the_swarm_is_one_for_crewai(storage: SwarmStorage) -> None:
    vectors = storage.embed(["a date", ""])
    assert [len(vector) for vector in vectors] == [DIM, DIM]
    assert not any(vectors[1])


@pytest.mark.timeout(120)
def test_the_example_runs_with_a_real_crew_and_its_outcome_reaches_the_swarm(
    settings: Settings, client: Client, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"embedder": "wordllama"})
    variables = environment(settings) | {"SWARM_EMBEDDER": "wordllama", "CREWAI_STORAGE_DIR": str(tmp_path)}
    background = Background(settings, client)

    def has_ended() -> bool:
        background.drain(0.0)
        return program.poll() is not None

    with subprocess.Popen(
        [sys.executable, str(EXAMPLE)], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        wait_until(has_ended, 100.0, "the example to end")
        printed, errors = program.communicate()
    assert program.returncode == 0, errors
    assert printed.splitlines()[-1] == "the swarm says csv.DictReader, from crew-1"
    assert "the crew answers str.split, quality 0: searchable" in printed
