"""The default embedder: static token embeddings of WordLlama, 256-d, offline, no torch.

The vector of a text is the mean of its tokens' embeddings, scaled to unit length: what `WordLlama.embed`
gives with `norm=True`, within rounding. The weights and the tokenizer are read from the installed package
without importing it, because importing it
- sets the level and a handler of the root logger of the whole process,
- loads an HTTP client, which takes four times as long as everything here;
and because its batches pad every text to the longest, 2 GB for one text of 64 KB among 63 others.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from swarm.embed.base import CheckedEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.embed.packages import fingerprint, package_folder
from swarm.errors import EmbedderUnavailableError
from swarm.sona.vectors import Vector

REMEDY = "pip install 'wordllama>=0.4'"
DIM = 256
_KNOWN_VERSIONS: Mapping[str, str] = MappingProxyType(
    {"4d243a4b2daee65802d68699e288b9347fd45097303dc232205a660a82b5171e": "0.4"}
)
"""Fingerprint of weights and tokenizer -> version. The identity follows the files, not the package's number:
a release with the same files keeps it, files nobody has seen get a version of their own."""


class WordLlamaEmbedder(CheckedEmbedder):
    """Texts of any length count whole; any text that has a visible character has tokens, unknown ones as bytes."""

    def __init__(self) -> None:
        """Load weights (16 MB, kept as float16) and tokenizer.

        Raises
        ------
        EmbedderUnavailableError
            If the package `wordllama` or one of its files is missing or damaged.
        """
        folder = package_folder("wordllama", REMEDY)
        weights = folder / "weights" / "l2_supercat_256.safetensors"
        tokenizer = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
        found = fingerprint((weights, tokenizer), REMEDY)
        try:
            # Loaded here, so that who imports this package without using WordLlama pays nothing.
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer

            self._table = load_file(weights)["embedding.weight"]  # (vocabulary, d) float16
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # both libraries raise bare Exceptions of their own
            raise EmbedderUnavailableError(f"cannot load WordLlama ({error}): {REMEDY}") from error
        version = _KNOWN_VERSIONS.get(found, found[:12])
        super().__init__(EmbedderIdentity(id="wordllama", dim=DIM, version=version))

    def _vectors(self, texts: list[str]) -> Vector:
        vectors = np.empty((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            # One by one: no padding, and no thread pool inside the tokenizer that would not survive a fork.
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
            self._table.take(ids, axis=0).sum(axis=0, dtype=np.float32, out=vectors[row])
        return vectors
