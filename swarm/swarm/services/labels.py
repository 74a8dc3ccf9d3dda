"""Human labels of patterns: the words that set a pattern's exemplars apart from the others'.

Class-based tf-idf (Grootendorst 2022, "BERTopic", equation 2): all exemplars of a pattern are one document;
W_{t,c} = tf_{t,c} log(1 + A / tf_t), with A the mean number of words of a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from swarm.sona.clusters import Cluster

_WORDS = 3


def label_patterns(patterns: Sequence[Cluster]) -> list[Cluster]:
    """The patterns with labels, which hang on these patterns alone and not on what they were called before."""
    return [replace(pattern, label=label) for pattern, label in zip(patterns, _labels(patterns), strict=True)]


def _labels(patterns: Sequence[Cluster]) -> list[str]:
    documents = [" ".join(exemplar.text for exemplar in pattern.exemplars) for pattern in patterns]
    vectoriser = CountVectorizer(stop_words="english", token_pattern=r"(?u)\b[^\W\d_][\w'-]+\b")
    try:
        counts = vectoriser.fit_transform(documents)
    except ValueError:
        # No document has a word: patterns of vectors without text.
        return [""] * len(patterns)
    words = vectoriser.get_feature_names_out()
    per_word = np.asarray(counts.sum(axis=0)).ravel()
    weight = np.log1p(counts.sum() / len(documents) / per_word)
    labels = []
    for row in range(len(documents)):
        start, end = counts.indptr[row], counts.indptr[row + 1]
        columns = counts.indices[start:end]
        scores = counts.data[start:end] * weight[columns]
        best = sorted(zip(-scores, columns, strict=True))[:_WORDS]
        labels.append(" · ".join(str(words[column]) for _, column in best))
    return labels
