"""The spool file: durable, bounded, in order, shared by the processes of one agent."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from swarm_support import start_program

from swarm.errors import CapacityError, StoreUnavailableError
from swarm.settings import Settings
from swarm_agents import Spool
from swarm_agents.spool import Spooled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool" / "swarm" / "coder-1.sqlite"


@pytest.fixture
def spool(path: Path) -> Spool:
    return Spool(path, 1000)


def put(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.append(f"key-{number}", f"task-{number}", b"record")


def keys(waiting: list[Spooled]) -> list[str]:
    return [outcome.idempotency_key for outcome in waiting]


def test_outcomes_come_out_in_the_order_they_went_in(spool: Spool) -> None:
    put(spool, 5, 3, 9)
    assert keys(spool.oldest(10)) == ["key-5", "key-3", "key-9"]
    assert keys(spool.oldest(2)) == ["key-5", "key-3"]
    first = spool.oldest(1)[0]
    assert (first.trajectory_id, first.record) == ("task-5", b"record")
    spool.remove_until(first.position)
    spool.remove_until(first.position)
    put(spool, 1)
    assert keys(spool.oldest(10)) == ["key-3", "key-9", "key-1"]
    spool.remove_until(spool.oldest(2)[-1].position)
    assert keys(spool.oldest(10)) == ["key-1"]
    spool.remove_until(0)
    assert len(spool) == 1


def test_a_key_waits_once(spool: Spool) -> None:
    assert spool.append("key", "task", b"first")
    assert not spool.append("key", "task", b"second")
    assert [outcome.record for outcome in spool.oldest(10)] == [b"first"]
    assert spool.holds("key")
    assert not spool.holds("other")


def test_beyond_its_bound_the_spool_takes_nothing(spool: Spool) -> None:
    spool.append("key-1", "task", b"x" * 600)
    with pytest.raises(CapacityError, match=r"600 bytes wait, the bound is 1000 \(spool_max_bytes\)"):
        spool.append("key-2", "task", b"x" * 401)
    assert keys(spool.oldest(10)) == ["key-1"]
    # What waits already takes no more room.
    assert not spool.append("key-1", "task", b"x" * 600)
    assert spool.append("key-3", "task", b"x" * 400)
    spool.remove_until(spool.oldest(1)[0].position)
    assert spool.append("key-4", "task", b"x" * 600)


def test_another_process_sees_the_same_spool(path: Path, spool: Spool) -> None:
    other = Spool(path, 1000)
    put(spool, 1)
    put(other, 1, 2)
    assert keys(spool.oldest(10)) == keys(other.oldest(10)) == ["key-1", "key-2"]
    other.remove_until(other.oldest(1)[0].position)
    assert len(spool) == 1


def test_threads_and_connections_that_append_at_once_lose_nothing(path: Path) -> None:
    spools = [Spool(path, 1_000_000) for _ in range(3)]
    threads = [
        threading.Thread(target=put, args=(spools[worker % 3], *range(20 * worker, 20 * worker + 20)))
        for worker in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(keys(spools[0].oldest(1000))) == sorted(f"key-{number}" for number in range(120))


def test_what_was_appended_survives_kill_9(path: Path, settings: Settings) -> None:
    with start_program("fill_spool", settings, path) as process:
        assert process.stdout is not None
        for _ in range(50):
            process.stdout.readline()
        process.kill()
        durable = 50 + len(process.stdout.readlines())
    waiting = keys(Spool(path, 2**30).oldest(10_000))
    assert waiting[:durable] == [f"key-{number}" for number in range(durable)]
    # One more may have been written and not yet announced.
    assert len(waiting) in (durable, durable + 1)


def test_a_spool_and_all_folders_made_for_it_are_private(path: Path, spool: Spool, tmp_path: Path) -> None:
    folder = path.parent
    while folder != tmp_path:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
        folder = folder.parent


def test_a_file_that_is_no_spool_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreUnavailableError, match=r"spool .*spool\.sqlite"):
        Spool(path, 1000)


def test_a_spool_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="spool"):
        Spool(tmp_path / "file" / "spool.sqlite", 1000)


def test_a_closed_spool_is_one_clear_error(spool: Spool) -> None:
    spool.close()
    with pytest.raises(StoreUnavailableError, match="spool"):
        spool.append("key", "task", b"x")


def test_spools_of_one_file_can_be_opened_at_once(tmp_path: Path) -> None:
    for attempt in range(20):
        opened: list[Spool] = []
        path, barrier = tmp_path / f"{attempt}.sqlite", threading.Barrier(6)

        def open_it(path: Path = path, barrier: threading.Barrier = barrier, opened: list[Spool] = opened) -> None:
            barrier.wait()
            opened.append(Spool(path, 1000))

        threads = [threading.Thread(target=open_it) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(opened) == 6


def test_the_size_is_that_of_what_waits_after_any_appends_and_removals(path: Path) -> None:
    spool = Spool(path, 1000)
    for number in range(10):
        spool.append(f"key-{number}", "task", b"x" * 100)
    for outcome in spool.oldest(4):
        spool.remove_until(outcome.position)
        spool.remove_until(outcome.position)
    spool.append("key-9", "task", b"x" * 100)
    reopened = Spool(path, 1000)
    assert reopened.append("fits", "task", b"x" * 400)
    with pytest.raises(CapacityError, match="1000 bytes wait"):
        reopened.append("does not", "task", b"x")


def test_a_file_of_an_older_version_is_taken_over(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as old:
        old.executescript(
            """
            CREATE TABLE outcome (
              position INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, trajectory TEXT NOT NULL,
              record BLOB NOT NULL
            );
            INSERT INTO outcome (key, trajectory, record) VALUES ('key-1', 'task-1', x'00');
            """
        )
    old.close()
    for _ in range(2):
        spool = Spool(path, 1000)
        assert [(one.idempotency_key, one.life) for one in spool.oldest(10)] == [("key-1", "")]
        assert spool.life == ""
        spool.close()
    spool = Spool(path, 1000)
    spool.life = "3"
    spool.append("key-2", "task-2", b"record", "3")
    spool.close()
    again = Spool(path, 1000)
    assert (again.life, [one.life for one in again.oldest(10)]) == ("3", ["", "3"])
    again.close()
