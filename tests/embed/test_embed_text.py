from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.embed import MAX_TEXT_BYTES, check_text, check_texts
from swarm.errors import TextError

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
"""Every code point, surrogates included."""


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", "\u2003\u00a0", "\x1f"])
def test_blank_text_is_refused(text: str) -> None:
    with pytest.raises(TextError, match=f"task must hold more than white space, got {len(text)} characters"):
        check_text(text, "task")


@pytest.mark.parametrize("value", [None, 3, b"bytes", ["text"], 1.5, object()])
def test_what_is_not_text_is_refused_by_type(value: object) -> None:
    with pytest.raises(TextError, match=rf"text must be text \(str\), got {type(value).__name__}"):
        check_text(value)


def test_bound_counts_bytes_not_characters() -> None:
    assert check_text("é" * 8, max_bytes=16) == "é" * 8
    with pytest.raises(TextError, match="text may have 16 bytes of UTF-8 at most, got 18"):
        check_text("é" * 9, max_bytes=16)


def test_text_of_ten_megabytes_is_refused_with_its_size_and_without_its_content() -> None:
    with pytest.raises(TextError, match=f"{MAX_TEXT_BYTES} bytes of UTF-8 at most, got 10000000 characters") as caught:
        check_text("x" * 10_000_000)
    assert len(str(caught.value)) < 200


def test_text_at_the_bound_is_taken() -> None:
    assert check_text("x" * MAX_TEXT_BYTES) == "x" * MAX_TEXT_BYTES


@pytest.mark.parametrize("text", ["a\ud800", "\udfff", "x\udc80y"])
def test_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(TextError, match=r"note must be valid Unicode, got a lone surrogate U\+D[89A-F]"):
        check_text(text, "note")


@pytest.mark.parametrize("text", ["\0", "a\0b", "\x1b[31mred\x1b[0m", "\x7f", "\u200b", "\U0010ffff"])
def test_control_characters_are_text(text: str) -> None:
    assert check_text(text) == text


@given(ANY_TEXT)
def test_check_text_answers_the_same_text_or_a_text_error(text: str) -> None:
    try:
        checked = check_text(text)
    except TextError:
        assert not text.strip() or any("\ud800" <= character <= "\udfff" for character in text)
    else:
        assert checked == text
        assert checked.encode().decode() == text


@given(st.text(min_size=1).filter(str.strip), st.integers(0, 40))
def test_check_text_obeys_any_bound(text: str, max_bytes: int) -> None:
    if len(text.encode()) <= max_bytes:
        assert check_text(text, max_bytes=max_bytes) == text
    else:
        with pytest.raises(TextError, match=f"{max_bytes} bytes"):
            check_text(text, max_bytes=max_bytes)


def test_error_of_a_batch_names_the_index() -> None:
    with pytest.raises(TextError, match=r"texts\[1\] must hold more"):
        check_texts(["fine", " ", "fine"])


@pytest.mark.parametrize("texts", ["one text", b"bytes", None, 3, iter(["a"])])
def test_one_text_in_place_of_a_batch_is_refused(texts: object) -> None:
    with pytest.raises(TextError, match="texts must be a sequence of texts, got one"):
        check_texts(texts)
