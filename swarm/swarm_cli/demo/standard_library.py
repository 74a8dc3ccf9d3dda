"""Requests that every machine has: the documentation of Python's standard library.

A request is the first paragraph of an object's docstring without its signature lines; the right answer is the
top-level module that offers the object. What counts, in this order:

1. Every public module of `sys.stdlib_module_names` and its public submodules, except `SKIPPED`. A module that
   does not import on this machine is skipped.
2. Their public functions and classes, and the public methods and properties of these classes, if they are
   defined in that top-level module. Its private accelerator counts as the module (`_socket` as `socket`), and
   what implements `os` counts as `os` (`IMPLEMENTS`).
3. Texts of at least `MIN_CHARS`; a text that two modules share has no right answer and is dropped.
4. Modules with at least `MIN_REQUESTS` such texts; one with more than `MAX_REQUESTS` is thinned evenly, so that
   no module dominates.

The result depends on the Python version and the platform, and on nothing else.
"""

from __future__ import annotations

import importlib
import inspect
import io
import pkgutil
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from types import ModuleType

from swarm_cli.demo.request import Request

MIN_CHARS = 20
MIN_REQUESTS = 15
MAX_REQUESTS = 200

# They act when imported: print, open a browser, set up the terminal.
_ACTING = {"antigravity", "this", "readline", "rlcompleter"}
# Not installed everywhere; with 630 one-line wrappers Tk would also be an eighth of all requests.
_TK = {"tkinter", "turtle", "turtledemo", "idlelib"}
# No documentation of their own: tests, codec tables, help texts.
_UNDOCUMENTED = {"test", "encodings", "pydoc_data"}
# Most of them left in Python 3.12 and 3.13.
_DEPRECATED = {
    "aifc", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr", "imp",
    "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr", "spwd", "sre_compile",
    "sre_constants", "sre_parse", "sunau", "telnetlib", "uu", "xdrlib",
}  # fmt: skip  # one a line would hide the rest of the file
SKIPPED = frozenset(_ACTING | _TK | _UNDOCUMENTED | _DEPRECATED)
SKIPPED_SUBMODULES = frozenset({"test", "tests", "macholib"})
IMPLEMENTS = {
    "genericpath": "os",
    "nt": "os",
    "ntpath": "os",
    "posix": "os",
    "posixpath": "os",
    "pyexpat": "xml",
}

_SIGNATURE_LINE = re.compile(r"[\w.\[\]]+\(.*\)\s*((->|-->|=|:).*)?")


def standard_library_requests() -> tuple[Request, ...]:
    """All requests, sorted by module and then by where the text was found first."""
    labels_of: dict[str, set[str]] = {}
    # Deprecated members warn when they are looked at, not only when they are imported.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for label, text in _documented_texts():
            labels_of.setdefault(text, set()).add(label)
    texts_of: dict[str, list[str]] = defaultdict(list)
    for text, labels in labels_of.items():
        if len(labels) == 1:
            texts_of[min(labels)].append(text)
    return tuple(
        Request(text=text, label=label)
        for label, texts in sorted(texts_of.items())
        if len(texts) >= MIN_REQUESTS
        for text in _thinned(texts)
    )


def first_paragraph(doc: str, name: str) -> str:
    """First paragraph of a docstring on one line, without lines that only repeat the signature of `name`.

    >>> first_paragraph("S.find(sub[, start]) -> int\\n\\nReturn the lowest\\nindex.\\n\\nMore.", "find")
    'Return the lowest index.'
    """
    own_signature = re.compile(rf"[\w.]*\b{re.escape(name)}\(")
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(doc)):
        lines = (line.strip() for line in paragraph.splitlines())
        kept = [line for line in lines if not _SIGNATURE_LINE.fullmatch(line) and not own_signature.match(line)]
        if text := " ".join(" ".join(kept).split()):
            return text
    return ""


def _documented_texts() -> Iterator[tuple[str, str]]:
    """(label, text) of every documented public object, in a fixed order."""
    for top_level in sorted(sys.stdlib_module_names - SKIPPED):
        if top_level.startswith("_"):
            continue
        label = IMPLEMENTS.get(top_level, top_level)
        for module in _public_modules(top_level):
            for name, member in _public_objects(module, label):
                doc = getattr(member, "__doc__", None)
                text = first_paragraph(doc, name) if isinstance(doc, str) else ""
                if len(text) >= MIN_CHARS:
                    yield label, text


def _public_modules(name: str) -> Iterator[ModuleType]:
    """The module `name` and its public submodules, those left out that do not import here."""
    try:
        module = importlib.import_module(name)
    except Exception:  # whatever keeps a module of another platform from loading: it is not on this machine
        return
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not found.name.startswith("_") and found.name not in SKIPPED_SUBMODULES:
            yield from _public_modules(f"{name}.{found.name}")


def _public_objects(module: ModuleType, label: str) -> Iterator[tuple[str, object]]:
    """(name, object) of the functions, classes and members of classes that `label` itself defines."""
    for name, found in _public(module):
        if not (inspect.isroutine(found) or inspect.isclass(found)) or _defined_in(found, label) != label:
            continue
        yield name, found
        for member_name, member in _public(found) if inspect.isclass(found) else ():
            is_documented = inspect.isroutine(member) or inspect.isclass(member) or inspect.isdatadescriptor(member)
            if is_documented and _defined_in(member, label) == label:
                yield member_name, member


def _public(owner: object) -> list[tuple[str, object]]:
    return sorted((name, value) for name, value in vars(owner).items() if not name.startswith("_"))


def _defined_in(found: object, label: str) -> str:
    """Top-level module that defines `found`; `label` where it does not say."""
    module = getattr(found, "__module__", None)
    if not isinstance(module, str):
        return label
    top_level = module.partition(".")[0].lstrip("_")
    return IMPLEMENTS.get(top_level, top_level)


def _thinned(texts: list[str]) -> list[str]:
    if len(texts) <= MAX_REQUESTS:
        return texts
    return [texts[position * len(texts) // MAX_REQUESTS] for position in range(MAX_REQUESTS)]
