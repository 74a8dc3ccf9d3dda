"""Which files of a tree are read, and what is said of the others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.errors import InputError
from swarm_agents.codebase.walk import MAX_FILE_BYTES, Skipped, content_of, walk


def make(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def walked(root: Path, extensions: tuple[str, ...] = ("py",)) -> tuple[list[str], dict[str, int]]:
    skipped = Skipped()
    found = [one.path for one in walk(root, extensions, skipped)]
    return found, dict(skipped.counts)


def test_the_innermost_gitignore_that_says_something_holds(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            ".gitignore": "made_*.py\n/only_here.py\nlogs/\n",
            "only_here.py": "1",
            "made_a.py": "1",
            "a/made_b.py": "1",
            "a/only_here.py": "1",
            "b/.gitignore": "!made_c.py\nlocal.py\n",
            "b/made_c.py": "1",
            "b/made_d.py": "1",
            "b/local.py": "1",
            "logs/x.py": "1",
        },
    )
    assert walked(tmp_path) == (["a/only_here.py", "b/made_c.py"], {"ignored by .gitignore": 6})


def test_rules_of_the_repository_hold_in_a_folder_of_it_but_not_for_one_that_is_named_nevertheless(
    tmp_path: Path,
) -> None:
    make(tmp_path, {".git/HEAD": "", ".gitignore": "made.py\n/old/\nin/x.py\n", "in/made.py": "1", "in/x.py": "1"})
    make(tmp_path, {"in/y.py": "1", "old/z.py": "1", "old/made.py": "1"})
    assert walked(tmp_path / "in") == (["y.py"], {"ignored by .gitignore": 2})
    assert walked(tmp_path / "old")[0] == ["made.py", "z.py"]


def test_vendored_trees_secrets_links_and_what_is_too_large_are_counted(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "node_modules/m/i.js": "1",
            "vendor/x.py": "1",
            "my_env/pyvenv.cfg": "",
            "my_env/y.py": "1",
            "src/a.py": "1",
            "src/secrets.py": "this is a module of the standard library, too",
            ".env": "KEY=1",
            "id_rsa.py": "1",
            "x.min.js": "1",
            "large.py": b"a" * (MAX_FILE_BYTES + 1),
        },
    )
    os.symlink(tmp_path, tmp_path / "src" / "loop")
    os.symlink(tmp_path / "src" / "a.py", tmp_path / "link.py")
    found, skipped = walked(tmp_path, ("py", "js", "env"))
    assert found == ["src/a.py", "src/secrets.py"]
    assert skipped == {
        "vendored, built or a tool's folder": 3,
        "symbolic link": 2,
        "looks like a secret": 2,
        "minified": 1,
        "larger than 1 MiB": 1,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"x = 1\n", ""),
        (b"GIF\0", "binary"),
        (b" \n", "empty"),
        (b"x = '" + b"a" * 6_000 + b"'", "minified or generated (a line of more than 5,000 bytes)"),
        (b"KEY = '''-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64 + b"\n'''", "holds a private key"),
        (b"PATTERN = '-----BEGIN PRIVATE KEY-----'", ""),
    ],
)
def test_content_says_whether_a_file_may_be_indexed(tmp_path: Path, content: bytes, reason: str) -> None:
    make(tmp_path, {"a.py": content})
    [found] = walk(tmp_path, ("py",), Skipped())
    data, why = content_of(found)
    assert why == reason
    assert data == (b"" if reason else content)


def test_a_file_that_has_gone_is_a_reason_and_a_path_that_is_no_folder_an_error(tmp_path: Path) -> None:
    make(tmp_path, {"a.py": "1"})
    [found] = walk(tmp_path, ("py",), Skipped())
    found.at.unlink()
    assert content_of(found)[1].startswith("not readable")
    with pytest.raises(InputError, match="path must be a folder"):
        list(walk(tmp_path / "none", ("py",), Skipped()))


def test_patterns_that_cannot_be_used_are_counted_and_the_others_hold(tmp_path: Path) -> None:
    hostile = ["!", "**/a/" * 9 + "b", "*a" * 40 + "b"]
    (tmp_path / ".gitignore").write_text("\n".join([*hostile, "# **** a * comment * of * stars *", "secret.py", ""]))
    (tmp_path / ("a" * 120 + ".py")).write_text("a = 1\n")
    (tmp_path / "secret.py").write_text("b = 2\n")
    (tmp_path / "below" / ".gitignore").parent.mkdir()
    os.mkfifo(tmp_path / "below" / ".gitignore")
    (tmp_path / "below" / "c.py").write_text("c = 3\n")
    skipped = Skipped()
    assert [found.path for found in walk(tmp_path, ["py"], skipped)] == ["a" * 120 + ".py", "below/c.py"]
    assert skipped.counts == {"a pattern of .gitignore that cannot be used": len(hostile), "ignored by .gitignore": 1}


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file, beside folders in one another; `shutil.rmtree` cannot take them away."""
    before = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1_200):
            os.mkdir("d")
            os.chdir("d")
        os.chdir(before)
        yield make(tmp_path, {"e.py": "e = 1\n"})
    finally:
        os.chdir(before)
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)


def test_folders_deeper_than_the_stack_are_passed_over_and_counted(deep: Path) -> None:
    assert walked(deep) == (["e.py"], {"name too long or not printable": 1})
