"""Model files that come inside an installed Python package: found without importing it, known by their hash."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from swarm.errors import EmbedderUnavailableError


def package_folder(package: str, remedy: str) -> Path:
    """The folder of an installed top-level package, which is not imported.

    Raises
    ------
    EmbedderUnavailableError
        If it is not installed; the message ends with `remedy`.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbedderUnavailableError(f"the package {package} is not installed: {remedy}")
    return Path(spec.origin).parent


def fingerprint(files: tuple[Path, ...], remedy: str) -> str:
    """SHA-256 of the files' bytes, one after the other, as 64 hexadecimal digits.

    Raises
    ------
    EmbedderUnavailableError
        If a file cannot be read; the message ends with `remedy`.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            digest.update(file.read_bytes())
        except OSError as error:
            raise EmbedderUnavailableError(f"cannot read {file.name} ({error.strerror}): {remedy}") from error
    return digest.hexdigest()
