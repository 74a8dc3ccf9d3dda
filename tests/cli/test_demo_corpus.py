"""Labelled texts from a folder: the accepted forms, and an error that says where for every other."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from swarm.errors import InputError
from swarm_cli.demo.corpus import STANDARD_LIBRARY, Request, load_corpus

ROWS = [
    {"text": "where is my card", "label": "card", "split": "train"},
    {"text": "my card is late", "label": "card", "split": "test", "domain": "bank"},
    {"text": "change my pin", "label": "pin", "split": "train"},
    {"text": "new pin please", "label": "pin", "split": "val"},
    {"text": "sing a song", "label": "oos", "split": "train"},
]


def lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def folder_with(folder: Path, content: str, name: str = "data.jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    if name.endswith(".gz"):
        (folder / name).write_bytes(gzip.compress(content.encode()))
    else:
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["data.jsonl.gz", "data.jsonl"])
def test_folder_is_read_compressed_or_plain(tmp_path: Path, name: str) -> None:
    corpus = load_corpus(folder_with(tmp_path / "tickets", lines(ROWS), name))
    assert corpus.name == "tickets"
    assert corpus.requests == (
        Request(text="where is my card", label="card"),
        Request(text="change my pin", label="pin"),
    )
    assert corpus.held_out == (Request(text="my card is late", label="card"),)
    assert corpus.labels == ("card", "pin")


def test_validation_and_out_of_scope_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    assert load_corpus(folder_with(tmp_path, lines(ROWS))).left_out == 2


def test_without_test_rows_nothing_is_held_out_yet(tmp_path: Path) -> None:
    train_only = [row for row in ROWS if row["split"] == "train"]
    assert load_corpus(folder_with(tmp_path, lines(train_only))).held_out is None


def test_blank_lines_are_allowed_and_counted_in_line_numbers(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, lines(ROWS) + "\n\n")
    assert len(load_corpus(folder).requests) == 2
    with pytest.raises(InputError, match="line 8: not JSON"):
        load_corpus(folder_with(tmp_path, lines(ROWS) + "\n\n{"))


def test_without_a_folder_the_corpus_is_the_standard_library() -> None:
    corpus = load_corpus(None)
    assert corpus.name == STANDARD_LIBRARY
    assert corpus.held_out is None
    assert "json" in corpus.labels


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{'text': 1}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "must be a JSON object, got int"),
        ('{"label": "a", "split": "train"}', "text is missing"),
        ('{"text": 7, "label": "a", "split": "train"}', "text must be text (str), got int"),
        ('{"text": " ", "label": "a", "split": "train"}', "text must hold more than white space"),
        (
            '{"text": "' + "x" * 70_000 + '", "label": "a", "split": "train"}',
            "text may have 65536 bytes of UTF-8 at most",
        ),
        ('{"text": "\\ud800", "label": "a", "split": "train"}', "text must be valid Unicode"),
        ('{"text": "x", "label": null, "split": "train"}', "label must be text (str), got NoneType"),
        ('{"text": "x", "label": "", "split": "train"}', "label must hold more than white space"),
        ('{"text": "x", "label": "a"}', "split is missing"),
        ('{"text": "x", "label": "a", "split": "dev"}', "split must be one of train, val, test, got 'dev'"),
    ],
)
def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    folder = folder_with(tmp_path, lines(ROWS) + line + "\n")
    with pytest.raises(InputError) as caught:
        load_corpus(folder)
    assert f"{folder / 'data.jsonl'}, line 6: {reason}" in str(caught.value)


def test_a_cut_or_foreign_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    whole = gzip.compress(lines(ROWS * 500).encode())
    for content in (whole[: len(whole) // 2], whole[:-4] + b"\0\0\0\0", b"not gzip", gzip.compress(b"\xff\xfe")):
        (tmp_path / "data.jsonl.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"data\.jsonl\.gz: cannot be read after line \d+"):
            load_corpus(tmp_path)


def test_missing_folder_and_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing at"):
        load_corpus(tmp_path / "absent")
    with pytest.raises(InputError, match=r"no data\.jsonl\.gz or data\.jsonl in"):
        load_corpus(tmp_path)
    with pytest.raises(InputError, match="it is a file at"):
        load_corpus(folder_with(tmp_path, lines(ROWS)) / "data.jsonl")


@pytest.mark.parametrize(
    ("name", "what"), [("queries.jsonl.gz", "a routing set"), ("trajectories.jsonl", "a set of agent trajectories")]
)
def test_sets_of_another_form_are_named(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(InputError, match=f"is {what}.*needs labelled texts"):
        load_corpus(folder_with(tmp_path, "{}", name))


def test_one_label_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"at least 2 labels .* got 1"):
        load_corpus(folder_with(tmp_path, lines(ROWS[:2])))
