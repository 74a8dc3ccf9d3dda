"""Periods on the command line: 90s, 15m, 12h, 30d, or off."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_PERIOD = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd])")


@dataclass(frozen=True, slots=True)
class Period:
    """A period; None seconds is off."""

    seconds: float | None


class PeriodType(click.ParamType[Period]):
    """What click makes of such a text."""

    name = "period"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Period:
        """The period of a text, or a usage error.

        >>> PeriodType().convert("1.5h", None, None), PeriodType().convert("off", None, None)
        (Period(seconds=5400.0), Period(seconds=None))
        """
        if isinstance(value, Period):
            return value
        if value == "off":
            return Period(None)
        found = _PERIOD.fullmatch(str(value))
        if found is None:
            self.fail(f"{str(value)[:40]!r} is no period: a number with s, m, h or d, or off", param, ctx)
        return Period(float(found[1]) * _UNITS[found[2]])


PERIOD = PeriodType()
