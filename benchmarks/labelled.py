"""Labelled texts: requests with the one label, pattern or tool that answers each.

A folder holds `data.jsonl.gz` (text, label [, split] [, domain]), and may hold `emb.npz`, `tools.jsonl.gz`
(id, text: what a label is good for) with `tools_emb.npz`, and `multi_tool.jsonl.gz` (text, labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.embeddings import embedder_name, vectors_for
from benchmarks.rows import Row, find_rows, read_rows, require_folder, require_rows
from benchmarks.splits import SPLITS, TEST, TRAIN, VAL, frozen_array, hold_out, numbered, read_splits
from swarm.errors import InputError
from swarm.sona.vectors import Flags, Integers, Vector
from swarm_cli.demo.corpus import OUT_OF_SCOPE, load_corpus

STANDARD_LIBRARY = "standard_library"
NO_LABEL = -1
"""Label and domain of a row that is out of scope."""
_WHAT = "a set of labelled texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What labels are good for, in words: m descriptions."""

    labels: Integers
    """Of shape (m,), indices into `LabelledTexts.label_names`; no label comes twice."""
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    """The descriptions as they are in the file; embedded as `ID: TEXT`."""
    embedding: Vector
    """Of shape (m, d)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiLabelRequest:
    """A request that needs several labels."""

    text: str
    labels: tuple[int, ...]
    """Sorted indices into `LabelledTexts.label_names`, none twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTexts:
    """n texts in the order of the file. Arrays are read-only."""

    name: str
    """The folder's base name, or `standard_library`."""
    embedder: str
    texts: tuple[str, ...]
    labels: Integers
    """Of shape (n,), indices into `label_names`; `NO_LABEL` where the text is out of scope."""
    label_names: tuple[str, ...]
    """Sorted: every label of a text or tool, except the out-of-scope one."""
    splits: Integers
    """Of shape (n,), indices into `SPLITS`, also of rows out of scope."""
    has_own_split: bool
    """Whether the data says what is held out; else it is drawn, see `with_split_of`."""
    domains: Integers | None
    """Of shape (n,), indices into `domain_names`; `NO_LABEL` where out of scope. None if the data names no domains."""
    domain_names: tuple[str, ...]
    embedding: Vector
    """Of shape (n, d), rows of unit length."""
    tools: Tools | None
    multi: tuple[MultiLabelRequest, ...]
    """Without vectors: `benchmarks.embeddings.embed_texts` makes them for who needs them."""

    @property
    def out_of_scope(self) -> Flags:
        """Of shape (n,): rows that no label answers, of every split."""
        return np.asarray(self.labels == NO_LABEL)

    @property
    def train(self) -> Flags:
        """Of shape (n,): rows to learn from, in scope."""
        return self._in_scope(TRAIN)

    @property
    def val(self) -> Flags:
        """Of shape (n,): rows to choose settings by, in scope; often none."""
        return self._in_scope(VAL)

    @property
    def test(self) -> Flags:
        """Of shape (n,): held-out rows, in scope."""
        return self._in_scope(TEST)

    def _in_scope(self, split: int) -> Flags:
        return np.asarray((self.splits == split) & ~self.out_of_scope)


def load_labelled_texts(
    data: Path | None, embedder: str | None = None, *, needs_domains: bool = False, needs_tools: bool = False
) -> LabelledTexts:
    """The labelled texts in folder `data`, or the standard library's documentation if it is None.

    Parameters
    ----------
    embedder : a name of `swarm.embed.registry`; None takes the folder's own vectors, else the service's default
    needs_domains, needs_tools : refuse data without them

    Raises
    ------
    InputError
        If there is no such folder or file, a line cannot be used (the message names file and line), there are
        not at least two labels to learn, nothing is held out, or what is needed is missing.
    EmbedderUnavailableError
        If the embedder cannot be loaded.
    """
    if data is None and not (needs_domains or needs_tools):
        return _standard_library(embedder_name(None, embedder))
    folder = require_folder(data, _what(needs_domains, needs_tools))
    rows = require_rows(folder, "data", _WHAT)
    _check_needs(folder, rows, needs_domains, needs_tools)
    texts = tuple(row.text("text") for row in rows)
    label_of = [row.text("label") for row in rows]
    tool_rows = _optional(folder, "tools")
    names = tuple(sorted({*label_of, *(row.text("id") for row in tool_rows)} - {OUT_OF_SCOPE}))
    labels = _indices(label_of, names)
    own = read_splits(rows)
    domains, domain_names = _domains(rows, labels)
    name = embedder_name(folder, embedder)
    return _checked(
        LabelledTexts(
            name=folder.resolve().name or "data",
            embedder=name,
            texts=texts,
            labels=labels,
            label_names=names,
            splits=frozen_array(hold_out(texts, labels, seed=0) if own is None else own),
            has_own_split=own is not None,
            domains=domains,
            domain_names=domain_names,
            embedding=vectors_for(texts, name, folder),
            tools=_tools(tool_rows, names, name, folder) if tool_rows else None,
            multi=tuple(_multi(row, names) for row in _optional(folder, "multi_tool")),
        ),
        str(folder),
    )


