"""What counts as text: the check at the shell of every embedder."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.errors import TextError

MAX_TEXT_BYTES = 65_536


def check_text(text: object, parameter: str = "text", max_bytes: int = MAX_TEXT_BYTES) -> str:
    r"""`text` unchanged if it can be embedded, stored and sent as UTF-8.

    Control characters, NUL included, are allowed: logs and terminal output hold them.

    Raises
    ------
    TextError
        If it is not a str, has no character but white space, has more than `max_bytes` bytes of UTF-8, or
        holds a lone surrogate. The message names `parameter`, the bound and the size, never the text.

    >>> check_text("reset my pin\0")
    'reset my pin\x00'
    >>> check_text("  ", "task")
    Traceback (most recent call last):
    swarm.errors.TextError: task must hold more than white space, got 2 characters
    """
    if not isinstance(text, str):
        raise TextError(f"{parameter} must be text (str), got {type(text).__name__}")
    # A character has at least one byte: what is far too large is refused without being encoded or scanned.
    if len(text) > max_bytes:
        raise TextError(f"{parameter} may have {max_bytes} bytes of UTF-8 at most, got {len(text)} characters")
    if not text or text.isspace():
        raise TextError(f"{parameter} must hold more than white space, got {len(text)} characters")
    size_bytes = len(_encode(text, parameter))
    if size_bytes > max_bytes:
        raise TextError(f"{parameter} may have {max_bytes} bytes of UTF-8 at most, got {size_bytes}")
    return text


def _encode(text: str, parameter: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            f"{parameter} must be valid Unicode, got a lone surrogate U+{ord(text[error.start]):04X} "
            f"at character {error.start} of {len(text)}"
        ) from None


def check_texts(texts: object, parameter: str = "texts", max_bytes: int = MAX_TEXT_BYTES) -> list[str]:
    """The texts of a batch, each checked by `check_text`; an error names the index.

    One str is refused too, because a str is a sequence of its own characters.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise TextError(f"{parameter} must be a sequence of texts, got one {type(texts).__name__}")
    return [check_text(text, f"{parameter}[{index}]", max_bytes) for index, text in enumerate(texts)]
