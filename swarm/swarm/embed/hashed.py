"""The embedder without a model: words and character n-grams, hashed into a vector. NumPy only.

It knows spelling, not meaning: "reset my pin" is near "resetting pins" and far from "forgot the passcode".
So it is chosen by name and never stands in for another embedder silently.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from swarm.embed.base import CheckedEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.sona.vectors import Doubles, Vector

DEFAULT_DIM = 384
NGRAM_LENGTHS = (3, 4, 5)
_VERSION = "1"
_CANCELLED = 1e-9
"""What is left of weights of at least 1 that cancel, by rounding."""
_TOKEN = re.compile(r"\w+|[^\w\s]")
"""A word, or one visible or control character that belongs to none: every text with more than white space
has a token."""


def features(text: str) -> Iterator[str]:
    """Each word, and its n-grams with the word's boundaries marked, case folded.

    >>> list(features("My pin"))
    [' my', '<my', 'my>', '<my>', ' pin', '<pi', 'pin', 'in>', '<pin', 'pin>', '<pin>']
    """
    for token in _TOKEN.findall(unicodedata.normalize("NFC", text).casefold()):
        yield " " + token
        marked = f"<{token}>"
        for length in NGRAM_LENGTHS:
            for start in range(len(marked) - length + 1):
                yield marked[start : start + length]


class HashedEmbedder(CheckedEmbedder):
    """Signed feature hashing (Weinberger et al. 2009, eq. 2-3): v_i = sum over f with h(f) = i of s(f) (1 + ln tf(f)).

    h and s come from CRC-32, which is the same on every machine and in every process, unlike `hash`.
    """

    def __init__(self, dim: int = DEFAULT_DIM) -> None:
        """Nothing is loaded. `dim` in 16..8192, else BoundsError."""
        super().__init__(EmbedderIdentity(id="hashed", dim=dim, version=_VERSION))

    def _vectors(self, texts: list[str]) -> Vector:
        return np.array([self._vector(text) for text in texts], dtype=np.float32)

    def _vector(self, text: str) -> Doubles:
        counts = Counter(features(text))
        weights: Doubles = np.array([1.0 + math.log(count) for count in counts.values()])
        codes = np.array([zlib.crc32(feature.encode()) for feature in counts], dtype=np.uint32)
        buckets = (codes >> 1) % self._identity.dim
        vector = self._sums(buckets, np.where(codes & 1, -weights, weights))
        # All features of a very short text may cancel each other; without signs they cannot.
        return vector if np.abs(vector).max() > _CANCELLED else self._sums(buckets, weights)

    def _sums(self, buckets: npt.NDArray[np.integer], weights: Doubles) -> Doubles:
        return np.asarray(np.bincount(buckets, weights=weights, minlength=self._identity.dim), dtype=np.float64)
