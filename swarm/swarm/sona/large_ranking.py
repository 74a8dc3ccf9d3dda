"""The formulas of `ranking` over what is near a query, of everybody or as some agents' `View` has it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swarm.sona.action_table import ActionTable
from swarm.sona.inverted_file import Slots, products
from swarm.sona.large_view import View
from swarm.sona.ranking import expected_quality, guarded, kernel, prior
from swarm.sona.row_store import Rows, RowStore
from swarm.sona.vectors import Doubles, Flags, Integers, Vector

NEAR = 512
"""So many clusters count for one query, the nearest ones."""
PROTOTYPES = 64
"""Actions that compete because their prototypes are near, though their clusters are not."""


class Near(NamedTuple):
    """What is near a query: clusters in order of their slots, what they weigh, and the codes of all actions there."""

    slots: Slots
    similarities: Vector
    rows: Rows
    weights: Doubles
    qualities: Doubles
    usable: Flags
    codes: Integers
    actions: Integers
    """For each cluster the position of its action in `codes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whose evidence counts (None: everybody's), how good a pattern must be in the mean, and who asks."""

    view: View | None = None
    min_quality: float = 0.0
    asker: str = ""


EVERYBODY = Question()


def around(store: RowStore, table: ActionTable, x: Vector, y: Vector, question: Question) -> Near:
    """What is near the query `x` (d,), bent to `y`."""
    view = question.view
    found = store.file.near(x) if view is None else view.near(x)
    slots, similarities = nearest(store, *found, NEAR)
    rows = store.rows.take(slots)
    if view is None:
        weights, qualities = rows["weight"].astype(np.float64), rows["quality"].astype(np.float64)
    else:
        weights, qualities = view.figures(slots)
    usable = shown(store, slots, rows, question) & (weights > 0.0)
    if question.min_quality > 0.0:
        weights = np.where(rows["positive"] & (rows["quality"] < question.min_quality), 0.0, weights)
    table.renew_some()
    others = [table.near(query, PROTOTYPES) for query in ([x] if y is x else [x, y])]
    codes = np.unique(np.concatenate([rows["action"], *others]))
    # What has only failed is no answer, but its evidence is evidence around the query.
    kept = table.usable(codes) if view is None else view.usable(codes)
    actions = np.searchsorted(codes, rows["action"])
    kept[actions] = True
    place = np.cumsum(kept) - 1
    return Near(slots, similarities, rows, weights, qualities, usable, codes[kept], place[actions])


def scored(x: Vector, y: Vector, near: Near, table: ActionTable | View, tau: float, failure_weight: float) -> Doubles:
    """What each action near the query `x`, bent to `y`, is ranked by; -inf for those that never worked."""
    m = len(near.codes)
    nearness = kernel(near.similarities, tau)
    mass = near.weights * nearness
    good = mass * near.qualities
    worked, failed, here = (
        np.bincount(near.actions, weights=part, minlength=m).astype(np.float64)
        for part in (good, mass - good, (mass - good) * nearness)
    )
    prototypes, known, given = table.prototypes(near.codes)
    closeness = products(prototypes, y)
    frozen = closeness if y is x and given is prototypes else products(given, x)
    pi = prior(np.where(known, closeness, -math.inf), tau)
    expected = expected_quality(pi, worked, worked + failure_weight * failed, mass.sum())
    pi0 = prior(np.where(known, frozen, -math.inf), tau)
    scores = guarded(expected, pi0, table.backed(near.codes), failure_weight * here)
    scores[~table.usable(near.codes)] = -math.inf
    return scores


def nearest(store: RowStore, slots: Slots, similarities: Vector, k: int) -> tuple[Slots, Vector]:
    """The k nearest of what was found, without holes, in no order."""
    if len(slots) > k:
        chosen = np.argpartition(similarities, len(slots) - k)[len(slots) - k :]
        slots, similarities = slots[chosen], similarities[chosen]
    live = store.rows["action"][slots] >= 0
    return slots[live], similarities[live]


def best(store: RowStore, near: Near, action: int, x: Vector, question: Question) -> tuple[int, float] | None:
    """The slot of the nearest cluster of an action (a position in `near.codes`) that can be shown, and its cosine."""
    here = np.flatnonzero((near.actions == action) & near.usable)
    if len(here):
        row = here[near.similarities[here].argmax()]
        return int(near.slots[row]), float(near.similarities[row])
    slots, _ = store.of_actions([int(near.codes[action])])
    if question.view is not None:
        slots = question.view.among(slots)
    rows = store.rows[slots]
    slots = slots[shown(store, slots, rows, question) & (rows["weight"] > 0.0)]
    if not len(slots):
        return None
    similarities = products(store.file.vectors.take(slots, axis=0), x)
    row = similarities.argmax()
    return int(slots[row]), float(similarities[row])


def shown(store: RowStore, slots: Slots, rows: Rows, question: Question) -> Flags:
    """Which clusters can be shown: successes, good enough, and what one agent insists on to that agent alone."""
    found = rows["positive"] & (rows["quality"] >= question.min_quality)
    if rows["insisted"].any():
        entries, _ = store.of_agents([question.asker])
        found &= ~rows["insisted"] | np.isin(slots, entries["slot"])
    return np.asarray(found)
