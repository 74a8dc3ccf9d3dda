"""What was sent lately is kept for a turn at least, and is found by others when its process died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.store.sent_log import SentLog


@pytest.fixture
def log(tmp_path: Path) -> SentLog:
    return SentLog(tmp_path / "sent", 1_000)


def test_entries_come_back_in_order(log: SentLog) -> None:
    log.add([b"one", b""])
    log.add([b"three"])
    assert log.entries() == [b"one", b"", b"three"]


def test_an_entry_stays_for_one_turn_and_goes_with_the_second(log: SentLog, tmp_path: Path) -> None:
    log.add([b"first"])
    log.turn()
    log.add([b"second"])
    assert log.entries() == [b"first", b"second"]
    log.turn()
    assert log.entries() == [b"second"]
    log.turn()
    assert log.is_empty
    assert list((tmp_path / "sent").iterdir()) == []


def test_beyond_the_bound_entries_are_counted_and_not_kept(log: SentLog) -> None:
    log.add([b"x" * 900])
    log.add([b"y" * 200, b"z"])
    assert log.entries() == [b"x" * 900]
    assert log.unguarded == 2


def test_the_files_of_a_living_process_are_not_taken(log: SentLog, tmp_path: Path) -> None:
    log.add([b"mine"])
    assert list(SentLog(tmp_path / "sent", 1_000).left_behind()) == []
    assert log.entries() == [b"mine"]


def test_what_a_killed_process_left_is_taken_over_once(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from swarm.store.sent_log import SentLog;"
        "log = SentLog(Path(sys.argv[1]), 1000); log.add([b'a']); log.turn(); log.add([b'b', b'c']);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "sent")], env=dict(os.environ), timeout=60)
    assert ended.returncode == -9
    other = SentLog(tmp_path / "sent", 1_000)
    assert sorted(other.left_behind()) == [[b"a"], [b"b", b"c"]]
    assert list(other.left_behind()) == []


def test_a_file_stays_when_what_is_in_it_could_not_be_sent(log: SentLog, tmp_path: Path) -> None:
    log.add([b"entry"])
    log.close()
    other = SentLog(tmp_path / "sent", 1_000)

    def send() -> None:
        for _ in other.left_behind():
            raise ConnectionError

    with pytest.raises(ConnectionError):
        send()
    assert list(other.left_behind()) == [[b"entry"]]


@given(cut=st.integers(0, 30))
def test_of_a_file_that_was_cut_whole_entries_are_read(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("sent")
    log = SentLog(folder, 1_000)
    log.add([b"0123456789", b"abcdefghij"])
    log.close()
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[: 28 - min(cut, 28)])
    expected = [b"0123456789", b"abcdefghij"][: 2 if cut == 0 else 1 if cut <= 14 else 0]
    assert list(SentLog(folder, 1_000).left_behind()) == [expected]


def test_the_folder_is_for_its_user_alone(log: SentLog, tmp_path: Path) -> None:
    log.add([b"entry"])
    (path,) = (tmp_path / "sent").iterdir()
    assert (tmp_path / "sent").stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
