"""Languages whose syntax is known: which files are theirs, their grammar, and which nodes are functions and classes."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from swarm.errors import RuntimeSetupError

if TYPE_CHECKING:
    from tree_sitter import Parser

REMEDY = "pip install 'sona-swarm[code]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language by its grammar's package, and the node types that become chunks.

    `values` are what makes a function of the name that it is assigned to (`const f = () => ...`).
    """

    name: str
    package: str
    grammar: str = "language"
    functions: frozenset[str]
    classes: frozenset[str]
    values: frozenset[str] = frozenset()


_JS_FUNCTIONS = frozenset(
    {"function_declaration", "generator_function_declaration", "method_definition", "function_signature"}
)
_JS_VALUES = frozenset({"arrow_function", "function_expression", "function", "generator_function"})
_TS_CLASSES = frozenset(
    {
        *("class_declaration", "abstract_class_declaration", "interface_declaration", "enum_declaration"),
        *("type_alias_declaration", "internal_module"),
    }
)
_C_CLASSES = frozenset({"struct_specifier", "union_specifier", "enum_specifier"})

_PYTHON = Language(
    name="python",
    package="tree_sitter_python",
    functions=frozenset({"function_definition"}),
    classes=frozenset({"class_definition"}),
)
_JAVASCRIPT = Language(
    name="javascript",
    package="tree_sitter_javascript",
    functions=_JS_FUNCTIONS,
    classes=frozenset({"class_declaration"}),
    values=_JS_VALUES,
)
_TYPESCRIPT = Language(
    name="typescript",
    package="tree_sitter_typescript",
    grammar="language_typescript",
    functions=_JS_FUNCTIONS,
    classes=_TS_CLASSES,
    values=_JS_VALUES,
)
_TSX = Language(
    name="tsx",
    package="tree_sitter_typescript",
    grammar="language_tsx",
    functions=_JS_FUNCTIONS,
    classes=_TS_CLASSES,
    values=_JS_VALUES,
)
_RUST = Language(
    name="rust",
    package="tree_sitter_rust",
    functions=frozenset({"function_item", "function_signature_item", "macro_definition"}),
    classes=frozenset({"struct_item", "enum_item", "trait_item", "impl_item", "mod_item", "union_item"}),
)
_GO = Language(
    name="go",
    package="tree_sitter_go",
    functions=frozenset({"function_declaration", "method_declaration"}),
    classes=frozenset({"type_spec"}),
)
_JAVA = Language(
    name="java",
    package="tree_sitter_java",
    functions=frozenset({"method_declaration", "constructor_declaration"}),
    classes=frozenset({"class_declaration", "interface_declaration", "enum_declaration", "record_declaration"}),
)
_C = Language(
    name="c",
    package="tree_sitter_c",
    functions=frozenset({"function_definition"}),
    classes=_C_CLASSES,
)
_CPP = Language(
    name="cpp",
    package="tree_sitter_cpp",
    functions=frozenset({"function_definition"}),
    classes=_C_CLASSES | {"class_specifier", "namespace_definition"},
)
_RUBY = Language(
    name="ruby",
    package="tree_sitter_ruby",
    functions=frozenset({"method", "singleton_method"}),
    classes=frozenset({"class", "module"}),
)

LANGUAGES = {
    **dict.fromkeys(("py", "pyi"), _PYTHON),
    **dict.fromkeys(("js", "jsx", "mjs", "cjs"), _JAVASCRIPT),
    **dict.fromkeys(("ts", "mts", "cts"), _TYPESCRIPT),
    "tsx": _TSX,
    "rs": _RUST,
    "go": _GO,
    "java": _JAVA,
    **dict.fromkeys(("c", "h"), _C),
    **dict.fromkeys(("cpp", "cc", "cxx", "hpp", "hh", "hxx"), _CPP),
    "rb": _RUBY,
}
"""Extension without its dot -> language. Files of other extensions are cut into windows of lines."""


@cache
def parser_of(language: Language) -> Parser:
    """The parser of a language, made once per process.

    Raises
    ------
    RuntimeSetupError
        If its grammar is not installed; the message names the extra.
    """
    try:
        import tree_sitter

        grammar = importlib.import_module(language.package)
    except ImportError as error:
        raise RuntimeSetupError(f"the package {error.name} is not installed: {REMEDY}") from error
    return tree_sitter.Parser(tree_sitter.Language(getattr(grammar, language.grammar)()))
