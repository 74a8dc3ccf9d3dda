"""Examples of a task, checked, and which of them found patterns, train, judge and are kept aside."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from swarm.embed.text import check_text
from swarm.errors import CapacityError, InputError, shown
from swarm.sona.background import MIN_JUDGES
from swarm.sona.clusters import action_of
from swarm.sona.reservoir import HELD_OUT_EVERY, priority_of
from swarm.sona.vectors import check_number

MAX_EXAMPLES = 20_000
FOUNDING_SHARE = 0.25
"""So many of the examples of a new answer found its pattern: without one there is nothing to bend a query to."""
_KNOWN = frozenset({"task", "input", "output", "reward", "quality"})
_WHOLE = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One example. `key` hangs on its content, on the name of the task and on the agent; it is the idempotency key."""

    text: str
    output: str
    quality: float
    key: str

    @property
    def action(self) -> str:
        return action_of(self.output)

    @property
    def draw(self) -> float:
        """A number in [0, 1) that only the key decides."""
        return priority_of(self.key) / _WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What each lesson is for. `aside` are never learned; `judges` are learned by the clusters, not by the adapter."""

    founding: tuple[Lesson, ...]
    training: tuple[Lesson, ...]
    judges: tuple[Lesson, ...]
    aside: tuple[Lesson, ...]


def lessons_of(examples: Iterable[Mapping[str, object]], task: str, agent: str) -> list[Lesson]:
    """The examples, each once, in their order.

    Raises
    ------
    InputError
        If an example is none; the message says which, and what of it.
    CapacityError
        If there are more than `MAX_EXAMPLES`.
    """
    if isinstance(examples, str | Mapping) or not isinstance(examples, Iterable):
        raise InputError(f"examples must be a sequence of mappings, got {type(examples).__name__}")
    found: dict[str, Lesson] = {}
    for row, example in enumerate(examples):
        if row >= MAX_EXAMPLES:
            raise CapacityError(f"examples must be {MAX_EXAMPLES:,} at most: give them in several calls")
        lesson = _lesson(example, f"examples[{row}]", task, agent)
        found.setdefault(lesson.key, lesson)
    return list(found.values())


def split(lessons: Sequence[Lesson], hold_out: float, known: Collection[str]) -> Split:
    """What each is for, by hashes: the same examples are split alike each time.

    Parameters
    ----------
    hold_out : share that is kept aside
    known : actions that the bank has patterns of
    """
    aside = [lesson for lesson in lessons if lesson.draw < hold_out]
    learned = [lesson for lesson in lessons if lesson.draw >= hold_out]
    founding = _founding(learned, known)
    rest = [lesson for lesson in learned if lesson.key not in founding]
    n_judges = min(max(MIN_JUDGES, math.ceil(len(rest) / HELD_OUT_EVERY)), len(rest) // 2)
    judging = {lesson.key for lesson in sorted(rest, key=lambda lesson: lesson.draw)[:n_judges]}
    return Split(
        founding=tuple(lesson for lesson in learned if lesson.key in founding),
        training=tuple(lesson for lesson in rest if lesson.key not in judging),
        judges=tuple(lesson for lesson in rest if lesson.key in judging),
        aside=tuple(aside),
    )


def trajectory_id(key: str, is_judge: bool) -> str:
    """An id by which the sample of outcomes takes it for a judge, or not; see `Reservoir.held_out`."""
    names = (f"{key}-{salt}" for salt in count())
    return next(name for name in names if (priority_of(name) % HELD_OUT_EVERY == 0) == is_judge)


def _founding(learned: Sequence[Lesson], known: Collection[str]) -> set[str]:
    of_action: dict[str, list[Lesson]] = defaultdict(list)
    for lesson in learned:
        if lesson.action not in known:
            of_action[lesson.action].append(lesson)
    # The best ones: only what worked founds what an action is known by.
    return {
        lesson.key
        for group in of_action.values()
        for lesson in sorted(group, key=lambda one: (-one.quality, one.draw))[: math.ceil(FOUNDING_SHARE * len(group))]
    }


def _lesson(example: object, where: str, task: str, agent: str) -> Lesson:
    if not isinstance(example, Mapping):
        raise InputError(f"{where} must be a mapping, got {type(example).__name__}")
    if unknown := sorted(shown(name, 40) for name in example.keys() - _KNOWN):
        raise InputError(f"{where} may hold task, input, output, reward and quality, got {', '.join(unknown)[:120]}")
    given = {name: check_text(example[name], f"{where}: {name}") for name in ("task", "input") if name in example}
    if not given:
        raise InputError(f"{where} must hold input or task: the text that it answers")
    if "output" not in example:
        raise InputError(f"{where} must hold output: what was answered")
    if "reward" in example and "quality" in example:
        raise InputError(f"{where} must hold reward or quality, not both")
    reward = example.get("reward", example.get("quality", 1.0))
    quality = check_number(reward, f"{where}: {'reward' if 'reward' in example else 'quality'}", 0.0, 1.0)
    text, output = "\n".join(given.values()), check_text(example["output"], f"{where}: output")
    return Lesson(text=text, output=output, quality=quality, key=_key(agent, task, text, output, f"{quality:.6f}"))


def _key(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return f"finetune-{digest.hexdigest()}"
