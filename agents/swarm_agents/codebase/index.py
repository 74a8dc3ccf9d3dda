"""Indexing: a second run touches only what has changed, a run that was killed goes on where it stood."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from swarm.embed.base import Embedder
from swarm.embed.redaction import NO_REDACTION, Redaction
from swarm.embed.registry import load_embedder
from swarm.embed.text import check_text
from swarm.errors import CapacityError, InputError, shown
from swarm.services.redacted import redaction_of
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm.sona.vectors import check_count
from swarm.store.codebase import CodeStore
from swarm.wire.code_records import MAX_PATH, CodeState, FileState
from swarm_agents.codebase.entries import FORM, digest_of, record_of
from swarm_agents.codebase.languages import LANGUAGES
from swarm_agents.codebase.walk import MAX_FILES, Found, Skipped, content_of, walk

ROLE = "codebase"
MAX_PROCESSES = 64
_CLUSTERS = 1_000
"""Of each sign: the most that an agent may have."""
_BATCH = 32
"""Files that are written in one transaction: what a killed run has to do again."""
_WORTH_PROCESSES = 64
"""So many files to read are worth the start of further processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What a run did, and what the index holds now. `skipped` counts what was left out, by its reason."""

    agent: str
    root: str
    files: int
    chunks: int
    indexed: int
    unchanged: int
    removed: int
    skipped: dict[str, int]
    examples: dict[str, str]
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def index_codebase(
    swarm: Swarm,
    agent: str,
    path: str | Path,
    *,
    extensions: Collection[str] = tuple(LANGUAGES),
    max_files: int = MAX_FILES,
    processes: int = 1,
    replace: bool = False,
    with_docs: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> IndexReport:
    """Index the files below `path` for an agent, which is registered if it is new.

    Afterwards the index holds those files and no others. A run that is interrupted leaves what it has written, and the
    index is known not to be complete until another run comes to its end.

    Parameters
    ----------
    extensions : without dots; files of a language whose syntax is unknown are cut into windows of lines
    max_files : the first so many by their paths, 1..50,000; the others are skipped, and counted
    processes : that read and embed, 1..64; more than one needs a main module that may be imported
    replace : whether the index of another path is given up for this one
    with_docs : False leaves documentation out of the index, to measure how well code is found by it
    on_progress : told how many files are done, and of how many, as often as some were written

    Raises
    ------
    InputError
        If a parameter is out of its bounds, no file is to be indexed, or the index is of another path.
    RuntimeSetupError
        If a grammar is not installed.
    """
    begun = time.monotonic()
    most = check_count(max_files, "max_files", 1, MAX_FILES)
    count = check_count(processes, "processes", 1, MAX_PROCESSES)
    root, endings, skipped = Path(path).expanduser().resolve(), check_extensions(extensions), Skipped()
    check_text(str(root), "path", MAX_PATH)
    walked = walk(root, endings, skipped)
    found = list(islice(walked, most))
    for beyond in walked:
        skipped.add(f"beyond max_files ({most:,})", beyond.path)
    if not found:
        left_out = f"; {skipped.counts.total():,} left out, such as {skipped.example()}" if skipped.counts else ""
        raise InputError(f"extensions must be of a file below {root}, got {shown(','.join(endings))}{left_out}")
    redaction = join(swarm, agent)
    store = CodeStore(swarm.client, swarm.keys, agent)
    form = " ".join([FORM, "docs" if with_docs else "code", *redaction.names])
    wanted = CodeState(root=str(root), embedder=str(swarm.embedder.identity), form=form)
    is_same = _begin(store, wanted, replace)
    run = _Run(store, wanted, store.files(), skipped, is_same=is_same)
    changed = run.changed(found)
    left = len(changed)
    tell = on_progress or (lambda done, total: None)
    tell(len(found) - left, len(found))
    # Closed at once if this is interrupted: files that processes wait for must not be read first.
    with closing(_records(changed, swarm, count, with_docs, redaction)) as made:
        for batch in _batches(made):
            run.write(batch)
            left -= len(batch)
            tell(len(found) - left, len(found))
    run.finish()
    return IndexReport(
        agent=agent,
        root=str(root),
        files=len(run.now),
        chunks=sum(state.chunks for state in run.now.values()),
        indexed=run.indexed,
        unchanged=len(run.now) - run.indexed,
        removed=run.removed,
        skipped=dict(skipped.counts.most_common()),
        examples=skipped.examples,
        seconds=time.monotonic() - begun,
    )


def join(swarm: Swarm, agent: str) -> Redaction:
    """Register an agent for a codebase; one that is known stays as it is. What is taken out of its texts.

    Almost every question is about another chunk: with the usual number of clusters most would be pruned.
    """
    if (known := swarm.agents.registration(agent)) is not None:
        return redaction_of(known.policy)
    dim = swarm.embedder.identity.dim
    swarm.register(agent, ROLE, SonaConfig(dim=dim, pattern_clusters=_CLUSTERS, min_cluster_size=1))
    return NO_REDACTION


def check_extensions(extensions: Collection[str]) -> list[str]:
    """Extensions without dots, in lower case.

    >>> check_extensions([".PY", "rs"])
    ['py', 'rs']
    """
    if isinstance(extensions, str) or not extensions:
        raise InputError(f"extensions must be a list of at least one, got {shown(extensions)}")
    found = [str(one).strip().removeprefix(".").lower() for one in extensions]
    for one in found:
        if not one or len(one) > 16 or not one.isalnum():
            raise InputError(f"extensions must be letters and digits such as py or rs, got {shown(one, 40)}")
    return found


def _begin(store: CodeStore, wanted: CodeState, replace: bool) -> bool:
    """Say what the index is of from now on; whether it is of the same folder as before."""
    known, _ = store.state()
    if known == wanted:
        store.resume()
        return True
    if known is not None and known.root != wanted.root and not replace:
        raise InputError(
            f"agent {store.agent} has indexed {known.root}: take another name for {wanted.root}, or --replace that one"
        )
    # Of another root what has the same content under the same path is kept.
    store.begin(wanted, anew=known is not None and (known.embedder, known.form) != (wanted.embedder, wanted.form))
    return known is None or known.root == wanted.root


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that was read: its record, None if its content is as it was; or why it is left out."""

    path: str
    state: FileState
    record: bytes | None
    reason: str = ""


