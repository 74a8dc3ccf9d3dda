"""Small data for a run of two minutes: texts of the standard library, and outcomes that are made up.

Folders of the forms in benchmarks/README.md. Routes and runs say that a benchmark works and how it compares on a world
with known rules; how good a router or a memory is, real data alone can say.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from swarm_cli.demo.corpus import load_corpus

LABELS, OTHER_LABELS, PER_LABEL = 16, 6, 40
_MODELS = {"large": (0.85, 0.01), "medium": (0.7, 0.002), "small": (0.5, 0.0004), "tiny": (0.35, 0.0001)}
"""How often each is right on average, and USD a call."""
_EASY = 0.95
_AGENTS = 5
_GOOD, _POOR = 0.85, 0.2
"""How often an agent succeeds at what it is made for, and at the rest."""

Texts = Mapping[str, Sequence[str]]
Rows = Iterator[dict[str, object]]


def write_small_data(folder: Path, per_label: int = PER_LABEL) -> dict[str, Path]:
    """Write `texts`, `other`, `tools`, `routes` and `runs` under `folder`; their places by name."""
    texts = _texts(per_label)
    names = sorted(texts)
    known = {name: texts[name] for name in names[:LABELS]}
    other = {name: texts[name] for name in names[LABELS : LABELS + OTHER_LABELS]}
    rng = np.random.default_rng(0)
    _write(folder / "texts", data=_labelled(known))
    _write(folder / "other", data=_labelled(other))
    described: Rows = ({"id": name, "text": found[0]} for name, found in known.items())
    _write(folder / "tools", data=_labelled({name: found[1:] for name, found in known.items()}), tools=described)
    _write(folder / "routes", queries=_queries(known, rng))
    (folder / "routes" / "models.json").write_text(json.dumps(list(_MODELS)))
    _write(folder / "runs", tasks=_tasks(known), trajectories=_trajectories(known, rng))
    return {path.name: path for path in folder.iterdir()}


def _texts(per_label: int) -> Texts:
    """As many texts of each module that has enough, drawn evenly."""
    found: dict[str, list[str]] = defaultdict(list)
    for request in load_corpus(None).requests:
        found[request.label].append(request.text)
    return {
        label: [texts[i * len(texts) // per_label] for i in range(per_label)]
        for label, texts in found.items()
        if len(texts) >= per_label
    }


def _labelled(texts: Texts) -> Rows:
    for label, found in texts.items():
        for text in found:
            yield {"text": text, "label": label}


def _queries(texts: Texts, rng: np.random.Generator) -> Rows:
    """Half of the modules are easy for every model; of the others each model is better at some, by up to 30 points."""
    average, cost = np.array(list(_MODELS.values())).T
    for place, (label, found) in enumerate(texts.items()):
        skill = np.clip(average + rng.uniform(-0.3, 0.3, len(average)), 0.02, 0.98) if place % 2 else _EASY
        for number, text in enumerate(found):
            score = (rng.random(len(average)) < skill).astype(np.float64)
            yield {
                "id": f"{label}-{number}",
                "bench": label,
                "prompt": text,
                "score": score.tolist(),
                "cost": cost.tolist(),
            }


def _tasks(texts: Texts) -> Rows:
    for label, found in texts.items():
        for number, text in enumerate(found):
            task = f"{label}/{number}"
            yield {"task_id": task, "domain": label, "template": label, "query": text, "answer": _calls(label)}


def _trajectories(texts: Texts, rng: np.random.Generator) -> Rows:
    """Each agent is made for every fifth module; who fails calls the function of another module."""
    labels = list(texts)
    for place, label in enumerate(labels):
        for number in range(len(texts[label])):
            for agent in range(_AGENTS):
                worked = rng.random() < (_GOOD if place % _AGENTS == agent else _POOR)
                called = label if worked else labels[(place + int(rng.integers(1, len(labels)))) % len(labels)]
                yield {
                    "task_id": f"{label}/{number}",
                    "agent": f"agent-{agent}",
                    "success": int(worked),
                    "calls": _calls(called),
                }


def _calls(label: str) -> list[str]:
    """Two steps, of which the first is in every plan."""
    return ["docs.search.func()", f"{label}.call.func()"]


def _write(folder: Path, **files: Rows) -> None:
    folder.mkdir(parents=True)
    for stem, rows in files.items():
        (folder / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
