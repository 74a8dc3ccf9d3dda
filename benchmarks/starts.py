"""What is known before a stream begins: descriptions where the data has them, else examples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmarks.bandit import Stream, draw_stream
from benchmarks.labelled import LabelledTexts
from swarm.sona.vectors import Flags, Integers, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A stream, and what the library gives before it: k embeddings (k, d) with their labels (k,)."""

    stream: Stream
    known: Vector
    labels: Integers

    def knowing(self, wanted: Flags) -> Start:
        """The same stream, with only those of the k known whose label is `wanted`, of shape (labels,)."""
        rows = wanted[self.labels]
        return replace(self, known=self.known[rows], labels=self.labels[rows])

    def asked(self, wanted: Flags) -> Integers:
        """The requests of the stream, in its order, whose label is `wanted`."""
        requests = self.stream.requests
        return requests[wanted[self.stream.labels[requests]]]

    @property
    def known_labels(self) -> Integers:
        """Sorted, each once."""
        return np.unique(self.labels)


def draw_start(data: LabelledTexts, seed: int) -> Start:
    """Descriptions (and every training row in the stream) if the data has them, else `SEEDS_PER_LABEL` examples."""
    if data.tools is not None:
        return Start(stream=draw_stream(data, seed, per_label=0), known=data.tools.embedding, labels=data.tools.labels)
    stream = draw_stream(data, seed)
    return Start(stream=stream, known=stream.embedding[stream.seeds], labels=stream.labels[stream.seeds])
