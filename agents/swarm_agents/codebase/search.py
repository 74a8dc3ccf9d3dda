"""Search in an indexed codebase: signs of likeness, weighed as feedback taught, and what the bank says of the best.

    s_a  = signs_a . beta            beta from `sona.sign_weights`
    pi_a = exp(s_a) / sum_b exp(s_b)
    r_a  = rho / (rho + phi sum_{a(j) = a} w_j K_j^2 (1 - q_j))
    P_a  = (v pi_a r_a + sum_{a(j) = a} w_j K_j q_j) / (v + sum_{a(j) = a} w_j K_j (q_j + phi (1 - q_j)))

as in `sona.ranking`, with the search in place of the prototypes, and v the most that it is worth there: what happened
near a question counts as far as it was near. The bank's clusters (j) are those of all agents, so what one learned of a
chunk the others find. Without feedback P is pi.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from swarm.embed.text import check_text
from swarm.errors import EmbedderMismatchError, UnknownIdError
from swarm.services.redacted import redaction_for
from swarm.services.swarm import Swarm
from swarm.sona.clusters import UNCONFIRMED
from swarm.sona.ranking import EVIDENCE_EXPONENT, expected_quality, kernel, untried
from swarm.sona.sign_weights import Judgement, learned_weights
from swarm.sona.vectors import Doubles, Integers, Vector, check_count
from swarm.store.codebase import CodeStore
from swarm.wire.code_records import CodeState, FileRecord, unpack_texts
from swarm.wire.judgement_records import Asked
from swarm_agents.codebase.matrix import START, CodeMatrix, rows_of_best

MAX_K = 50
_CONSIDERED = 200
"""Chunks that compete for a question."""
_KEPT = 32
"""Of these so many are kept with the question, to learn from what is said to one of them."""
_NAMESAKES = 2
"""So many of one name are shown before others had their turn."""
_NEAR = 256
"""Clusters of the bank that are looked at."""
_FAR = 1e-3
"""A kernel that is no evidence any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeHit:
    """A chunk that was found. `id` is what feedback names; `score` the quality to expect; lines count from 1."""

    id: str
    name: str
    path: str
    first: int
    last: int
    kind: str
    language: str
    score: float
    similarity: float
    outcomes: float
    """Outcomes in the bank close by that tried this chunk, good or bad."""
    snippet: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class CodeSearch:
    """Searches the index of one agent; follows what others write. Safe to use from several threads."""

    def __init__(self, swarm: Swarm, agent: str) -> None:
        self._swarm = swarm
        self.store = CodeStore(swarm.client, swarm.keys, agent)
        self._lock = threading.Lock()
        self._state: CodeState | None = None
        self._writes = -1
        self._digests: dict[str, str] = {}
        self._files: dict[str, FileRecord] = {}
        self._matrix = CodeMatrix({})
        self._judged = 0
        self._weights = START

    def query(self, text: str, k: int = 5) -> list[CodeHit]:
        """The k chunks that answer a question best, best first; the question is kept, so that they can be judged.

        Of one name and kind only the two best come in their place.

        Raises
        ------
        TextError, BoundsError
            For text or a k (1..50) out of bounds.
        UnknownIdError
            If the agent has indexed nothing.
        """
        count = check_count(k, "k", 1, MAX_K)
        # The question is kept: without what the agent's policy takes out of its texts.
        text = redaction_for(self._swarm.agents.directory(), self.store.agent).text(check_text(text))
        x = self._swarm.embed(text)
        with self._lock:
            self._follow()
            if not len(self._matrix):
                return []
            signs = self._matrix.signs(text, x)
            rows, scores, tried = self._ranked(signs, x)
            shown = self._varied(rows)[:count]
            self._keep(text, rows[shown], rows, signs)
            return [self._hit(text, int(rows[i]), x, scores[i], tried[i]) for i in shown.tolist()]

    def _ranked(self, signs: Vector, x: Vector) -> tuple[Integers, Doubles, Doubles]:
        """Rows that compete, best first, with P and the outcomes near by of each."""
        plain = signs.dot(self._weights)
        rows = rows_of_best(plain, _CONSIDERED)
        evidence = self._evidence(x)
        known = self._matrix.rows(evidence)
        rows = np.concatenate([rows, np.setdiff1d(np.array(list(known.values()), dtype=np.intp), rows)])
        mass = np.exp(plain[rows] - plain[rows].max())
        worked, failed, here, tried = np.zeros((4, len(rows)))
        where = {row: i for i, row in enumerate(rows.tolist())}
        for name, row in known.items():
            i = where[row]
            worked[i], failed[i], here[i], tried[i] = evidence[name]
        phi = self._swarm.replica.index.failure_weight
        pi = mass / mass.sum() * untried(phi * here)
        # However much happened around: near a question the search is worth what `ranking` gives it at most.
        expected = expected_quality(pi, worked, worked + phi * failed, np.array(np.inf))
        order = np.argsort(-expected, kind="stable")
        return rows[order], expected[order], tried[order]

    def _varied(self, rows: Integers) -> Integers:
        """Positions of rows, of one name and kind the two best; the further ones (wrappers, overrides) behind all."""
        times: Counter[tuple[str, str]] = Counter()
        early: list[int] = []
        late: list[int] = []
        for i, row in enumerate(rows.tolist()):
            file, chunk, _ = self._matrix.place(row)
            # What has no name is no namesake.
            own = chunk.name.partition("#")[0].rpartition(".")[2] or file.path
            times[own, chunk.kind] += 1
            (early if times[own, chunk.kind] <= _NAMESAKES else late).append(i)
        return np.array(early + late, dtype=np.intp)

    def _evidence(self, x: Vector) -> dict[str, Doubles]:
        """What the bank knows near a question: name of a chunk -> sum of w K q, w K (1 - q), w K^2 (1 - q), n."""
        found: dict[str, Doubles] = {}
        for hit in self._swarm.replica.nearest(x, _NEAR):
            cluster = hit.cluster
            near = float(kernel(np.array(hit.similarity, dtype=np.float32), self._swarm.replica.index.temperature))
            if near < _FAR:
                break
            n = cluster.n if cluster.confirmed else min(cluster.n, UNCONFIRMED)
            weight, q = n**EVIDENCE_EXPONENT * near, cluster.mean_quality
            one = np.array([weight * q, weight * (1.0 - q), weight * near * (1.0 - q), cluster.n])
            found[cluster.response] = found.get(cluster.response, np.zeros(4)) + one
        return found

    def _keep(self, text: str, shown: Integers, rows: Integers, signs: Vector) -> None:
        others = rows[~np.isin(rows, shown)]
        kept = np.concatenate([shown, others[: max(_KEPT - len(shown), 0)]])
        asked = Asked(
            text=text,
            at_s=time.time(),
            names=tuple(self._matrix.name(row) for row in kept.tolist()),
            signs=signs[kept],
        )
        self.store.ask(question_of(text), asked, self._swarm.settings.receipt_ttl)

    def _hit(self, text: str, row: int, x: Vector, score: float, tried: float) -> CodeHit:
        file, chunk, position = self._matrix.place(row)
        name = self._matrix.name(row)
        return CodeHit(
            id=f"{self.store.agent}/{question_of(text)}-{answer_of(name)}",
            name=name,
            path=file.path,
            first=chunk.first,
            last=chunk.last,
            kind=chunk.kind,
            language=file.language,
            score=float(score),
            similarity=self._matrix.similarity(row, x),
            outcomes=float(tried),
            snippet=unpack_texts(file.texts, len(file.chunks))[position],
        )

    def _follow(self) -> None:
        """Load what was written since the last look: files by their digests, weights by the number of judgements."""
        self._swarm.replica.refresh()
        state, writes = self.store.state()
        if state is None:
            raise UnknownIdError(
                f"agent {self.store.agent} has indexed nothing: swarm index-codebase --name {self.store.agent} --path P"
            )
        if state.embedder != (own := str(self._swarm.embedder.identity)):
            raise EmbedderMismatchError(
                f"codebase {self.store.agent} holds vectors of {state.embedder}, asked with {own}"
            )
        if state != self._state:
            self._state, self._digests, self._files = state, {}, {}
        if writes != self._writes:
            digests = {path: one.digest for path, one in self.store.files().items()}
            wanted = [path for path, digest in digests.items() if self._digests.get(path) != digest]
            self._files = {path: file for path, file in self._files.items() if path in digests}
            self._files |= {file.path: file for file in self.store.records(wanted)}
            self._digests, self._writes = digests, writes
            self._matrix = CodeMatrix(self._files)
        if (judged := self.store.count_judged()) != self._judged:
            self._weights = learned_weights(
                START, [Judgement(one.signs, one.chosen, one.quality) for one in self.store.judged()]
            )
            self._judged = judged


def question_of(text: str) -> str:
    """A question's name: the same text is the same question."""
    return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


def answer_of(name: str) -> str:
    """A chunk's name among the candidates of a question."""
    return hashlib.blake2b(name.encode(), digest_size=3).hexdigest()
