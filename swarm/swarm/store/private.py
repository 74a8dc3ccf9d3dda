"""Folders that belong to one user alone."""

from __future__ import annotations

from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone."""
    # One by one: `mkdir(parents=True)` would leave the parents, the state directory among them, open to others.
    for path in (*reversed(folder.parents), folder):
        path.mkdir(mode=0o700, exist_ok=True)
