"""Labels against class-based tf-idf with the counts of scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from swarm_support import some_outcome

from swarm.services.labels import WORD, label_patterns
from swarm.services.stop_words import STOP_WORDS
from swarm.sona.clusters import Cluster

TEXTS = [
    "Decode a JSON document, and the JSON of another document",
    "Decode an archive that don't open: it's a naïve ZIP-file of the user's own",
    "¿Dónde está mi tarjeta? Où est ma carte?",
    "read CSV rows, read rows, CSV!",
    "the of and it",
    "12345 _private x 9lives",
    "",
]


def pattern(number: int, text: str) -> Cluster:
    return replace(some_outcome(number), text=text).as_cluster(0.3)


def reference(texts: list[str]) -> list[str]:
    """The same by scikit-learn: the three words of each document that weigh most, ties in the order of the words."""
    # Here, because it takes a second to load, which every process of the tests would spend.
    from sklearn.feature_extraction.text import CountVectorizer

    vectoriser = CountVectorizer(stop_words=sorted(STOP_WORDS), token_pattern=f"(?u){WORD.pattern}")
    counts = vectoriser.fit_transform(texts).toarray()
    words = vectoriser.get_feature_names_out()
    scores = counts * np.log1p(counts.sum() / len(texts) / counts.sum(axis=0))
    best = [sorted((-score, word) for score, word in zip(row, words, strict=True) if score) for row in scores]
    return [" · ".join(word for _, word in row[:3]) for row in best]


def test_labels_are_those_of_class_based_tf_idf() -> None:
    labelled = label_patterns([pattern(number, text) for number, text in enumerate(TEXTS)])
    labels = [one.label for one in labelled]
    assert labels == reference(TEXTS)
    assert (labels[3], labels[4], labels[6]) == ("csv · read · rows", "", "")


def test_no_patterns_have_no_labels() -> None:
    assert label_patterns([]) == []
