"""What the types of requests and answers have in common, and the bounds of names, texts and numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from swarm.embed.text import MAX_TEXT_BYTES
from swarm.services.recording import MAX_KEY_CHARACTERS

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
"""As `wire.keys.check_name` wants it."""
PRINTABLE = rf"[ -~]{{1,{MAX_KEY_CHARACTERS}}}"
"""Over HTTP ids are ASCII: a pattern of JSON Schema has no way to say which others can be printed."""
TASK_ID = rf"{NAME}:[0-9a-f]{{32}}"
MAX_WAIT_S = 60.0
"""A call over HTTP waits no longer; who wants to know more asks again."""

Name = Annotated[str, Field(pattern=rf"^{NAME}$", examples=["coder-1"])]
"""The name of an agent or a role."""
Names = Annotated[list[Name], Field(max_length=1_000)]
Key = Annotated[str, Field(pattern=rf"^{PRINTABLE}$")]
"""An id that whoever asks may choose: printable ASCII."""
Label = Annotated[str, Field(pattern=rf"^[ -~]{{0,{MAX_KEY_CHARACTERS}}}$")]
"""The same, or empty."""
Text = Annotated[
    str,
    Field(
        pattern=r"\S",
        max_length=MAX_TEXT_BYTES,
        description=f"Not white space alone; at most {MAX_TEXT_BYTES} bytes of UTF-8.",
    ),
]
OptionalText = Annotated[str, Field(pattern=r"^$|\S", max_length=MAX_TEXT_BYTES)]
AS_WHOLE = BeforeValidator(lambda value: int(value) if _is_whole(value) else value)
"""For integers: JSON has one kind of number, 5.0 is 5."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, Field(ge=0.0, le=1e12)]
Dollars = Annotated[float, Field(ge=0.0, le=1e9)]
Wait = Annotated[
    float, Field(ge=0.0, le=MAX_WAIT_S, description="Seconds to wait for its end; it is answered as it stands then.")
]

AgentName = Annotated[str, Path(pattern=rf"^{NAME}$", description="Name of an agent")]
TaskId = Annotated[str, Path(pattern=rf"^{TASK_ID}$", description="What submitting it answered")]
PatternId = Annotated[
    str, Path(pattern=r"^[ -.0-~]{1,200}$", description="As a query or the list of patterns shows it")
]


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


class Body(BaseModel):
    """What is asked: nothing but what is known, of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class View(BaseModel):
    """What is answered, made of a record of the layers below by the names of its attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    @classmethod
    def of(cls, record: object) -> Self:
        """The record as an answer."""
        return cls.model_validate(record)


def jsonable(value: Any) -> JsonValue:
    """Any stored value as JSON has it: bytes as base64, a number that is not finite as null, a tuple as a list.

    >>> jsonable({"size": 3, "data": b"abc", "ratio": float("nan")})
    {'size': 3, 'data': 'YWJj', 'ratio': None}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [jsonable(one) for one in value]
    # numpy's numbers know how to become Python's.
    return jsonable(value.item()) if hasattr(value, "item") else str(value)
