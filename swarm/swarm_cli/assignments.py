"""Values on the command line: KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

_LISTS = frozenset({"redact"})


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Values by key: numbers as such, names with commas between them where a list is meant, else text.

    Raises
    ------
    UsageError
        If one is no KEY=VALUE, or a key stands there twice.

    >>> assignments(["base_lora_rank=24", "base_lora_lr=2e-3", "redact=email,phone", "ttl=30d"])
    {'base_lora_rank': 24, 'base_lora_lr': 0.002, 'redact': ['email', 'phone'], 'ttl': '30d'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not key or key in found:
            raise click.UsageError(f"--set takes KEY=VALUE, each key once, got {text[:60]!r}")
        found[key] = [name for name in value.split(",") if name] if key in _LISTS else _value(value)
    return found


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
