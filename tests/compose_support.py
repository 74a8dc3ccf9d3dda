"""`compose/compose.yaml` as Compose reads it: variables filled in, merge keys resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # its types are a package of their own

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "compose"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<rest>:-(?P<default>[^}]*)|:\?(?P<message>[^}]*))?\}")


def variables_of(text: str) -> set[str]:
    """Names of the variables in a compose file."""
    return {found["name"] for found in _VARIABLE.finditer(text)}


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with `${NAME}`, `${NAME:-default}` and `${NAME:?message}` replaced; an empty one counts as not set.

    >>> filled("${A:-1} ${B:?set it}", {"B": "2"})
    '1 2'
    """

    def value(found: re.Match[str]) -> str:
        if given := values.get(found["name"], ""):
            return given
        if found["message"] is not None:
            raise ValueError(f"{found['name']}: {found['message']}")
        return found["default"] or ""

    return _VARIABLE.sub(value, text)


def read_compose(values: Mapping[str, str]) -> dict[str, Any]:
    """The compose file with `values` for its variables."""
    found = yaml.safe_load(filled((FOLDER / "compose.yaml").read_text(encoding="utf-8"), values))
    assert isinstance(found, dict)
    return found


def read_env(path: Path) -> dict[str, str]:
    """The assignments of an .env file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
