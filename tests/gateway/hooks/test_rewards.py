"""What a tool's result says of the step, and of the work."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_gateway.hooks.commands import check_of, program_of
from swarm_gateway.hooks.events import EventKind, HookEvent
from swarm_gateway.hooks.rewards import Reading, read_result


def result(tool: str, response: Any = None, *, command: str = "", failed: str | None = None, **fields: Any) -> Reading:
    kind = EventKind.TOOL_END if failed is None else EventKind.TOOL_FAILED
    event = HookEvent(
        client="claude-code",
        name="x",
        kind=kind,
        session="s",
        tool=tool,
        tool_input={"command": command} if command else {},
        tool_response=response,
        text=failed or "",
        **fields,
    )
    return read_result(event)


@pytest.mark.parametrize(
    ("command", "check"),
    [
        ("pytest -q", "pytest"),
        ("cd app && .venv/bin/pytest tests -x 2>&1 | tail -20", "pytest"),
        ("CI=1 uv run pytest", "pytest"),
        ("python3 -m pytest", "pytest"),
        ("python -m unittest discover", "unittest"),
        ("npx tsc --noEmit", "tsc"),
        ("npm run test:unit", "npm test:unit"),
        ("pnpm build", "pnpm build"),
        ("cargo clippy --all", "cargo clippy"),
        ("go test ./...", "go test"),
        ("timeout 60 make check", "make check"),
        ("./gradlew build", "gradlew build"),
        ("ruff check .", "ruff check"),
        ("ruff format .", ""),
        ("npm install", ""),
        ("git commit -m 'run pytest'", ""),
        ("python -c 'import pytest'", ""),
        ("python script.py", ""),
        ("python -m", ""),
        ("", ""),
        ("&& || ;", ""),
    ],
)
def test_checks_are_told_from_other_commands(command: str, check: str) -> None:
    assert check_of(command) == check


def test_the_program_is_what_the_command_is_about() -> None:
    assert program_of("cd x; sudo env A=1 /usr/bin/git status | cat") == "git"
    assert program_of("echo hello") == ""


@pytest.mark.parametrize(
    ("response", "reward"),
    [
        ({"stdout": "5 passed", "interrupted": False}, 1.0),
        ({"exit_code": 0, "output": "2 failed in a log that was printed"}, 1.0),
        ({"exitCode": 1, "output": ""}, 0.0),
        ({"stdout": "", "returncode": 2}, 0.0),
        ("Exit code: 1\n1 failed", 0.0),
        ("12 passed, 3 failed", 0.0),
    ],
)
def test_a_check_is_judged_by_its_exit_code_first(response: Any, reward: float) -> None:
    found = result("Bash", response, command="pytest -q")
    assert (found.reward, found.speaks, found.check) == (reward, reward == 1.0, "pytest")


@pytest.mark.parametrize(
    ("printed", "ok"),
    [
        ("42 passed in 3 s", True),
        ("0 failed, 42 passed", True),
        ("1 failed, 41 passed", False),
        ("FAILED tests/test_a.py::test_b", False),
        ("--- FAIL: TestParse (0.00s)", False),
        ("src/a.ts(3,5): error TS2322: no", False),
        ("test_FAILED_login passed", True),
    ],
)
def test_a_pipe_hides_no_failing_check(printed: str, ok: bool) -> None:
    assert result("Bash", {"stdout": printed}, command="pytest | tail -3").speaks is ok


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (result("Bash", {"stdout": ""}, command="git commit -m x"), (1.0, True)),
        (result("Bash", failed="Exit code 128", command="git push"), (0.0, False)),
        (result("Bash", failed="Exit code 1", command="grep -r missing ."), (0.5, None)),
        (result("Bash", failed="Exit code 2", command="grep -r missing ."), (0.0, False)),
        (result("Bash", failed="Exit code 127\nnpm: not found", command="npm test"), (0.0, False)),
        (result("Edit", {"filePath": "a.py"}), (1.0, True)),
        (result("Edit", failed="string not found"), (0.0, False)),
        (result("Write", {"success": False}), (0.0, False)),
        (result("Read", {"file": {}}), (1.0, None)),
        (result("Read", failed="no such file"), (0.0, None)),
        (result("mcp__db__query", {"isError": True}), (0.0, None)),
        (result("Agent", {"status": "completed"}), (1.0, None)),
        (result("SomethingNew", None), (1.0, None)),
    ],
)
def test_other_results_speak_weakly_or_not_at_all(reading: Reading, expected: tuple[float, bool | None]) -> None:
    assert (reading.reward, reading.speaks, reading.check) == (*expected, "")


def test_what_the_user_interrupted_is_no_step_but_is_noted() -> None:
    for found in (
        result("Bash", {"stdout": "", "interrupted": True}, command="pytest"),
        result("Bash", failed="interrupted", command="pytest", is_interrupt=True),
    ):
        assert (found.reward, found.speaks, found.is_interrupt) == (None, None, True)


def test_the_name_of_a_step_holds_no_argument() -> None:
    found = result("Bash", {"stdout": ""}, command="curl -H 'Authorization: Bearer s3cret' https://x")
    assert found.node == "Bash:curl"
    assert result("mcp__db__query\n\0", {}).node == "mcp__db__query__"
