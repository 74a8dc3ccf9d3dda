"""Backup while a swarm runs, and restore: the same swarm under another name, with nothing lost; or nothing at all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY
from swarm_support import Report, make_swarm, some_outcome

from swarm.errors import DamagedRecordError, InputError, NewerRecordError, RecordError, RuntimeSetupError
from swarm.services.background import Background
from swarm.services.backup import back_up
from swarm.services.receipts import ReceiptState
from swarm.services.restore import check_backup, restore
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store import dump as dump_module
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm.store.migrations import check_swarm
from swarm.store.tombstones import TombstoneStore
from swarm.store.workers import WorkerBeat, WorkerRegistry
from swarm.wire import backup_format
from swarm.wire.backup_format import BackupWriter, Chunk, Head, chunks, verify
from swarm.wire.keys import SwarmKeys
from swarm.wire.schema import SCHEMA, SCHEMA_FIELD

TASKS = ["parse a date", "read a log", "task 3", "rename a column", "task 17"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "swarm.backup"


@pytest.fixture
def copy(settings: Settings, client: Client) -> Iterator[Settings]:
    """Settings of a second swarm, which is erased after the test."""
    made = settings.model_copy(update={"name": f"{settings.name}-copy"})
    yield made
    erase_swarm(client, SwarmKeys(made.name))


@pytest.fixture
def lived(swarm: Swarm, background: Background, report: Report) -> Swarm:
    """A swarm with something of everything."""
    for first in (0, 40):
        # Outcomes of their own: agents that contradict one another are not believed.
        for agent, base in (("coder-1", 0), ("coder-2", 1_000), ("coder-3", 2_000)):
            report(agent, base + first, base + first + 40)
            background.drain(0.0)
    report("coder-1", 80, 90)
    swarm.outcomes("coder-2").put_open("open", b"not ended")
    swarm.rewind("coder-2-1007")
    swarm.forget(trajectory="coder-3-2011")
    swarm.forget(agent="coder-3")
    swarm.set_retention(half_life_s=1e8)
    background.merge("test", 0.0)
    swarm.pin(sorted(p.id for p in swarm.bank.patterns())[0])
    swarm.learn_from_swarm_execution("vote", {"coder-1": "a", "coder-2": "a"}, idempotency_key="vote")
    live_tasks(swarm)
    return swarm


def live_tasks(swarm: Swarm) -> None:
    """Tasks in every state."""
    tasks = [swarm.submit(f"task {i}", role="coder", idempotency_key=f"k{i}", max_attempts=1).id for i in range(8)]
    store = swarm.tasks.store
    for number in range(3):
        claimed = store.claim("coder", f"token-{number}", "worker", 60.0)
        assert claimed is not None
        if number == 0:
            store.succeed(claimed.id, "token-0", b"\xc0")
        elif number == 1:
            store.fail(claimed.id, "token-1", "broken", again=False)
    swarm.tasks.cancel(tasks[-1])
    swarm.submit("for one alone", role="coder", agent="coder-1", idempotency_key="assigned")


def content(client: Client, name: str) -> dict[str, object]:
    """Every key of a swarm behind its hash tag, with its value and whether it expires; leases left out."""
    keys = SwarmKeys(name)
    read: dict[str, Callable[[bytes], object]] = {
        "string": client.get,
        "hash": client.hgetall,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "list": lambda key: client.lrange(key, 0, -1),
        "stream": lambda key: (client.xrange(key), client.xinfo_stream(key)["last-generated-id"]),
    }
    found: dict[str, object] = {}
    for pattern in keys.patterns:
        for key in client.scan_iter(match=pattern):
            if not keys.is_transient(key):
                kind = client.type(key).decode()  # type: ignore[union-attr]
                rest = key.decode().removeprefix("{" + name)
                found[rest] = (kind, read[kind](key), client.pttl(key) > 0)
    return found


def test_a_restored_swarm_is_the_same_key_by_key(
    lived: Swarm, client: Client, settings: Settings, copy: Settings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that most keys come in several parts.
    monkeypatch.setattr(dump_module, "CHUNK_BYTES", 3_000)
    done = lived.backup(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(file.parent).count(file.name) == 1
    assert [name for name in os.listdir(file.parent) if name.startswith(".")] == []
    assert (done.agents, done.size_bytes) == (3, file.stat().st_size)
    report = restore(file, settings, copy.name)
    assert (report.source, report.swarm, report.replaced) == (settings.name, copy.name, 0)
    mine, yours = content(client, settings.name), content(client, copy.name)
    assert done.keys == len(yours) == report.keys
    # The lease of the backup itself counted the fences on.
    for key in [key for key in mine if key.endswith(":fence")]:
        assert mine.pop(key, None) is not None
        assert yours.pop(key, None) is not None
    assert yours == mine
    assert {
        "}:tasks",
        "}:deadtasks",
        "}:assigned:coder",
        "/coder-3}:state",
        "}:tombstones",
        "}:pins",
        "}:execution:vote",
    } <= mine.keys()


def test_a_restored_swarm_ranks_and_counts_the_same_and_goes_on(
    lived: Swarm, settings: Settings, copy: Settings, file: Path, client: Client
) -> None:
    lived.backup(file)
    restore(file, settings, copy.name)
    other = make_swarm(copy, client)
    fresh = make_swarm(settings, client)
    for text in TASKS:
        assert other.query(text, k=20) == fresh.query(text, k=20)
        assert other.recall(text, k=20) == fresh.recall(text, k=20)
    mine, yours = fresh.status(), other.status()
    assert yours.lost == 0
    assert [replace(agent, oldest_pending_s=None) for agent in yours.agents] == [
        replace(agent, oldest_pending_s=None) for agent in mine.agents
    ]
    assert (yours.patterns, yours.bank_version) == (mine.patterns, mine.bank_version)
    assert [counts.as_dict() | {"oldest_waiting_s": 0} for counts in yours.tasks] == [
        counts.as_dict() | {"oldest_waiting_s": 0} for counts in mine.tasks
    ]
    # It goes on: what waits is consolidated, keys that were used stay used, versions can be rolled back to.
    background = Background(copy, client)
    background.drain(0.0)
    assert other.status().pending == 0
    assert other.record(some_outcome(3, "coder-1"), "coder-1-3").is_new is False
    assert other.receipt("coder-1", "coder-1-85").state is ReceiptState.SEARCHABLE
    assert other.receipt("coder-2", "coder-2-1007").state is ReceiptState.REWOUND
    assert other.submit("task 5", role="coder", idempotency_key="k5").is_new is False
    other.rollback("coder-1", other.agents.state("coder-1").generation - 1)
    # The running task's lease ran out with its worker; the waiting ones can be claimed.
    assert other.tasks.store.claim("coder", "new-token", "worker", 60.0) is not None


def small(settings: Settings, client: Client, file: Path) -> bytes:
    """The bytes of a backup of a small swarm."""
    swarm = make_swarm(settings, client)
    swarm.register("coder-1")
    for number in range(3):
        swarm.record(some_outcome(number), f"{number}")
    swarm.backup(file)
    return file.read_bytes()


def test_every_damage_is_refused_and_nothing_is_written(
    settings: Settings, copy: Settings, client: Client, file: Path
) -> None:
    whole = small(settings, client, file)
    broken = file.with_name("broken")

    def refuse(data: bytes) -> None:
        broken.write_bytes(data)
        with pytest.raises(RecordError, match=r"^backup: "):
            restore(broken, settings, copy.name)

    @PROPERTY
    @given(st.integers(0, len(whole) * 8 - 1))
    def a_bit(place: int) -> None:
        data = bytearray(whole)
        data[place // 8] ^= 1 << (place % 8)
        refuse(bytes(data))

    @PROPERTY
    @given(st.integers(0, len(whole) - 1))
    def a_cut(length: int) -> None:
        refuse(whole[:length])

    @PROPERTY
    @given(st.integers(0, len(whole)), st.integers(0, len(whole)), st.binary(max_size=40))
    def a_piece(first: int, last: int, instead: bytes) -> None:
        data = whole[: min(first, last)] + instead + whole[max(first, last) :]
        if data != whole:
            refuse(data)

    for damage in (a_bit, a_cut, a_piece):
        damage()
    for data in (whole + b"\0", whole * 2, b"", b"something else that is long enough"):
        refuse(data)
    assert content(client, copy.name) == {}
    assert check_backup(file).head.swarm == settings.name


def test_frames_that_are_swapped_or_made_up_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "made-up"

    def write(*made: Chunk) -> None:
        with path.open("wb") as file:
            writer = BackupWriter(file, Head(swarm="s", schema=1, at_s=1.0))
            for chunk in made:
                writer.put(chunk)
            writer.end()

    good = Chunk(agent="", name=b"meta", type="hash", items=(b"a", b"b"))
    write(good)
    with path.open("rb") as file:
        assert verify(file).frames == 3
        file.seek(0)
        assert list(chunks(file)) == [good]
    for wrong in (
        Chunk(agent="a b", name=b"meta", type="hash", items=()),
        Chunk(agent="", name=b"", type="hash", items=()),
        Chunk(agent="", name=b"x", type="module", items=()),
        Chunk(agent="", name=b"x", type="hash", items=(b"a",)),
        Chunk(agent="", name=b"x", type="hash", items=(b"a", 5)),
        Chunk(agent="", name=b"x", type="string", items=(None,)),
        Chunk(agent="", name=b"x", type="zset", items=(b"a", float("nan"))),
        Chunk(agent="", name=b"x", type="stream", items=("1-1", [b"a"])),
        Chunk(agent="", name=b"x", type="stream", items=("*", [b"a", b"b"])),
        Chunk(agent="", name=b"x", type="stream", items=(), last_id="FLUSHALL"),
        Chunk(agent="", name=b"x", type="string", items=(b"a",), ttl_ms=-5),
    ):
        write(wrong)
        with path.open("rb") as file, pytest.raises(DamagedRecordError, match="frame 1 is damaged"):
            verify(file)


def test_a_newer_file_or_swarm_is_refused(
    settings: Settings, copy: Settings, client: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(backup_format, "FORMAT", 2)
        small(settings, client, file)
    with pytest.raises(NewerRecordError, match="format 2, this program reads up to 1"):
        restore(file, settings, copy.name)
    with file.open("wb") as opened:
        BackupWriter(opened, Head(swarm="s", schema=SCHEMA + 1, at_s=1.0)).end()
    with pytest.raises(NewerRecordError, match=f"has schema {SCHEMA + 1}"):
        restore(file, settings, copy.name)
    small(settings, client, file)
    client.hset(SwarmKeys(copy.name).meta, SCHEMA_FIELD, SCHEMA + 1)
    with pytest.raises(NewerRecordError, match=f"has schema {SCHEMA + 1}"):
        restore(file, settings, copy.name, replace=True)
    assert set(content(client, copy.name)) == {"}:meta"}


def test_a_swarm_that_is_there_is_replaced_only_if_that_is_wanted(
    settings: Settings, copy: Settings, client: Client, file: Path
) -> None:
    small(settings, client, file)
    other = make_swarm(copy, client)
    other.register("somebody")
    before = content(client, copy.name)
    with pytest.raises(InputError, match="is not empty: --replace erases it first"):
        restore(file, settings, copy.name)
    registry = WorkerRegistry(client, other.keys)
    registry.beat(a_beat("local@host"))
    with pytest.raises(RuntimeSetupError, match=r"workers are alive \(local@host\)"):
        restore(file, settings, copy.name, replace=True)
    assert content(client, copy.name) == before
    registry.forget("local@host")
    assert restore(file, settings, copy.name, replace=True).replaced > 0
    assert make_swarm(copy, client).agents.names() == ["coder-1"]
    assert content(client, copy.name)["/coder-1}:stream"] == content(client, settings.name)["/coder-1}:stream"]


def a_beat(name: str) -> WorkerBeat:
    return WorkerBeat(
        name=name,
        pool="local",
        host="host",
        pid=1,
        concurrency=1,
        active=0,
        reserved=0,
        done=0,
        consuming=True,
        started_s=time.time(),
        beat_s=time.time(),
        reconnects=0,
        outages=0,
        fault="",
        role="",
    )


def test_a_restore_that_was_killed_leaves_nothing_that_can_be_used_and_is_run_again(
    settings: Settings, copy: Settings, client: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(settings, client, file)
    put, count = dump_module.Loader.put, 0

    def killed(loader: dump_module.Loader, chunk: Chunk) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        put(loader, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(dump_module.Loader, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(file, settings, copy.name)
    with connect(copy) as late, pytest.raises(RecordError, match="its restore was interrupted"):
        make_swarm(copy, late).status()
    with pytest.raises(RecordError, match="its restore was interrupted"):
        Background(copy, client).sweep(lambda task, agent: None)
    with pytest.raises(InputError, match="not empty"):
        restore(file, settings, copy.name)
    restore(file, settings, copy.name, replace=True)
    with connect(copy) as late:
        assert [agent.accepted for agent in make_swarm(copy, late).status().agents] == [3]
        assert check_swarm(late, SwarmKeys(copy.name)) == SCHEMA


def test_what_is_forgotten_meanwhile_is_in_no_backup(
    lived: Swarm, settings: Settings, copy: Settings, client: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, calls = TombstoneStore.all, 0

    def meanwhile(store: TombstoneStore) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            # The first attempt has read every agent by now.
            with monkeypatch.context() as patch:
                patch.setattr(TombstoneStore, "all", read)
                lived.forget(agent="coder-2")
        return read(store)

    monkeypatch.setattr(TombstoneStore, "all", meanwhile)
    back_up(file, settings, client)
    assert calls == 4
    assert b"do 1 of coder-2" not in file.read_bytes()
    restore(file, settings, copy.name)
    assert make_swarm(copy, client).agents.names() == ["coder-1"]


def test_a_backup_that_fails_leaves_the_old_file(
    swarm: Swarm, settings: Settings, client: Client, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small(settings, client, file)

    def killed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BackupWriter, "end", killed)
        with pytest.raises(KeyboardInterrupt):
            swarm.backup(file)
    assert file.read_bytes() == whole
    with pytest.raises(RuntimeSetupError, match="cannot write "):
        swarm.backup(tmp_path / "no folder" / "file")
    with pytest.raises(InputError, match="is empty: there is nothing to back up"):
        make_swarm(settings.model_copy(update={"name": f"{settings.name}-nothing"}), client).backup(file)
    assert file.read_bytes() == whole
    assert [name for name in os.listdir(file.parent) if name.startswith(".")] == []
    with pytest.raises(RuntimeSetupError, match="cannot read the backup"):
        restore(tmp_path / "nothing", settings)


def test_no_generation_comes_in_between_while_an_agent_or_the_bank_is_read(
    lived: Swarm, background: Background, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, came = dump_module.Dumper.key, []

    def meanwhile(dumper: dump_module.Dumper, key: str | bytes, **options: str) -> Iterator[Chunk]:
        if key == lived.keys.agent("coder-1").clusters:
            came.append(background.consolidate("coder-1", "test", 0.0)["status"])
        if key == lived.keys.merged:
            came.append(background.merge("test", 0.0)["status"])
        return read(dumper, key, **options)

    monkeypatch.setattr(dump_module.Dumper, "key", meanwhile)
    lived.backup(file)
    assert came == ["busy", "busy"]
    assert lived.agents.state("coder-1").pending > 0


def test_streams_that_are_empty_go_on_behind_their_last_id(
    swarm: Swarm, settings: Settings, copy: Settings, client: Client, file: Path
) -> None:
    swarm.register("coder-1")
    client.xadd(swarm.keys.agent("coder-1").stream, {"r": b"x", "k": b"x"}, id="99999999999999-5")
    client.xtrim(swarm.keys.agent("coder-1").stream, maxlen=0, approximate=False)
    swarm.backup(file)
    restore(file, settings, copy.name)
    assert client.xadd(SwarmKeys(copy.name).agent("coder-1").stream, {"r": b"x"}) == b"99999999999999-6"
