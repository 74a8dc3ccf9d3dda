"""Lines with their places, and what one reading of a file tells."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from swarm.errors import InputError
from swarm_agents.training import source
from swarm_agents.training.source import lines_at, lines_of, scan

TEXT = b"".join(b"line %d\n" % number for number in range(300)) + b"\n" + b"the last one"


def test_lines_go_on_from_any_offset_plain_or_packed(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_bytes(TEXT)
    packed.write_bytes(gzip.compress(TEXT))
    lines = list(lines_of(plain))
    assert list(lines_of(packed)) == lines
    assert [line.number for line in lines] == list(range(1, 303))
    assert b"".join(line.data for line in lines) == TEXT
    for path in (plain, packed):
        assert list(lines_of(path, lines[99].end, 100)) == lines[100:]
        places = {1: 0, 101: lines[99].end, 302: lines[300].end}
        assert list(lines_at(path, places)) == [lines[0], lines[100], lines[301]]
    assert scan(plain, 0.2) == scan(packed, 0.2)


def test_a_line_that_is_too_long_is_cut_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_LINE_BYTES", 10)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"short\n" + b"x" * 95 + b"\n" + b"also short")
    short, long, last = lines_of(path)
    assert (long.number, long.is_cut, long.end) == (2, True, 6 + 96)
    assert (short.is_cut, last.is_cut, last.data, last.end) == (False, False, b"also short", path.stat().st_size)


def test_what_is_held_out_hangs_on_the_content_of_lines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    lines = TEXT.splitlines()
    path.write_bytes(b"\n".join(lines))
    other.write_bytes(b"\n".join(lines[::-1]) + b"\n")

    def held_out(path: Path) -> set[bytes]:
        found = scan(path, 0.2).held_out
        all_lines = {line.number: line.data.strip() for line in lines_of(path)}
        for number, offset in found.items():
            assert next(lines_of(path, offset, number - 1)).data.strip() == all_lines[number]
        return {all_lines[number] for number in found}

    assert held_out(path) == held_out(other)
    assert 30 < len(held_out(path)) < 90
    assert scan(path, 0.0).held_out == {}
    assert scan(path, 0.2).identity != scan(other, 0.2).identity
    monkeypatch.setattr(source, "HELD_OUT", 10)
    assert len(held_out(path)) == 10
    assert held_out(path) == held_out(other)


def test_equal_lines_are_held_out_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "HELD_OUT", 7)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b"line %d\n" % (number % 20) for number in range(100)))
    held_out = scan(path, 0.5).held_out
    all_lines = {line.number: line.data for line in lines_of(path)}
    chosen = [all_lines[number] for number in held_out]
    assert chosen
    assert all(chosen.count(data) == 5 for data in chosen)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "a.jsonl.gz"
    broken.write_bytes(gzip.compress(TEXT)[:-20])
    no_gzip = tmp_path / "b.jsonl.gz"
    no_gzip.write_bytes(TEXT)
    for path in (broken, no_gzip, tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError, match=f"data: {path}: "):
            scan(path, 0.1)


def test_what_can_be_read_only_once_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(
        InputError, match="fifo is a pipe or device, a file is read twice: send it to stdin, with --data -"
    ):
        scan(tmp_path / "fifo", 0.0)
