"""JSON files that programs read, and people too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def json_bytes(values: Mapping[str, Any]) -> bytes:
    """One JSON object, indented."""
    return json.dumps(values, indent=2, allow_nan=False).encode() + b"\n"
