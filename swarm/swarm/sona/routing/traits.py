"""Traits of a task that anybody can count in its text: what tells easy from hard when its subject does not.

Models differ less by what a task is about than by what it asks for: one call or several, a long passage or one
line, figures or prose, a tool that fits or one that does not. A sentence embedding blurs exactly that. Each trait is
a count, a share or a yes, brought to about zero mean and unit spread by fixed constants: statistics over traits
stay sums that way, whoever adds them up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p, sqrt

import numpy as np

from swarm.sona.vectors import Doubles

MAX_TRAIT_CHARACTERS = 16_384
"""The traits of a longer text are those of its beginning, with the length of the whole."""

_WORD = re.compile(r"[A-Za-z]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SENTENCE = re.compile(r"[.!?](?:\s|$)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NAME = re.compile(r"\b[A-Z][a-z]+")
_GAP = re.compile(r"_{3,}|\.{3}")


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_COMMON = _word_set(
    "the of and a to in is that for it as was with be by on not he at but are this have from or had an they which one "
    "you were her all she there would their we him been has when who will more no if out so said what up its about "
    "into than them can only other some could time these two may then do first any my now such like our over me even "
    "most made after also did many before must through how your please"
)
_NEGATIONS = _word_set("not no never except none without cannot nor neither least false incorrect")
_QUESTIONS = _word_set("what which who whom whose when where why how")
_REQUESTS = _word_set("can could would will please")
_SELF = _word_set("i me my mine we us our")
_READER = _word_set("you your yours")
_OTHERS = _word_set("he she him her his hers they them their")
_MODALS = _word_set("should could would might may must can will shall")
_COMPARISONS = _word_set(
    "more less most least than greater higher lower better best if unless because then either both each every"
)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text, cut into what the traits count."""

    text: str
    words: list[str]
    lines: list[str]
    length: int

    def share(self, words: frozenset[str]) -> float:
        return sum(word in words for word in self.words) / max(len(self.words), 1)

    def characters(self, signs: str) -> float:
        return sum(map(self.text.count, signs)) / max(len(self.text), 1)


# name, typical value, typical spread: of requests, questions and instructions of many kinds, rounded.
_SCALES: tuple[tuple[str, float, float], ...] = (
    ("length", 5.0, 0.9),
    ("lines", 1.0, 0.5),
    ("median_line", 4.3, 0.9),
    ("first_line", 4.7, 0.9),
    ("last_line", 4.3, 1.0),
    ("uneven_lines", 0.2, 0.35),
    ("sentences", 0.9, 0.5),
    ("sentence_length", 2.7, 0.6),
    ("numbers", 0.6, 0.8),
    ("commas", 0.7, 0.8),
    ("ands", 0.6, 0.6),
    ("questions", 0.45, 0.37),
    ("quotes", 0.5, 0.75),
    ("code_signs", 0.25, 0.6),
    ("camel_case", 0.05, 0.3),
    ("names", 1.4, 0.65),
    ("digit_share", 0.6, 0.7),
    ("capital_share", 0.85, 0.4),
    ("code_share", 0.2, 0.4),
    ("foreign_share", 0.03, 0.2),
    ("comma_share", 0.5, 0.35),
    ("quote_share", 0.25, 0.35),
    ("word_length", 4.6, 0.6),
    ("long_words", 0.45, 0.3),
    ("variety", 0.85, 0.13),
    ("common_words", 1.3, 0.35),
    ("negations", 0.4, 0.7),
    ("question_words", 1.0, 0.8),
    ("self", 0.7, 0.9),
    ("reader", 0.3, 0.6),
    ("others", 0.3, 0.6),
    ("modals", 0.5, 0.7),
    ("comparisons", 0.8, 0.8),
    ("begins_as_question", 0.25, 0.45),
    ("begins_as_request", 0.1, 0.3),
    ("following", 0.05, 0.3),
    ("gap", 0.03, 0.2),
    ("tools", 0.8, 0.4),
    ("best_tool_match", 0.4, 0.4),
    ("mean_tool_match", 0.4, 0.4),
    ("tool_camel_case", 0.1, 0.3),
)


def _in_order(names: str) -> tuple[str, ...]:
    return tuple(name for name in TRAITS if name in names.split())


