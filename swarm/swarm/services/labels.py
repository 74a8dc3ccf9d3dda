"""Human labels of patterns: the words that set a pattern's exemplars apart from the others'.

Class-based tf-idf (Grootendorst 2022, "BERTopic", equation 2): all exemplars of a pattern are one document;
W_{t,c} = tf_{t,c} log(1 + A / tf_t), with A the mean number of words of a document.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from swarm.services.stop_words import STOP_WORDS
from swarm.sona.clusters import Cluster

WORD = re.compile(r"\b[^\W\d_][\w'-]+\b")
_WORDS = 3


def label_patterns(patterns: Sequence[Cluster]) -> list[Cluster]:
    """The patterns with labels, which hang on these patterns alone and not on what they were called before."""
    return [replace(pattern, label=label) for pattern, label in zip(patterns, _labels(patterns), strict=True)]


def _labels(patterns: Sequence[Cluster]) -> list[str]:
    documents = [_words(" ".join(exemplar.text for exemplar in pattern.exemplars)) for pattern in patterns]
    total: Counter[str] = Counter()
    for document in documents:
        total.update(document)
    weight = {word: math.log1p(total.total() / len(documents) / count) for word, count in total.items()}
    return [" · ".join(_best(document, weight)) for document in documents]


def _words(text: str) -> Counter[str]:
    return Counter(word for word in WORD.findall(text.lower()) if word not in STOP_WORDS)


def _best(document: Counter[str], weight: dict[str, float]) -> list[str]:
    return sorted(document, key=lambda word: (-document[word] * weight[word], word))[:_WORDS]
