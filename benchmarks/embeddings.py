"""Vectors of a benchmark's texts: those that the folder brings, else computed once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from platformdirs import user_cache_path

from benchmarks.arguments import say
from swarm.embed import Embedder, load_embedder
from swarm.errors import InputError
from swarm.sona.vectors import Vector, unit_rows

FOLDERS_OWN = "minilm"
"""What the vectors in a folder are made with (README of the data)."""
FOLDERS_DIM = 384
DEFAULT = "wordllama"
_CACHED = ("wordllama", "hashed", "minilm")
"""Only what our own code computes is kept: another embedder may change behind an unchanged name."""
_BATCH = 256


def embedder_name(folder: Path | None, embedder: str | None) -> str:
    """What will be used: `embedder`, else `minilm` if the folder brings vectors, else the service's default."""
    if embedder is not None:
        return embedder
    return FOLDERS_OWN if folder is not None and (folder / "emb.npz").is_file() else DEFAULT


def vectors_for(
    texts: Sequence[str], name: str, folder: Path | None = None, file: str = "emb.npz", key: str = "embedding"
) -> Vector:
    """Read-only unit rows of shape (n, d), float32, for n texts.

    Parameters
    ----------
    name : an embedder of `swarm.embed.registry`; for `minilm` the folder's file is read instead, if it is there
    file, key : the file in the folder, and its array, whose rows are in the order of the texts

    Raises
    ------
    InputError
        If the name is unknown, or the folder's file is damaged or has other rows than the texts.
    EmbedderUnavailableError
        If the embedder cannot be loaded.
    """
    path = None if folder is None else folder / file
    if name == FOLDERS_OWN and path is not None and path.is_file():
        vectors = _read(path, key, len(texts))
    else:
        vectors = embed_texts(texts, name)
    vectors.flags.writeable = False
    return vectors


def embed_texts(texts: Sequence[str], name: str) -> Vector:
    """Unit rows of shape (n, d), computed by the embedder `name`, or found in the cache; errors as in `vectors_for`."""
    embedder = load_embedder(name)
    if name.partition(":")[0] not in _CACHED:
        return _computed(texts, embedder)
    path = user_cache_path("sona-swarm") / "benchmarks" / f"{_digest(texts, embedder)}.npy"
    kept = _kept(path, (len(texts), embedder.identity.dim))
    if kept is not None:
        return kept
    vectors = _computed(texts, embedder)
    _keep(path, vectors)
    return vectors


def _read(path: Path, key: str, n: int) -> Vector:
    try:
        # Opened here, because NumPy leaves the file open when it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if key not in arrays:
                raise InputError(f"{path}: must hold an array {key!r}, got {', '.join(arrays) or 'none'}")
            found = np.asarray(arrays[key])
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, AttributeError, TypeError) as error:
        # A file of one array (.npy) has no names and fails as TypeError or AttributeError.
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read: {error}") from error
    if found.dtype.kind != "f" or found.shape != (n, FOLDERS_DIM):
        raise InputError(
            f"{path}: {key} must be floats of shape ({n}, {FOLDERS_DIM}), one row for each text, "
            f"got {found.dtype} of shape {found.shape}"
        )
    vectors = found.astype(np.float32)
    squared = np.einsum("nd,nd->n", vectors, vectors)
    bad = np.flatnonzero(~(np.isfinite(squared) & (squared > 0.0)))
    if bad.size:
        raise InputError(f"{path}: {key}[{bad[0]}] must be finite and not zero, got squared length {squared[bad[0]]}")
    return unit_rows(vectors)


def _computed(texts: Sequence[str], embedder: Embedder) -> Vector:
    parts = []
    for start in range(0, len(texts), _BATCH):
        parts.append(embedder.embed(texts[start : start + _BATCH]))
        done = start + len(parts[-1])
        if done % (16 * _BATCH) == 0:
            say(f"{embedder.identity}: {done:,} of {len(texts):,} texts")
    return np.concatenate(parts) if parts else embedder.embed([])


def _digest(texts: Sequence[str], embedder: Embedder) -> str:
    digest = hashlib.sha256(str(embedder.identity).encode())
    for text in texts:
        # With its length, so that no two lists of texts look alike.
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _kept(path: Path, shape: tuple[int, int]) -> Vector | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            vectors = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        say(f"{path} cannot be read and is made anew: {error}")
        return None
    if vectors.dtype != np.float32 or vectors.shape != shape or not np.isfinite(vectors).all():
        say(f"{path} holds something else than vectors of these texts and is made anew")
        return None
    return np.asarray(vectors, dtype=np.float32)


def _keep(path: Path, vectors: Vector) -> None:
    """Written aside and renamed: whoever reads at the same time finds all of it or nothing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.save(file, vectors, allow_pickle=False)
        os.replace(file.name, path)
    except OSError as error:
        # The vectors are there; they will be computed again next time.
        say(f"cannot keep vectors in {path.parent}: {error}")
