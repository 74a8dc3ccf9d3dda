"""`index-codebase`, `query --name` and `feedback`, in this process: what starts it takes longer than what they do."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import CommandLine
from support import wait_until

from swarm.services.access import AccessControl
from swarm.settings import Settings
from swarm.store.codebase import CodeStore
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys
from swarm_cli.main import main

EVIL = 'def walk_folder(path):\n    """Walk through a folder."""\n    return "\\x1b[31m", path  # \x1b[31m[bold]\n'
Swarm = Callable[..., tuple[int, str, str]]


@pytest.fixture
def swarm(
    settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Swarm:
    """`swarm WORDS`: its exit code, and what it printed on stdout and stderr."""
    for name in ("name", "redis_url", "state_dir"):
        monkeypatch.setenv(f"SWARM_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("SWARM_EMBEDDER", "hashed:64")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["swarm", *words])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capsys.readouterr()

    return run


def test_code_is_indexed_found_and_judged(swarm: Swarm, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(EVIL)
    (tmp_path / "b.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / ".env").write_text("KEY=1")
    there = ("index-codebase", "--path", str(tmp_path))
    indexed = json.loads(swarm(*there, "--extensions", "py,env", "--max-files", "10", "--json")[1])
    assert (indexed["agent"], indexed["files"], indexed["indexed"]) == ("code", 2, 2)
    assert indexed["skipped"] == {"looks like a secret": 1}
    assert "2 unchanged" in swarm(*there)[1]
    asked = ("query", "--name", "code", "--query", "walk through a folder")
    [hit] = json.loads(swarm(*asked, "-k", "1", "--json")[1])["hits"]
    assert (hit["path"], hit["first"], hit["last"]) == ("a.py", 1, 3)
    code, printed, _ = swarm(*asked)
    assert code == 0
    assert "a.py:1-3" in printed
    assert hit["id"] in printed
    assert "\x1b" not in printed
    said = json.loads(swarm("feedback", hit["id"], "--good", "--json")[1])
    assert (said["name"], said["is_good"], said["receipt"]["state"]) == ("a.py::walk_folder", True, "accepted")
    assert "before, and that counts" in swarm("feedback", hit["id"], "--bad")[1]


def test_an_index_that_was_interrupted_says_so_and_goes_on(
    swarm: Swarm, settings: Settings, client: Client, external: CommandLine
) -> None:
    store = CodeStore(client, SwarmKeys(settings.name), "code")
    there = ("index-codebase", "--path", sysconfig.get_paths()["stdlib"], "--processes", "2")
    external.environment["SWARM_EMBEDDER"] = "hashed:64"
    with external.popen(*there, start_new_session=True) as process:
        wait_until(store.files, 60.0, "the first files")
        # As a terminal does: to the command, and to the processes that it started.
        os.killpg(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=60.0)
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"aborted: [\d,]+ of [\d,]+ files are indexed; run it again to go on\n", error)
    asked = ("query", "--name", "code", "--query", "parse a date", "-k", "1")
    code, out, error = swarm(*asked, "--json")
    assert (code, json.loads(out)["complete"]) == (0, False)
    assert error == "the index of code is unfinished, answers may be missing: run swarm index-codebase again to go on\n"
    held = len(store.files())
    report = json.loads(swarm(*there[:3], "--max-files", str(held), "--json")[1])
    assert report["indexed"] == 0 < report["unchanged"]
    code, out, error = swarm(*asked, "--json")
    assert (json.loads(out)["complete"], error) == (True, "")


def test_what_cannot_be_done_is_one_line(swarm: Swarm, tmp_path: Path) -> None:
    for words, way_out in (
        (["index-codebase", "--path", str(tmp_path / "none")], "path must be a folder"),
        (["query", "x", "--name", "nobody"], "swarm index-codebase --name nobody"),
        (["query"], "Missing argument 'TEXT': see swarm query --help"),
        (["query", "x", "--query", "y"], "give TEXT or --query, not both"),
        (["query", "x", "--name", "code", "--role", "r"], "do not go with --name"),
        (["feedback", "code/0123456789-abcdef"], "give --good or --bad"),
        (["feedback", "code/0123456789-abcdef", "--good", "--bad"], "give --good or --bad, one of the two"),
        (["feedback", "ghost/0123456789-abcdef", "--good"], "swarm query --name ghost"),
        (["index-codebase", "--path", str(tmp_path), "--extensions", "zzz", "--name", "ghost"], "got 'zzz'"),
        (["feedback", "nonsense", "--good"], "id must be AGENT/QUESTION-ANSWER"),
    ):
        code, out, error = swarm(*words)
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert way_out in error
    assert json.loads(swarm("agents", "list", "--json")[1])["agents"] == []


def test_under_a_token_code_is_an_operators(
    swarm: Swarm, settings: Settings, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, _ = AccessControl(settings, client).create("reader")
    monkeypatch.setenv("SWARM_TOKEN", token)
    for words in (
        ["query", "x", "--name", "code"],
        ["index-codebase", "--path", "."],
        ["feedback", "code/0123456789-abcdef", "--good"],
    ):
        code, out, error = swarm(*words)
        assert (code, out) == (2, "")
        assert "needs an operator's token" in error