class _Run:
    """One run: what was known before, and what is known now."""

    def __init__(
        self, store: CodeStore, wanted: CodeState, known: dict[str, FileState], skipped: Skipped, *, is_same: bool
    ) -> None:
        self._is_same = is_same
        self._store = store
        self._wanted = wanted
        self._known = known
        self._skipped = skipped
        self.now: dict[str, FileState] = {}
        self.indexed = self.removed = 0

    def changed(self, found: Sequence[Found]) -> list[tuple[Found, str, int]]:
        """Files that must be read, each with the digest and the chunks that it had; the others are noted."""
        waiting = []
        for one in found:
            before = self._known.get(one.path)
            # Times and sizes of another folder's files say nothing of these.
            if (
                before is not None
                and self._is_same
                and (before.mtime_ns, before.size_bytes) == (one.mtime_ns, one.size_bytes)
            ):
                self.now[one.path] = before
            else:
                waiting.append((one, before.digest if before else "", before.chunks if before else 0))
        return waiting

    def write(self, batch: Sequence[_Made]) -> None:
        """Write some of them."""
        for made in batch:
            if made.reason:
                self._skipped.add(made.reason, made.path)
        good = [made for made in batch if not made.reason]
        self.now |= {made.path: made.state for made in good}
        self.indexed += sum(made.record is not None for made in good)
        if good:
            self._store.write(
                self._wanted,
                {made.path: made.record for made in good},
                {made.path: made.state for made in good},
            )

    def finish(self) -> None:
        """Remove what is not there any more; the index is complete."""
        gone = sorted(self._known.keys() - self.now.keys())
        self.removed = len(gone)
        self._store.write(self._wanted, {}, {}, gone, is_last=True)


def _records(
    waiting: Sequence[tuple[Found, str, int]], swarm: Swarm, processes: int, with_docs: bool, redaction: Redaction
) -> Generator[_Made, None, None]:
    if processes == 1 or len(waiting) < _WORTH_PROCESSES:
        yield from (_made(one, swarm.embedder, with_docs, redaction) for one in waiting)
        return
    # Large files first would be even, but a run that is killed shall have gone on in the order of the paths.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        made_there = partial(_made_there, swarm.settings.embedder, with_docs, redaction.names)
        try:
            with _interrupts_held():
                made = pool.map(made_there, waiting, chunksize=4)
            yield from made
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to every process of a terminal: those that start here never hear it, and this one does afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _batches(made: Iterator[_Made]) -> Iterator[list[_Made]]:
    while batch := list(islice(made, _BATCH)):
        yield batch


def _made(waiting: tuple[Found, str, int], embedder: Embedder, with_docs: bool, redaction: Redaction) -> _Made:
    found, digest, chunks = waiting
    data, reason = content_of(found)
    state = FileState(mtime_ns=found.mtime_ns, size_bytes=found.size_bytes, digest=digest_of(data), chunks=chunks)
    if reason or state.digest == digest:
        return _Made(found.path, state, None, reason)
    try:
        record, chunks = record_of(found.path, data, embedder, with_docs=with_docs, redaction=redaction)
    except CapacityError:
        return _Made(found.path, state, None, "too much for one record")
    return _Made(found.path, dataclasses.replace(state, chunks=chunks), record, "" if chunks else "empty")


_embedder = cache(load_embedder)
"""Loaded once in each process of the pool."""


def _made_there(embedder: str, with_docs: bool, rules: tuple[str, ...], waiting: tuple[Found, str, int]) -> _Made:
    return _made(waiting, _embedder(embedder), with_docs, Redaction(rules))
