"""Periods as people write them: 90s, 15m, 12h, 30d, or off."""

from __future__ import annotations

import re

from swarm.errors import InputError, shown

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PERIOD = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd])")


def parse_period(text: object, parameter: str = "period") -> float | None:
    """Seconds; None for off.

    Raises
    ------
    InputError
        If it is no period.

    >>> parse_period("1.5h"), parse_period("off")
    (5400.0, None)
    """
    if text == "off":
        return None
    found = _PERIOD.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f"{parameter}: {shown(text, 40)} is no period: a number with s, m, h or d, or off")
    return float(found[1]) * _UNITS[found[2]]
