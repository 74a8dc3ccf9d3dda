"""Periods on the command line: 90s, 15m, 12h, 30d, or off."""

from __future__ import annotations

from dataclasses import dataclass

import click

from swarm.errors import InputError
from swarm.services.periods import parse_period


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
        try:
            return Period(parse_period(value))
        except InputError as error:
            self.fail(str(error).removeprefix("period: "), param, ctx)


PERIOD = PeriodType()
