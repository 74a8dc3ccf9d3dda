"""Terms of code and of questions about it: identifiers split into their words, cut to their stems, as numbers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import lru_cache

from swarm.services.stop_words import STOP_WORDS

TERM_BITS = 24
"""Terms are numbers of so many bits: of 50,000 different ones three in a thousand share a number."""
_IDENTIFIER = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_LONGEST = 40
_SAYING = frozenset(
    {
        *("get", "gets", "got", "let", "next", "last", "own", "few", "any", "all", "each", "every", "until", "once"),
        *("same", "other", "near", "down", "off", "on"),
    }
)
"""Function words that say in names what is done: `get`, `next_page`, `wait_until`, `on_close`."""
_ASKING = frozenset({"defined", "declared", "implemented", "located"})
_SILENT = (STOP_WORDS - _SAYING) | _ASKING
_AROUND = ",.;:?!\"'`()"


def words(text: str) -> Iterator[str]:
    """The words in a text, identifiers split where their case changes, in lower case.

    >>> list(words("parseHTTPResponse(max_age, utf8)"))
    ['parse', 'http', 'response', 'max', 'age', 'utf', '8']
    """
    for found in _IDENTIFIER.findall(text):
        yield from _split(found)


@lru_cache(maxsize=1 << 16)
def _split(identifier: str) -> tuple[str, ...]:
    return tuple(word.lower()[:_LONGEST] for word in _WORD.findall(identifier))


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """What is left of an English word without its commonest endings; no linguistics, the same for all.

    >>> [stem(word) for word in ("directories", "parsing", "parsed", "parses", "class")]
    ['directory', 'pars', 'pars', 'pars', 'class']
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=1 << 16)
def term(word: str) -> int:
    """The number of a word's stem."""
    return zlib.crc32(stem(word).encode()) >> (32 - TERM_BITS)


def terms(text: str) -> list[int]:
    """The numbers of all words in a text, in order."""
    return [term(word) for word in words(text)]


def asked_terms(question: str) -> list[int]:
    """The terms of a question that say what is asked for: function words do not, unless there is nothing else.

    A word within an identifier is always a term of it.

    >>> asked_terms("Where is after_task called?") == terms("after task called")
    True
    >>> asked_terms("How is it?") == terms("how is it")
    True
    """
    kept = [word for word in question.split() if word.strip(_AROUND).lower() not in _SILENT]
    return terms(" ".join(kept)) or terms(question)
