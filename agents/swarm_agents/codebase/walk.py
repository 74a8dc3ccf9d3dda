"""The files of a codebase, without what git ignores, vendored trees, binaries, secrets, and what is too large.

Whatever is left out is counted by its reason. Symbolic links are not followed, so no loop can be entered.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.errors import InputError, RuntimeSetupError
from swarm.wire.code_records import MAX_PATH
from swarm_agents.codebase.languages import REMEDY

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MAX_FILES = 50_000
MAX_FILE_BYTES = 1_048_576
_LONG_LINE = 5_000
"""A line of so many characters was written by no person."""
_HEAD_BYTES = 8_192
_MAX_IGNORE_BYTES = 1_048_576
_STARS = re.compile(r"\*+")
_MAX_STARS, _MAX_STARS_IN_NAME = 6, 3
"""In a pattern of a .gitignore: matching takes a time with as many factors."""
_VENDORED = frozenset(
    {
        *("node_modules", "bower_components", "jspm_packages", "site-packages", "dist-packages", "vendor", "vendored"),
        *("third_party", "third-party", "dist", "build", "target", "venv", ".venv"),
        *("__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        *(".eggs", ".idea", ".vscode", ".next", ".nuxt", ".gradle", ".terraform", "Pods", "coverage", "htmlcov"),
    }
)
_SECRET = (
    *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "kubeconfig"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", ".pgpass", ".npmrc", ".pypirc", ".htpasswd"),
    *(f"*{what}.{kind}" for what in ("secret", "secrets", "credentials") for kind in ("json", "yml", "yaml", "toml")),
    *("credentials", "secrets", "secrets.txt", "service-account*.json", "*.tfvars", "*.tfstate"),
)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\s|\\n|[\"'])*[A-Za-z0-9+/=]{40}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be indexed: its path from the root, with slashes, and where it is."""

    path: str
    at: Path
    mtime_ns: int
    size_bytes: int


@dataclass(slots=True)
class Skipped:
    """What was left out: how often by each reason, and one example of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, path: str) -> None:
        """Count one."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, path)

    def example(self) -> str:
        """One of those left out for the commonest reason, with the reason."""
        [(reason, _)] = self.counts.most_common(1)
        return f"{self.examples[reason]} ({reason})"


