"""Hostile values: what no caller should pass, and what an attacker would."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgpack
import numpy as np

_TEXTS = (
    *("", " ", "\n", "\t\r", "\0", "a\0b", "line\nbreak", "\x1b[31mred", "\x7f", "\ufeff", "\u202e", "\u200b"),
    *("{", "}", "{}", "{fuzz}", "{fuzz}:agents", "{fuzz/ada}:stream", "{sentinel}:agents", "}:agents{", "a/b", "a:b"),
    *("*", "?", "[a-z]", "a*", "\\*", "..", "../../etc/passwd", "/etc/passwd", "~", "$(id)", "`id`", "; rm -rf /"),
    *(
        "%s%s%n",
        "%00",
        "{0.__class__}",
        "{{7*7}}",
        "' OR 1=1 --",
        "<script>",
        "-1",
        "--json",
        "-",
        "NaN",
        "inf",
        "1e999",
    ),
    *(
        "\ud800",
        "a\udfffb",
        "\U0010ffff",
        "é",
        "e\u0301",
        "ﷺ",
        "👩‍👩‍👧‍👦",
        "İ",
        "ß",
        "\u2028",
        "default",
        "library",
        "None",
    ),
    *(
        "REDIS\r\nFLUSHALL\r\n",
        "*1\r\n$8\r\nFLUSHALL\r\n",
        "return redis.call('FLUSHALL')",
        "0-0",
        "(0-0",
        "+",
        "$",
        "~1",
    ),
)
_LENGTHS = (63, 64, 200, 201, 1_024, 1_025, 65_536, 65_537, 200_000)
# None lies between 1 and 1e9: as a timeout that is allowed, it would be waited for.
_NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, True, False, -0.0, 0.5, 1.0 + 1e-12, 5e-324, -5e-324, 1e-300, 1e10, 1e11, 1e15, 1e300, 1.8e308),
    *(
        math.nan,
        math.inf,
        -math.inf,
        2**31,
        2**53 + 1,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        2**64,
        10**5000,
        10**400,
        -(10**400),
    ),
    *(np.float32("nan"), np.float32("inf"), np.float64(0.25), np.int64(2**62), np.bool_(True), np.uint8(1), 1j),
    *(Decimal("0.5"), Decimal("NaN"), "0.5", b"1"),
)


class Unknown:
    """An object that nobody knows."""


@dataclass(frozen=True)
class Lookalike:
    """Has the fields of what is wanted, with the wrong things in them."""

    id: Any = None
    token: Any = None
    agent: Any = None
    record: Any = None
    idempotency_key: Any = None
    state: Any = None
    embedding: Any = None


class Hostile:
    """Draws values; the same seed draws the same ones."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._kinds: Sequence[Callable[[], Any]] = (self.text, self.number, self.thing, self.vector, self.nested)

    def any(self) -> Any:
        """Something of any kind."""
        return self.rng.choices(self._kinds, (6, 4, 3, 1, 2))[0]()

    def text(self) -> str:
        """A text: known trouble, a random one, a long one, or several glued together."""
        way = self.rng.random()
        if way < 0.55:
            return self.rng.choice(_TEXTS)
        if way < 0.75:
            return "".join(chr(self.rng.randrange(0x110000)) for _ in range(self.rng.randrange(1, 12)))
        if way < 0.85:
            return self.rng.choice("aé\0{😀 ") * self.rng.choice(_LENGTHS)
        return "".join(self.rng.choice(_TEXTS) for _ in range(self.rng.randrange(2, 5)))

    def number(self) -> Any:
        """A number out of most bounds, or something that looks like one."""
        return self.rng.choice(_NUMBERS)

    def thing(self) -> Any:
        """Something of a type that nobody wants there."""
        rng = self.rng
        return rng.choice(
            (
                *(
                    None,
                    object(),
                    Unknown(),
                    Unknown,
                    Lookalike(),
                    Lookalike(id="coder:" + "0" * 32, token=rng.random()),
                ),
                *((), [], {}, set(), frozenset({"a"}), b"", b"\xff\xfe", bytearray(b"x"), memoryview(b"x"), range(3)),
                *(
                    [None],
                    ["a", 1],
                    {"a": None},
                    {1: 2},
                    {"": ""},
                    {None: "a"},
                    {("a",): 1},
                    iter(()),
                    (x for x in "ab"),
                ),
                *(lambda: None, print, ValueError("x"), Ellipsis, NotImplemented, slice(1), type, math),
                *(
                    msgpack.ExtType(1, b"x"),
                    msgpack.Timestamp(1),
                    np.datetime64("2020-01-01"),
                    np.array("a"),
                    np.void(b"x"),
                ),
            )
        )

    def vector(self) -> Any:
        """Numbers in a row, or what pretends to be."""
        rng = self.rng
        dim = rng.choice((0, 1, 16, 31, 32, 33, 64))
        made = np.full(dim, rng.choice((0.0, 1.0, 1e-30, 1e30, 3e38, math.nan, math.inf, -1.0)), dtype=np.float32)
        way = rng.randrange(7)
        return (
            made,
            made.astype(np.float64) * 1e300,
            made.tolist(),
            made.reshape(1, -1),
            made.astype(object),
            made.astype(np.complex64),
            np.array([rng.random() for _ in range(32)], dtype=np.float32),
        )[way]

    def nested(self) -> Any:
        """Lists and maps in each other: deep, wide, or without end."""
        rng = self.rng
        way = rng.randrange(5)
        if way == 0:
            found: Any = self.number()
            for _ in range(rng.choice((10, 100, 600, 2_000))):
                found = [found] if rng.random() < 0.5 else {"a": found}
            return found
        if way == 1:
            endless: list[Any] = []
            endless.append(endless)
            return endless
        if way == 2:
            return [self.text() for _ in range(rng.randrange(1, 40))]
        if way == 3:
            return {self.text(): self.number() for _ in range(rng.randrange(1, 20))}
        return {self.text(): [self.thing()] for _ in range(rng.randrange(1, 4))}
