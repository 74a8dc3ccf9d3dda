"""Dataclasses from the JSON that a gateway makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from swarm.errors import DamagedRecordError

_T = TypeVar("_T")


def rebuild(kind: type[_T], values: object) -> _T:
    """The `kind` that was turned into plain values; what it does not know, of a newer gateway, is left out.

    Raises
    ------
    DamagedRecordError
        If something is missing or of another shape.
    """
    try:
        return cast(_T, _dataclass(kind, values))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRecordError(f"the gateway's answer is no {kind.__name__}: {error!r:.120}") from error


def _dataclass(kind: Any, values: Any) -> Any:
    hints = _hints(kind)
    return kind(**{one.name: _value(hints[one.name], values[one.name]) for one in fields(kind) if one.name in values})


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return value if value is None or len(kinds) != 1 else _value(kinds[0], value)
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return _dataclass(hint, value) if is_dataclass(hint) and isinstance(value, Mapping) else value


@lru_cache(maxsize=64)
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)
