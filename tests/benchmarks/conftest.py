"""Small made-up folders in the three forms of data, and a cache of the test's own."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands for the user's cache."""
    monkeypatch.setattr("benchmarks.embeddings.user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "sona-swarm" / "benchmarks"


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder: `folder(data=ROWS, emb={"embedding": ARRAY}, models_json=VALUE)`."""

    def write(name: str = "made_up", plain: bool = False, **files: object) -> Path:
        target = tmp_path / name
        target.mkdir(exist_ok=True)
        for stem, content in files.items():
            if isinstance(content, dict):
                np.savez_compressed(target / f"{stem}.npz", **content)
            elif stem == "models_json":
                (target / "models.json").write_text(json.dumps(content))
            else:
                assert isinstance(content, Sequence)
                body = "".join(json.dumps(row) + "\n" for row in content).encode()
                path = target / (f"{stem}.jsonl" if plain else f"{stem}.jsonl.gz")
                path.write_bytes(body if plain else gzip.compress(body))
        return target

    return write