def with_split_of(data: LabelledTexts, seed: int) -> LabelledTexts:
    """`data` with a held-out fifth drawn by `seed`; data with a split of its own comes back itself.

    So a benchmark's interval over seeds holds the luck of the draw too, where there is a draw.
    """
    if data.has_own_split:
        return data
    return replace(data, splits=frozen_array(hold_out(data.texts, data.labels, seed)))


def _standard_library(embedder: str) -> LabelledTexts:
    requests = load_corpus(None).requests
    texts = tuple(request.text for request in requests)
    labels, names = numbered([request.label for request in requests])
    return LabelledTexts(
        name=STANDARD_LIBRARY,
        embedder=embedder,
        texts=texts,
        labels=labels,
        label_names=names,
        splits=frozen_array(hold_out(texts, labels, seed=0)),
        has_own_split=False,
        domains=None,
        domain_names=(),
        embedding=vectors_for(texts, embedder),
        tools=None,
        multi=(),
    )


def _what(needs_domains: bool, needs_tools: bool) -> str:
    also = " with descriptions (tools.jsonl.gz)" if needs_tools else " in domains" if needs_domains else ""
    return f"{_WHAT}{also}: data.jsonl.gz"


def _check_needs(folder: Path, rows: Sequence[Row], needs_domains: bool, needs_tools: bool) -> None:
    if needs_domains and not rows[0].has("domain"):
        raise InputError(f"{rows[0].where}: domain is missing, and this benchmark needs domains")
    if needs_tools and find_rows(folder, "tools") is None:
        raise InputError(f"data must be {_what(False, True)}, but there is no tools.jsonl.gz in {folder}")


def _checked(data: LabelledTexts, where: str) -> LabelledTexts:
    if (found := len(np.unique(data.labels[data.train]))) < 2:
        raise InputError(f"{where}: at least 2 labels with rows to learn from are needed, got {found}")
    if not data.test.any():
        raise InputError(f"{where}: at least 1 row in scope must be held out, got 0")
    return data


def _optional(folder: Path, stem: str) -> list[Row]:
    path = find_rows(folder, stem)
    return [] if path is None else read_rows(path)


def _indices(labels: Sequence[str], names: tuple[str, ...]) -> Integers:
    index = {OUT_OF_SCOPE: NO_LABEL, **{name: position for position, name in enumerate(names)}}
    return frozen_array(np.array([index[label] for label in labels], dtype=np.intp))


def _domains(rows: Sequence[Row], labels: Integers) -> tuple[Integers | None, tuple[str, ...]]:
    if not any(row.has("domain") for row in rows):
        return None, ()
    # A row out of scope has no domain, whatever it says.
    found = [OUT_OF_SCOPE if label == NO_LABEL else row.text("domain") for row, label in zip(rows, labels, strict=True)]
    names = tuple(sorted({*found} - {OUT_OF_SCOPE}))
    return _indices(found, names), names


def _tools(rows: Sequence[Row], names: tuple[str, ...], embedder: str, folder: Path) -> Tools:
    ids = [row.text("id") for row in rows]
    for row, tool in zip(rows, ids, strict=True):
        if tool == OUT_OF_SCOPE or ids.count(tool) > 1:
            raise InputError(f"{row.where}: id must be unique and not {OUT_OF_SCOPE!r}, got {tool!r:.80}")
    texts = tuple(row.text("text") for row in rows)
    described = [f"{tool}: {text}" for tool, text in zip(ids, texts, strict=True)]
    return Tools(
        labels=_indices(ids, names),
        ids=tuple(ids),
        texts=texts,
        embedding=vectors_for(described, embedder, folder, "tools_emb.npz"),
    )


def _multi(row: Row, names: tuple[str, ...]) -> MultiLabelRequest:
    wanted = sorted(set(row.texts("labels")))
    unknown = [label for label in wanted if label not in names]
    if unknown or not wanted:
        got = f"{unknown[0]!r:.80}" if unknown else "none"
        raise InputError(f"{row.where}: labels must be labels of the data, got {got}")
    return MultiLabelRequest(text=row.text("text"), labels=tuple(names.index(label) for label in wanted))


__all__ = [
    "NO_LABEL",
    "SPLITS",
    "STANDARD_LIBRARY",
    "LabelledTexts",
    "MultiLabelRequest",
    "Tools",
    "load_labelled_texts",
    "with_split_of",
]
