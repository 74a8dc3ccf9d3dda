"""Whether a file can be learned at all, and which of its lines may be kept from learning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swarm.embed.base import Embedder
from swarm.embed.parts import embed_part
from swarm.errors import InputError
from swarm_agents.training.lines import Example
from swarm_agents.training.reader import example_of
from swarm_agents.training.source import digest_of, lines_of

_REASONS = 3
"""So many lines say why nothing of a file can be learned."""


def judges_of(path: Path, held_out: Mapping[int, int], embedder: Embedder, shown: str) -> dict[int, int]:
    """Those of `held_out` (offsets by number) that judge: at least as many lines that can be used are learned.

    Of equal lines all judge or none. Reads on until that is certain: of a long file the beginning.

    Parameters
    ----------
    shown : what an error calls the file

    Raises
    ------
    InputError
        If no line can be used; it names the first reasons.
    """
    usable = number = 0
    reasons: list[str] = []
    judging: dict[int, bytes] = {}
    for line in lines_of(path):
        number = line.number
        try:
            example = example_of(line, embedder.identity.dim)
            if usable == 0:
                _check_vector(example, embedder)
        except InputError as error:
            if len(reasons) < _REASONS:
                reasons.append(f"line {number}: {error}")
            continue
        usable += 1
        if number in held_out:
            judging[number] = digest_of(line.data)
        if usable >= 2 * len(held_out):
            return dict(held_out)
    if usable == 0:
        why = "; ".join(reasons) or "it is empty"
        raise InputError(f"data: {shown}: no line of {number} can be learned: {why}")
    chosen = _half(judging, usable)
    return {number: start for number, start in held_out.items() if number in chosen}


def _half(judging: Mapping[int, bytes], usable: int) -> set[int]:
    """The lines with the smallest digests, half of those that can be used at most."""
    chosen: set[int] = set()
    for digest in sorted(set(judging.values())):
        equal = {number for number, other in judging.items() if other == digest}
        if 2 * (len(chosen) + len(equal)) > usable:
            break
        chosen |= equal
    return chosen


def _check_vector(example: Example, embedder: Embedder) -> None:
    """Refuse a text that holds nothing that the embedder knows."""
    if example.vector is None and (why := embed_part(embedder, [example.text]).unusable):
        raise InputError(why[0])
