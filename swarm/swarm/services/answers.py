"""Which texts are one answer: equal ones, or those that a caller or the embedder calls the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import TypeAlias

import numpy as np

from swarm.sona.clusters import action_of
from swarm.sona.vectors import Vector, check_number

Same: TypeAlias = Callable[[str, str], bool] | float | None
"""None: equal but for white space. A number: their embeddings have at least this cosine. Or a caller's own word."""


def group_answers(texts: Mapping[str, str], same: Same, embed: Callable[[str], Vector]) -> dict[str, str]:
    """Agent -> the text that stands for its answer: of those that are the same, the most frequent, then the first.

    Being the same spreads: if a is b and b is c, then a is c. So the order of the agents does not matter.

    Raises
    ------
    BoundsError
        If `same` is a number that is no cosine.
    """
    actions = {agent: action_of(text) for agent, text in texts.items()}
    counts = Counter(actions.values())
    wording = {action: min(text for agent, text in texts.items() if actions[agent] == action) for action in counts}
    ordered = sorted(counts, key=lambda action: (-counts[action], wording[action]))
    root = {action: action for action in ordered}
    if same is not None:
        is_same = same if callable(same) else _by_cosine(wording, same, embed)
        for one, other in combinations(ordered, 2):
            if root[one] != root[other] and is_same(wording[one], wording[other]):
                kept, gone = sorted((root[one], root[other]), key=ordered.index)
                root = {action: kept if stands == gone else stands for action, stands in root.items()}
    return {agent: wording[root[action]] for agent, action in actions.items()}


def _by_cosine(
    wording: Mapping[str, str], threshold: float, embed: Callable[[str], Vector]
) -> Callable[[str, str], bool]:
    least = check_number(threshold, "same", -1.0, 1.0)
    vectors = {text: embed(text) for text in wording.values()}
    return lambda one, other: bool(np.dot(vectors[one], vectors[other]) >= least)
