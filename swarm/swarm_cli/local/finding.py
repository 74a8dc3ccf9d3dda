"""One thing that `swarm doctor` has looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, and when it is not well what to do about it."""

    check: str
    ok: bool
    detail: str
    remedy: str = ""
    """Empty when all is well."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def judged(check: str, ok: bool, detail: str, remedy: str) -> Finding:
    """A finding that carries its remedy only when it needs one."""
    return Finding(check=check, ok=ok, detail=detail, remedy="" if ok else remedy)
