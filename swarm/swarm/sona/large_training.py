"""What training reads of a large index: all prototypes, and what others found out."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from swarm.sona.action_table import ActionTable
from swarm.sona.clusters import is_library
from swarm.sona.index import Candidates, Found
from swarm.sona.row_store import RowStore
from swarm.sona.vectors import Doubles, Integers

_LEAST = 1e-9
_ROUNDING = 1e-3
"""Outcomes that are left when sums of float32 are taken from one another."""


def candidates(store: RowStore, table: ActionTable) -> Candidates:
    """As `PatternIndex.candidates`: a copy of all prototypes."""
    table.renew()
    codes = table.known()
    prototypes, _, _ = table.prototypes(codes)
    return Candidates(prototypes, {store.names[code]: row for row, code in enumerate(codes.tolist())})


def candidates_without(store: RowStore, table: ActionTable, agent: str) -> Candidates:
    """As `PatternIndex.candidates_without`."""
    found = candidates(store, table)
    entries, _ = store.of_agents([agent])
    rows = store.rows[entries["slot"]]
    alone = rows["positive"] & (entries["n"] >= rows["n"])
    codes = np.unique(rows["action"][alone])
    if not len(codes):
        return found
    prototypes, known = table.without(codes, entries["slot"][alone])
    lost = {store.names[code] for code in codes[~known].tolist()}
    for code, prototype in zip(codes[known].tolist(), prototypes[known], strict=True):
        found.prototypes[found.rows[store.names[code]]] = prototype
    kept = [(name, row) for name, row in found.rows.items() if name not in lost]
    return Candidates(found.prototypes[[row for _, row in kept]], {name: row for row, (name, _) in enumerate(kept)})


def found_by_others(store: RowStore, agent: str, actions: Container[str]) -> Found:
    """As `PatternIndex.found_by_others`."""
    slots = store.live()
    rows = store.rows[slots]
    entries, _ = store.of_agents([agent] if not is_library(agent) else [])
    mine = np.zeros(len(store.rows), dtype=np.float32)
    mine[entries["slot"]] = entries["n"]
    weights = rows["n"] * (1.0 - rows["given"]) - mine[slots]
    wanted = np.array([name in actions for name in store.names], dtype=np.bool_)
    kept = rows["confirmed"] & wanted[rows["action"]] & (weights > _ROUNDING)
    chosen = slots[kept]
    return Found(
        weights[kept].astype(np.float64),
        lambda picked: store.file.vectors.take(chosen[picked], axis=0),
        lambda picked: [store.names[code] for code in store.rows["action"][chosen[picked]].tolist()],
        lambda picked: store.rows["quality"][chosen[picked]],
    )


def shares(store: RowStore, table: ActionTable, agent: str) -> tuple[Integers, Doubles]:
    """Codes, sorted, of the actions that an agent had success with, and its share in each; a library has none."""
    entries, _ = store.of_agents([] if is_library(agent) else [agent])
    rows = store.rows[entries["slot"]]
    counted = rows["successes"] > 0.0
    codes, place = np.unique(rows["action"][counted], return_inverse=True)
    sums = np.bincount(place, weights=entries["quality"][counted].astype(np.float64), minlength=len(codes))
    return codes, np.asarray(sums / np.maximum(table.successes(codes), _LEAST), dtype=np.float64)
