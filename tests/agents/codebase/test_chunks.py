"""Files cut by their syntax: what is a chunk, what it is called, and where it is."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sona_support import PROPERTY

from swarm.errors import RuntimeSetupError
from swarm_agents.codebase.chunks import LONGEST, MAX_CHUNKS, WINDOW, Chunk, chunks_of
from swarm_agents.codebase.languages import LANGUAGES, parser_of

PYTHON = '''\
"""A module."""
import os

LIMIT = 3


# Opens the door.
@decorated
def open_door(key: str) -> bool:
    """Open it with a key."""
    def inner() -> None: ...
    return bool(key)


class Door:
    """A door of a house."""

    width = 1

    def close(self) -> None:
        """Close it."""
        self.closed = True


if os.name == "nt":
    def only_there() -> int:
        return 1
'''


def named(chunks: list[Chunk]) -> dict[str, Chunk]:
    return {chunk.name: chunk for chunk in chunks}


def test_python_is_cut_into_functions_methods_classes_and_the_rest() -> None:
    chunks = chunks_of("py", PYTHON)
    assert [(c.kind, c.name, c.first, c.last) for c in chunks] == [
        ("module", "", 1, 4),
        ("function", "open_door", 7, 12),
        ("class", "Door", 15, 19),
        ("method", "Door.close", 20, 22),
        ("function", "only_there", 26, 27),
    ]
    found = named(chunks)
    door = found["open_door"]
    assert door.head == "def open_door(key: str) -> bool"
    assert door.doc == '"""Open it with a key."""'
    assert "Open it" not in door.code
    assert "inner" in door.code
    assert found["Door"].doc == '"""A door of a house."""'
    assert "def close(self) -> None" in found["Door"].code
    assert "closed = True" not in found["Door"].code
    assert "LIMIT" in found[""].code


@pytest.mark.parametrize(
    ("extension", "source", "names"),
    [
        ("js", "const f = (a) => {\n  return a;\n};\nclass A {\n  b() {\n    return 1;\n  }\n}\n", {"f", "A", "A.b"}),
        ("ts", "export interface I {\n  x: number;\n}\nexport function g(): void {\n}\n", {"I", "g"}),
        ("tsx", "export const View = () => {\n  return <b>hi</b>;\n};\n", {"View"}),
        ("rs", "struct S { x: u8 }\nimpl S {\n  /// Says it.\n  fn say(&self) {\n  }\n}\n", {"S", "S#2", "S.say"}),
        ("go", "package p\n\ntype T struct {\n x int\n}\n\n// Do does.\nfunc (t *T) Do() {\n}\n", {"T", "T.Do"}),
        ("java", "class A {\n  int f(int x) {\n    return x;\n  }\n  A() {\n  }\n}\n", {"A", "A.f", "A.A"}),
        ("c", "/* Adds. */\nint add(int a, int b) {\n  return a + b;\n}\nstruct p { int x; };\n", {"add", "p"}),
        ("cpp", "namespace n {\nclass K {\n  void m() {\n  }\n};\n}\n", {"n", "n.K", "n.K.m"}),
        ("rb", "module M\n  class C\n    def go(x)\n      x\n    end\n  end\nend\n", {"M", "M.C", "M.C.go"}),
    ],
)
def test_every_language_has_its_functions_and_classes(extension: str, source: str, names: set[str]) -> None:
    assert names <= set(named(chunks_of(extension, source)))


def test_comments_above_are_what_documents_it() -> None:
    source = "fn a() {\n}\n\n/// Says it.\n/// Loudly.\nfn say() {\n}\n"
    say = named(chunks_of("rs", source))["say"]
    assert (say.first, say.last) == (4, 7)
    assert "Loudly" in say.doc
    assert "Loudly" not in say.code


def test_a_long_function_is_split_and_no_line_is_lost() -> None:
    body = "".join(f"    x{i} = {i}\n" for i in range(3 * LONGEST))
    chunks = chunks_of("py", f"def f():\n{body}")
    assert [chunk.name for chunk in chunks] == ["f", "f#2", "f#3", "f#4"]
    assert {chunk.head for chunk in chunks} == {"def f()"}
    assert "\n".join(chunk.code for chunk in chunks) == f"def f():\n{body}".rstrip("\n")
    for one, other in pairwise(chunks):
        assert one.last + 1 == other.first


def test_a_file_without_syntax_is_cut_at_blank_lines() -> None:
    paragraph = "a line\n" * 30
    chunks = chunks_of("sql", f"{paragraph}\n{paragraph}")
    assert [(chunk.kind, chunk.first, chunk.last) for chunk in chunks] == [("lines", 1, 31), ("lines", 32, 61)]
    assert [chunk.name for chunk in chunks] == ["", "#2"]
    assert len(chunks_of("txt", "x\n" * WINDOW * 2 * MAX_CHUNKS)) == MAX_CHUNKS


@pytest.mark.parametrize("package", ["tree_sitter", "tree_sitter_rust"])
def test_a_grammar_that_is_not_installed_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser_of.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RuntimeSetupError, match=r"tree_sitter.* is not installed: pip install 'sona-swarm\[code\]'"):
        chunks_of("rs", "fn f() {\n}\n")


@PROPERTY
@given(st.sampled_from(sorted(LANGUAGES)), st.text(max_size=200) | st.just(PYTHON[:150]))
def test_whatever_stands_in_a_file_its_chunks_have_names_of_their_own(extension: str, source: str) -> None:
    chunks = chunks_of(extension, source)
    names = [chunk.name for chunk in chunks]
    assert len(set(names)) == len(names)
    assert all(1 <= chunk.first <= chunk.last <= source.count("\n") + 1 for chunk in chunks)
