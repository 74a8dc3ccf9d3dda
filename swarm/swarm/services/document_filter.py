"""Filters of documents: conditions on the fields of a JSON value, as the stores of agent frameworks have them.

    {"kind": "note"}                          equal
    {"score": {"$gte": 3, "$lt": 5}}          compared; $eq, $ne, $gt, $gte, $lt, $lte
    {"author": {"name": "ada"}}               the fields that are named, inside of a field

Numbers, and texts that read as numbers, are compared as numbers; other texts as texts. What cannot be compared, such as
a field that is missing, meets no comparison but `$ne`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from swarm.errors import InputError, shown

_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = ("$eq", "$ne", *_COMPARED)


def check_filter(conditions: object) -> Mapping[str, Any]:
    """`conditions` if they can be read.

    Raises
    ------
    InputError
        If they are no mapping of fields, or one has an operator that is not known.
    """
    if not isinstance(conditions, Mapping) or not all(isinstance(name, str) for name in conditions):
        raise InputError(f"filter must be a mapping of fields, got {shown(conditions)}")
    for wanted in conditions.values():
        _check_operators(wanted)
    return conditions


def meets(value: object, conditions: Mapping[str, Any]) -> bool:
    """Whether a value has all fields as the conditions want them; they were checked.

    >>> meets({"n": 3, "tags": ["a"]}, {"n": {"$gt": 2}, "tags": ["a"]})
    True
    """
    return isinstance(value, Mapping) and all(_is_as(value.get(name), wanted) for name, wanted in conditions.items())


def _check_operators(wanted: Any) -> None:
    if isinstance(wanted, Mapping) and _is_comparison(wanted):
        if unknown := [name for name in wanted if name not in _OPERATORS]:
            raise InputError(f"filter: the operators are {', '.join(_OPERATORS)}, got {shown(unknown[0], 40)}")
    elif isinstance(wanted, Mapping | list | tuple):
        for inner in wanted.values() if isinstance(wanted, Mapping) else wanted:
            _check_operators(inner)


def _is_as(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if _is_comparison(wanted):
            return all(_compares(value, name, bound) for name, bound in wanted.items())
        return meets(value, wanted)
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(wanted)
            and all(_is_as(one, other) for one, other in zip(value, wanted, strict=True))
        )
    return bool(value == wanted)


def _is_comparison(wanted: Mapping[str, Any]) -> bool:
    return any(isinstance(name, str) and name.startswith("$") for name in wanted)


def _compares(value: Any, name: str, bound: Any) -> bool:
    if name in ("$eq", "$ne"):
        return bool(value == bound) is (name == "$eq")
    numbers = _number(value), _number(bound)
    if None not in numbers:
        return _COMPARED[name](*numbers)
    return isinstance(value, str) and isinstance(bound, str) and _COMPARED[name](value, bound)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
