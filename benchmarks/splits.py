"""Which rows are learned from and which are held out; a fifth is held out where the data does not say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.rows import Row
from swarm.errors import InputError
from swarm.sona.vectors import Integers

SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)
HELD_OUT_SHARE = 0.2


def read_splits(rows: Sequence[Row]) -> Integers | None:
    """Indices into `SPLITS`, of shape (n,); None if no row has a split, or none is a test row.

    Raises
    ------
    InputError
        If some rows have a split and others have none, or a split is another word.
    """
    lacking = [row for row in rows if not row.has("split")]
    if len(lacking) == len(rows):
        return None
    if lacking:
        raise InputError(f"{lacking[0].where}: split is missing, but other rows have one")
    splits = np.array([SPLITS.index(row.one_of("split", SPLITS)) for row in rows], dtype=np.intp)
    return splits if (splits == TEST).any() else None


def hold_out(texts: Sequence[str], groups: Integers, seed: int) -> Integers:
    """Splits of shape (n,), `TRAIN` or `TEST`: a fifth of the texts of each group is held out, at least one of two.

    The same text goes to one side only, however often it comes, because a twin on the other side would be
    known by heart.

    Parameters
    ----------
    groups : of shape (n,), the label or category of each text
    """
    rng = np.random.default_rng(seed)
    side: dict[str, int] = {}
    for group in np.unique(groups):
        members = sorted({texts[row] for row in np.flatnonzero(groups == group).tolist()} - side.keys())
        count = min(max(1, round(HELD_OUT_SHARE * len(members))), len(members) - 1)
        for position, member in enumerate(rng.permutation(len(members)).tolist()):
            side[members[member]] = TEST if position < count else TRAIN
    return np.array([side[text] for text in texts], dtype=np.intp)


def frozen_array(values: Integers) -> Integers:
    """`values` itself, no longer writeable."""
    values.flags.writeable = False
    return values


def numbered(names: Sequence[str]) -> tuple[Integers, tuple[str, ...]]:
    """(index of each name into the sorted names, the sorted names).

    >>> numbered(["pin", "card", "pin"])
    (array([1, 0, 1]), ('card', 'pin'))
    """
    order = tuple(sorted(set(names)))
    index = {name: position for position, name in enumerate(order)}
    return frozen_array(np.array([index[name] for name in names], dtype=np.intp)), order
