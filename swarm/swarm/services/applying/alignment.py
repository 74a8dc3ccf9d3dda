"""Which token of one text stands where which token of another stands: global alignment.

Needleman & Wunsch 1970: the pairing in order with the largest sum of scores, by dynamic programming.
"""

from __future__ import annotations

from collections.abc import Sequence

from swarm.services.applying.tokens import Kind, Token

MOST = 300
"""Between what both texts begin and end with so many tokens of each are aligned; behind them nothing is."""
_GAP = -1.0


def align(first: Sequence[Token], second: Sequence[Token]) -> list[int | None]:
    """For each token of `first` the row of the one in `second` that stands in its place, None where nothing does.

    >>> from swarm.services.applying.tokens import tokens_of
    >>> align(tokens_of("copy a.txt to b.txt now"), tokens_of("copy c.txt to d.txt"))
    [0, 1, 2, 3, None]
    """
    n, m = len(first), len(second)
    head = _shared(first, second)
    tail = min(_shared(first[::-1], second[::-1]), min(n, m) - head)
    places: list[int | None] = [None] * n
    places[:head] = range(head)
    if tail:
        places[n - tail :] = range(m - tail, m)
    middle = _aligned(first[head : n - tail][:MOST], second[head : m - tail][:MOST])
    for row, place in enumerate(middle):
        places[head + row] = None if place is None else head + place
    return places


def _shared(first: Sequence[Token], second: Sequence[Token]) -> int:
    """How many tokens both begin with."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if not one.is_same(other):
            break
        count += 1
    return count


def _score(one: Token, other: Token) -> float:
    if one.is_same(other):
        return 1.0 if one.kind is Kind.SIGN else 3.0
    if one.names_something and one.may_stand_for(other):
        return 1.0
    # Something else in the same place is a little better than leaving one out and putting one in.
    return (-0.5 if one.kind is other.kind else -1.5) if one.is_content and other.is_content else -2.5


def _aligned(first: Sequence[Token], second: Sequence[Token]) -> list[int | None]:
    n, m = len(first), len(second)
    # best[i][j] is that of first[i:] and second[j:]: among equals what comes first is paired first.
    best = [[0.0] * (m + 1) for _ in range(n)] + [[_GAP * (m - column) for column in range(m + 1)]]
    for row in range(n - 1, -1, -1):
        line, below = best[row], best[row + 1]
        line[m] = _GAP * (n - row)
        for column in range(m - 1, -1, -1):
            paired = below[column + 1] + _score(first[row], second[column])
            line[column] = max(paired, below[column] + _GAP, line[column + 1] + _GAP)
    places: list[int | None] = [None] * n
    row = column = 0
    while row < n and column < m:
        if best[row][column] == best[row + 1][column + 1] + _score(first[row], second[column]):
            places[row] = column
            row, column = row + 1, column + 1
        elif best[row][column] == best[row + 1][column] + _GAP:
            row += 1
        else:
            column += 1
    return places
