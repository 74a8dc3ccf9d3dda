"""The standard library as a corpus: what counts, and that collecting it has no side effects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from swarm_cli.demo.request import Request
from swarm_cli.demo.standard_library import (
    MAX_REQUESTS,
    MIN_CHARS,
    MIN_REQUESTS,
    SKIPPED,
    first_paragraph,
    standard_library_requests,
)

# Runs in a process of its own: an audit hook cannot be removed again.
AUDITED = """
import hashlib, json, sys, threading
FORBIDDEN = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system",
             "pty.spawn", "socket.bind", "socket.connect", "urllib.Request", "webbrowser.open")
seen = []
sys.addaudithook(lambda event, _arguments: seen.append(event) if event in FORBIDDEN else None)
from swarm_cli.demo.standard_library import standard_library_requests
requests = standard_library_requests()
digest = hashlib.sha256(repr([(r.text, r.label) for r in requests]).encode()).hexdigest()
print(json.dumps({"events": seen, "threads": threading.active_count(), "digest": digest}))
"""


@pytest.fixture(scope="module")
def requests() -> tuple[Request, ...]:
    return standard_library_requests()


def audited(hash_seed: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    command = [sys.executable, "-W", "error", "-c", AUDITED]
    return subprocess.run(
        command, env=environment | {"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, timeout=60, check=True
    )


def test_collecting_starts_nothing_prints_nothing_and_is_the_same_in_every_process() -> None:
    runs = [audited("1"), audited("2")]
    assert [run.stderr for run in runs] == ["", ""]
    first, second = (json.loads(run.stdout) for run in runs)  # one JSON object: no module printed anything
    assert first["events"] == []
    assert first["threads"] == 1
    assert first["digest"] == second["digest"]


def test_corpus_has_thousands_of_requests_over_many_modules(requests: tuple[Request, ...]) -> None:
    counts = Counter(request.label for request in requests)
    assert 3_000 <= len(requests) <= 5_000
    assert 60 <= len(counts) <= 90
    assert min(counts.values()) >= MIN_REQUESTS
    assert max(counts.values()) <= MAX_REQUESTS


def test_every_text_has_one_right_answer(requests: tuple[Request, ...]) -> None:
    texts = [request.text for request in requests]
    assert len(set(texts)) == len(texts)
    assert min(map(len, texts)) >= MIN_CHARS
    assert not [text for text in texts if "\n" in text or text != text.strip()]


def test_labels_are_public_modules_in_order(requests: tuple[Request, ...]) -> None:
    labels = [request.label for request in requests]
    assert labels == sorted(labels)
    assert not SKIPPED & set(labels)
    assert not [label for label in labels if label.startswith("_") or label not in sys.stdlib_module_names]


def test_implementation_modules_count_as_what_they_implement(requests: tuple[Request, ...]) -> None:
    labels = {request.label for request in requests}
    assert {"os", "socket", "builtins"} <= labels
    assert not {"posix", "nt", "posixpath", "ntpath"} & labels


def test_a_known_docstring_is_found_under_its_module(requests: tuple[Request, ...]) -> None:
    found = [
        request for request in requests if request.text.startswith("Serialize ``obj`` to a JSON formatted ``str``")
    ]
    assert [request.label for request in found] == ["json"]


@pytest.mark.parametrize(
    ("doc", "name", "expected"),
    [
        ("Do it.\n\nMore.", "do", "Do it."),
        ("Do\n    it.\n", "do", "Do it."),
        ("do(x[, y]) -> result\n\nDo it.", "do", "Do it."),
        ("D.do(x) -> None.  Do it.\n\nMore.", "do", "More."),
        ("Point(x: int, y: int = 0)", "Point", ""),
        ("do(x,\n   y)\nDo it.", "do", "y) Do it."),
        ("Calls do(x) in a loop.", "do", "Calls do(x) in a loop."),
        ("", "do", ""),
        (" \n\n ", "do", ""),
    ],
)
def test_first_paragraph_leaves_signature_lines_out(doc: str, name: str, expected: str) -> None:
    assert first_paragraph(doc, name) == expected
