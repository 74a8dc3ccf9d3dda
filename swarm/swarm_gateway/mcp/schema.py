"""JSON schemas of the tools, as small as they can be: what a model reads of them, it pays for in every turn."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_MEMBERS = ("properties", "$defs")
"""Keys whose value maps names to schemas: there, `title` is a name like any other."""


def lean_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model, without titles, references and the null of what may be left out.

    Whoever sends null for a value that may be left out is understood all the same.
    """
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    lean = _lean(schema, definitions)
    assert isinstance(lean, dict)
    lean.pop("description", None)  # the model's docstring is for people who read this code
    return lean


def _lean(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_lean(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        referred = dict(definitions[node["$ref"].rpartition("/")[2]])
        referred.pop("description", None)
        return _lean(referred | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    if (chosen := _not_null(node)) is not None:
        rest = {key: value for key, value in node.items() if key not in ("anyOf", "default")}
        return _lean(chosen | rest, definitions)
    lean: dict[str, Any] = {}
    for key, value in node.items():
        if key in _MEMBERS:
            lean[key] = {name: _lean(member, definitions) for name, member in value.items()}
        elif key != "title" and not (key == "default" and not value):  # false, 0 and "" go without saying
            lean[key] = _lean(value, definitions)
    return lean


def _not_null(node: dict[str, Any]) -> dict[str, Any] | None:
    """The other of two choices, if one of them is null, for what may be left out."""
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    may_be_left_out = "default" in node and node["default"] is None
    return choices[0] if may_be_left_out and len(choices) == 1 else None
