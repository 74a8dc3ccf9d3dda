"""How good an output is beside the one that was expected, without a judge: what their words have in common.

    quality = (F1 of the bags of words + F1 of the longest common subsequence of words) / 2

The first (the F1 of SQuAD, Rajpurkar et al. 2016, section 6.1) does not look at the order, the second (ROUGE-L, Lin
2004, equations 2-4 with beta = 1) at nothing but words in the same order. Equal texts come to 1, texts without a common
word to 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from swarm.embed.text import check_text

MAX_WORDS = 2_000
"""Words of each text that are compared."""
_PUNCTUATION = ".,;:!?\"'`()[]{}"


def score_quality(output: str, expected: str) -> float:
    """The quality in [0, 1] of `output` for a task whose answer is `expected`. Case and punctuation do not count.

    >>> score_quality("Paris.", "paris"), score_quality("London", "Paris")
    (1.0, 0.0)
    >>> round(score_quality("the capital is Paris", "Paris is the capital"), 2)
    0.75
    """
    given, wanted = _words(check_text(output, "output")), _words(check_text(expected, "expected"))
    if not given or not wanted:
        return float(given == wanted and output.strip() == expected.strip())
    common = (Counter(given) & Counter(wanted)).total()
    return (_f1(common, len(given), len(wanted)) + _f1(_in_order(given, wanted), len(given), len(wanted))) / 2.0


def _words(text: str) -> list[str]:
    return [word for part in text.casefold().split() if (word := part.strip(_PUNCTUATION))][:MAX_WORDS]


def _f1(common: int, given: int, wanted: int) -> float:
    return 2.0 * common / (given + wanted)


def _in_order(given: Sequence[str], wanted: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(wanted) + 1)
    for word in given:
        corner = 0
        for i, other in enumerate(wanted, 1):
            corner, row[i] = row[i], corner + 1 if word == other else max(row[i], row[i - 1])
    return row[-1]