def walk(root: Path, extensions: Collection[str], skipped: Skipped) -> Iterator[Found]:
    """The files below `root` with one of these extensions, in the order of their paths.

    Raises
    ------
    InputError
        If `root` is no folder that can be read.
    RuntimeSetupError
        If `pathspec` is not installed.
    """
    if not root.is_dir():
        raise InputError(f"path must be a folder, got {str(root)!r:.200}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise InputError(f"path must be a folder that can be read, got {str(root)!r:.200}")
    yield from _Walker(root, frozenset(extensions), skipped).folder(root, "", _above(root, skipped))


def content_of(found: Found) -> tuple[bytes, str]:
    """A file's bytes, and why it must not be indexed, "" if it may.

    What git would call binary is binary: a NUL in its first 8 KB.
    """
    try:
        with found.at.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return b"", f"not readable ({error.strerror})"
    if len(data) > MAX_FILE_BYTES:
        return b"", _TOO_LARGE
    if b"\0" in data[:_HEAD_BYTES]:
        return b"", "binary"
    if not data.strip():
        return b"", "empty"
    if _PRIVATE_KEY.search(data):
        return b"", "holds a private key"
    if max(map(len, data.splitlines()), default=0) > _LONG_LINE:
        return b"", "minified or generated (a line of more than 5,000 bytes)"
    return data, ""


_TOO_LARGE = "larger than 1 MiB"
_UNNAMEABLE = "name too long or not printable"
_Rules = tuple[tuple[str, "GitIgnoreSpec"], ...]
"""Folders, outermost first, as beginnings of paths from the root ("../" upwards), and what their .gitignore says."""


class _Walker:
    def __init__(self, root: Path, extensions: frozenset[str], skipped: Skipped) -> None:
        self._root = root
        self._extensions = extensions
        self._skipped = skipped

    def folder(self, at: Path, prefix: str, rules: _Rules) -> Iterator[Found]:
        """The files of a folder and below; `prefix` is its path from the root, with a slash behind it."""
        # Not by recursion: folders may be deeper than Python's stack.
        waiting = [self._entries(at, prefix, rules)]
        while waiting:
            if (one := next(waiting[-1], None)) is None:
                waiting.pop()
                continue
            entry, path, inside = one
            if entry.is_symlink():
                self._skipped.add("symbolic link", path)
            elif entry.is_dir(follow_symlinks=False):
                if (reason := _why_not_folder(entry, path, inside)) is None:
                    waiting.append(self._entries(Path(entry.path), path + "/", inside))
                else:
                    self._skipped.add(reason, path + "/")
            elif entry.is_file(follow_symlinks=False) and _extension(entry.name) in self._extensions:
                yield from self._file(entry, path, inside)

    def _entries(self, at: Path, prefix: str, rules: _Rules) -> Iterator[tuple[os.DirEntry[str], str, _Rules]]:
        """What is in a folder, each with its path from the root, and what is ignored there."""
        rules = _with_rules(at, prefix, rules, self._skipped)
        try:
            with os.scandir(at) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self._skipped.add(f"not readable ({error.strerror})", prefix)
            return
        for entry in entries:
            yield entry, prefix + entry.name, rules

    def _file(self, entry: os.DirEntry[str], path: str, rules: _Rules) -> Iterator[Found]:
        stat = entry.stat(follow_symlinks=False)
        if (reason := _why_not_file(entry.name, path, stat.st_size, rules)) is not None:
            self._skipped.add(reason, path)
        else:
            yield Found(path, Path(entry.path), stat.st_mtime_ns, stat.st_size)


def _why_not_folder(entry: os.DirEntry[str], path: str, rules: _Rules) -> str | None:
    is_tool = entry.name in _VENDORED or entry.name.endswith((".egg-info", ".dist-info"))
    if is_tool or os.path.lexists(os.path.join(entry.path, "pyvenv.cfg")):
        return "vendored, built or a tool's folder"
    if _is_unnameable(path):
        return _UNNAMEABLE
    return "ignored by .gitignore" if _is_ignored(path + "/", rules) else None


def _why_not_file(name: str, path: str, size_bytes: int, rules: _Rules) -> str | None:
    if any(fnmatch(name.lower(), pattern) for pattern in _SECRET):
        return "looks like a secret"
    if _is_ignored(path, rules):
        return "ignored by .gitignore"
    if ".min." in name:
        return "minified"
    if size_bytes > MAX_FILE_BYTES:
        return _TOO_LARGE
    if _is_unnameable(path):
        return _UNNAMEABLE
    return None


def _is_unnameable(path: str) -> bool:
    return len(path) > MAX_PATH or not path.isprintable()


def _extension(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""


def _is_ignored(path: str, rules: _Rules) -> bool:
    """As git decides: the innermost .gitignore that says something about a path, holds."""
    for prefix, spec in reversed(rules):
        inside = path.removeprefix(prefix) if not prefix.startswith("/") else prefix[1:] + path
        if (verdict := spec.check_file(inside).include) is not None:
            return verdict
    return False


def _above(root: Path, skipped: Skipped) -> _Rules:
    """The .gitignore files of the folders above `root`, up to that of the repository, if it is in one.

    A folder that these ignore, and that was named nevertheless, is meant: then they say nothing of what is in it.
    """
    root = root.resolve()
    parents = [root, *root.parents]
    top = next((folder for folder in parents if (folder / ".git").exists()), root)
    rules: list[tuple[str, GitIgnoreSpec]] = []
    for folder in reversed(parents[1 : parents.index(top) + 1]):
        if (spec := _spec_of(folder, skipped)) is not None:
            inside = root.relative_to(folder)
            # A slash marks what has to be put before a path, instead of taken off.
            rules.append((f"/{inside.as_posix()}/", spec))
            ways = [f"{way.as_posix()}/" for way in (inside, *inside.parents[:-1])]
            if any(spec.check_file(way).include for way in ways):
                return ()
    return tuple(rules)


def _with_rules(at: Path, prefix: str, rules: _Rules, skipped: Skipped) -> _Rules:
    spec = _spec_of(at, skipped)
    return rules if spec is None else (*rules, (prefix, spec))


def _spec_of(folder: Path, skipped: Skipped) -> GitIgnoreSpec | None:
    try:
        from pathspec import GitIgnoreSpec
    except ImportError as error:
        raise RuntimeSetupError(f"the package pathspec is not installed: {REMEDY}") from error
    at = folder / ".gitignore"
    try:
        # A FIFO of that name would be waited for.
        if not at.is_file():
            return None
        with at.open(errors="replace") as file:
            lines = file.read(_MAX_IGNORE_BYTES).splitlines()
    except OSError:
        return None
    good = []
    for line in lines:
        if _is_pattern(line, GitIgnoreSpec):
            good.append(line)
        else:
            skipped.add("a pattern of .gitignore that cannot be used", str(at))
    return GitIgnoreSpec.from_lines(good)


def _is_pattern(line: str, spec: type[GitIgnoreSpec]) -> bool:
    """Whether a line can be used; with many stars one name could be looked at for years."""
    groups = [len(_STARS.findall(part)) for part in line.split("/")]
    if sum(groups) > _MAX_STARS or max(groups) > _MAX_STARS_IN_NAME or line.count("**") > _MAX_STARS_IN_NAME:
        return line.startswith("#")
    try:
        spec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True