TRAITS: tuple[str, ...] = tuple(name for name, _, _ in _SCALES)
"""Names of the traits, in the order of their numbers."""
STRUCTURE = _in_order(
    "length lines sentences numbers commas ands questions quotes code_signs camel_case names word_length variety self "
    "begins_as_question begins_as_request tools best_tool_match mean_tool_match tool_camel_case"
)
"""Those that say how a task is built, beside those that say how it is worded."""
_CENTRE = np.array([centre for _, centre, _ in _SCALES])
_SPREAD = np.array([spread for _, _, spread in _SCALES])
_FARTHEST = 4.0
"""A trait is cut to so many spreads: one freak of a text must not decide."""


def task_traits(text: str, tools: Sequence[str] = ()) -> Doubles:
    """The traits of a task of shape (len(TRAITS),), each within -4..4.

    Parameters
    ----------
    text : what is asked
    tools : names of the tools that are offered for it

    >>> short, long = task_traits("Add 2 and 3."), task_traits("Read this. " * 90)
    >>> bool(short[TRAITS.index("length")] < long[TRAITS.index("length")])
    True
    """
    cut = text[:MAX_TRAIT_CHARACTERS]
    lines = [line for line in cut.split("\n") if line.strip()] or [cut]
    parsed = _Text(cut, [word.lower() for word in _WORD.findall(cut)], lines, len(text))
    values = (*_layout(parsed), *_signs(parsed), *_wording(parsed), *_tools(parsed, tools))
    return np.asarray(np.clip((np.array(values) - _CENTRE) / _SPREAD, -_FARTHEST, _FARTHEST), dtype=np.float64)


def _layout(task: _Text) -> tuple[float, ...]:
    sizes = sorted(map(len, task.lines))
    mean = sum(sizes) / len(sizes)
    spread = sqrt(sum((size - mean) ** 2 for size in sizes) / len(sizes))
    sentences = len(_SENTENCE.findall(task.text))
    return (
        log1p(task.length),
        log1p(len(task.lines)),
        log1p(sizes[len(sizes) // 2]),
        log1p(len(task.lines[0])),
        log1p(len(task.lines[-1])),
        spread / (mean + 1.0),
        log1p(sentences),
        log1p(len(task.words) / max(sentences, 1)),
    )


def _signs(task: _Text) -> tuple[float, ...]:
    text = task.text
    size = max(len(text), 1)
    return (
        log1p(len(_NUMBER.findall(text))),
        log1p(text.count(",")),
        log1p(task.words.count("and")),
        log1p(text.count("?")),
        log1p(sum(map(text.count, "`'\""))),
        log1p(sum(map(text.count, "{}[]()=<>_/\\"))),
        log1p(len(_CAMEL.findall(text))),
        log1p(len(_NAME.findall(text))),
        5.0 * sqrt(task.characters("0123456789")),
        5.0 * sqrt(sum(map(str.isupper, text)) / size),
        5.0 * sqrt(task.characters("{}[]()=<>_/\\^*+|")),
        5.0 * sqrt(sum(sign > "\x7f" for sign in text) / size),
        5.0 * sqrt(task.characters(",;:")),
        5.0 * sqrt(task.characters("\"'`")),
    )


def _wording(task: _Text) -> tuple[float, ...]:
    words = task.words
    n = max(len(words), 1)
    first = words[0] if words else ""
    return (
        sum(map(len, words)) / n,
        3.0 * sum(len(word) > 8 for word in words) / n,
        # Longer texts repeat more words; the exponent takes most of that out.
        len(set(words)) / n**0.9,
        3.0 * task.share(_COMMON),
        6.0 * sqrt(task.share(_NEGATIONS)),
        6.0 * sqrt(task.share(_QUESTIONS)),
        6.0 * sqrt(task.share(_SELF)),
        6.0 * sqrt(task.share(_READER)),
        6.0 * sqrt(task.share(_OTHERS)),
        6.0 * sqrt(task.share(_MODALS)),
        6.0 * sqrt(task.share(_COMPARISONS)),
        float(first in _QUESTIONS),
        float(first in _REQUESTS),
        float("following" in words),
        float(_GAP.search(task.text) is not None),
    )


def _tools(task: _Text, tools: Sequence[str]) -> tuple[float, ...]:
    """How many, how well their names match the words of the task, and how they are written."""
    stems = {word[:5] for word in task.words}
    matches = [0.0]
    if tools:
        named = [{word.lower()[:5] for word in _WORD.findall(_CAMEL.sub(" ", tool))} for tool in tools]
        matches = [len(name & stems) / max(len(name), 1) for name in named]
    return (
        log1p(len(tools)),
        max(matches),
        sum(matches) / len(matches),
        log1p(sum(len(_CAMEL.findall(tool)) for tool in tools)),
    )
