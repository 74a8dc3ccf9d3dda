"""Questions about a tree of code whose answers are known: docstrings, and the functions that they document."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from swarm_agents.codebase.chunks import Chunk, chunks_of
from swarm_agents.codebase.terms import words
from swarm_agents.codebase.walk import Skipped, content_of, walk

_LEAST_WORDS = 3
_MOST_CHARACTERS = 1_000


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, the chunk that answers it by its name in the index, and its row among all chunks."""

    text: str
    name: str
    row: int


def questions_of(root: Path, extensions: Collection[str]) -> tuple[list[Question], list[str]]:
    """Questions from docstrings of Python, and the code of all chunks without their documentation."""
    questions: list[Question] = []
    codes: list[str] = []
    for found in walk(root, extensions, Skipped()):
        data, reason = content_of(found)
        if reason:
            continue
        for chunk in chunks_of("py", data.decode(errors="replace")):
            if (text := _asked(chunk)) is not None:
                questions.append(Question(text, f"{found.path}::{chunk.name}", len(codes)))
            codes.append(chunk.code)
    times = Counter(question.text for question in questions)
    return [question for question in questions if times[question.text] == 1], codes


def _asked(chunk: Chunk) -> str | None:
    """The first paragraph of a function's docstring, if it says enough."""
    if chunk.kind not in ("function", "method") or "#" in chunk.name:
        return None
    try:
        doc = ast.literal_eval(chunk.doc)
    except (ValueError, SyntaxError):
        return None
    if not isinstance(doc, str):
        return None
    text = " ".join(inspect.cleandoc(doc).partition("\n\n")[0].split())
    return text if len(list(words(text))) >= _LEAST_WORDS and len(text) <= _MOST_CHARACTERS else None
