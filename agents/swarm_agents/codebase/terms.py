"""Terms of code and of questions about it: identifiers split into their words, cut to their stems, as numbers."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import lru_cache

TERM_BITS = 24
"""Terms are numbers of so many bits: of 50,000 different ones three in a thousand share a number."""
_IDENTIFIER = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_LONGEST = 40


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
