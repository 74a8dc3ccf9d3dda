"""Command lines: which program one is about, and whether it checks the work (tests, types, style, a build)."""

from __future__ import annotations

import re

MOST = 4_000
"""Characters of a command line that are looked at."""
ANSWERS_BY_CODE = frozenset(
    {"grep", "egrep", "fgrep", "rg", "ag", "diff", "cmp", "test", "[", "which", "pgrep", "git diff"}
)
"""Programs whose exit code 1 says "no", not that something went wrong."""
_SEGMENT = re.compile(r"&&|\|\||[;|\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")
_WRAPPERS = frozenset({"sudo", "time", "env", "nice", "command", "exec", "npx", "bunx", "uvx", "stdbuf", "xvfb-run"})
_RUNNERS = frozenset({"uv", "poetry", "pipenv", "hatch", "rye", "pdm", "bundle"})
"""They take `run` or `exec` and then the program."""
_PASSED_OVER = frozenset(
    {"cd", "set", "export", "source", ".", "echo", "pushd", "popd", "true", "tail", "head", "cat", "tee"}
)
_ALWAYS = frozenset(
    {
        *("pytest", "tox", "nox", "jest", "vitest", "mocha", "ctest", "rspec", "phpunit"),
        *("tsc", "eslint", "mypy", "pyright", "flake8", "pylint"),
    }
)
"""Programs that do nothing else than check."""
_TASKS = frozenset(
    {
        *("test", "tests", "check", "lint", "build", "typecheck", "type-check", "verify"),
        *("clippy", "vet", "nextest", "ci", "unittest", "pytest"),
    }
)
_WITH_TASK = frozenset(
    {
        *("npm", "pnpm", "yarn", "bun", "deno", "cargo", "go", "make", "just", "mvn", "gradle", "gradlew"),
        *("dotnet", "mix", "swift", "bazel", "rake", "ruff"),
    }
)
"""Programs that check when they are given one of the tasks."""


def program_of(command: str) -> str:
    """The program that a command line is about: the first one that is no preparation.

    >>> program_of("cd src && FOO=1 uv run pytest -q | tail -5"), program_of("git status"), program_of("")
    ('pytest', 'git', '')
    """
    return next((words[0] for words in _segments(command) if words[0] not in _PASSED_OVER), "")


def check_of(command: str) -> str:
    """The check that a command line runs, "" if it runs none. The same check has the same name each time.

    >>> check_of("python -m pytest tests -x"), check_of("cargo test --all"), check_of("npm run build && npm test")
    ('pytest', 'cargo test', 'npm build')
    >>> check_of("git commit -m 'make test pass'"), check_of("npm install")
    ('', '')
    """
    return next((check for words in _segments(command) if (check := _check(words))), "")


def _check(words: list[str]) -> str:
    program, rest = words[0], words[1:]
    if program in _ALWAYS:
        return program
    if program.startswith("python"):
        module = rest[rest.index("-m") + 1 : rest.index("-m") + 2] if "-m" in rest else []
        return module[0] if module and module[0] in _ALWAYS | _TASKS else ""
    if program in _WITH_TASK:
        task = next((word for word in rest if not word.startswith("-") and word != "run"), "")
        if task.partition(":")[0] in _TASKS:
            return f"{program} {task}"[:40]
    return ""


def _segments(command: str) -> list[list[str]]:
    """The words of each simple command of a line, without what stands before its program."""
    found = []
    for segment in _SEGMENT.split(command[:MOST]):
        words = segment.split()
        while words and (words[0] in _WRAPPERS or _ASSIGNMENT.fullmatch(words[0])):
            del words[0]
        if len(words) > 2 and words[0] in _RUNNERS and words[1] in ("run", "exec"):
            del words[:2]
        if len(words) > 2 and words[0] == "timeout":
            del words[:2]
        if words:
            # By its name, wherever it is installed.
            found.append([words[0].rpartition("/")[2], *words[1:]])
    return found
