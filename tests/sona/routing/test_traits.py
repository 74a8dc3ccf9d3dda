"""Traits: counted in the text, bounded, and told apart where they should be."""

from __future__ import annotations

import numpy as np
import pytest

from swarm.sona.routing.traits import MAX_TRAIT_CHARACTERS, STRUCTURE, TRAITS, task_traits

TEXTS = ("", " ", "a", "\n\n\n", "What is 2 + 2?", "é" * 50, "x" * 100_000, "Read `camelCase` and (f) _ ...", "¿" * 3)


def trait(name: str, text: str, tools: tuple[str, ...] = ()) -> float:
    return float(task_traits(text, tools)[TRAITS.index(name)])


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_has_finite_traits_within_bounds(text: str) -> None:
    found = task_traits(text)
    assert found.shape == (len(TRAITS),)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 4.0


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("length", "Add.", "Add all of these words."),
        ("lines", "one", "one\ntwo\nthree"),
        ("numbers", "add", "add 1 and 22 and 3.5"),
        ("commas", "a b", "a, b, c"),
        ("ands", "a b", "a and b and c"),
        ("questions", "Go.", "Go? When?"),
        ("quotes", "say it", "say 'it'"),
        ("code_signs", "call f", "call f(x[0])"),
        ("camel_case", "get name", "getName"),
        ("names", "visit paris", "visit Paris"),
        ("negations", "which is true", "which is not true"),
        ("reader", "it is here", "are you here"),
        ("begins_as_question", "Tell me how", "How is it"),
        ("begins_as_request", "Add it", "Could it be added"),
        ("following", "which of these", "which of the following"),
        ("gap", "the answer", "the answer is ____"),
        ("word_length", "a of to", "extraordinarily"),
        ("foreign_share", "name", "näme"),
    ],
)
def test_a_trait_grows_with_what_it_counts(name: str, less: str, more: str) -> None:
    assert trait(name, less) < trait(name, more)


def test_a_tool_whose_name_fits_the_task_is_told_from_one_that_does_not() -> None:
    text = "Calculate the area of a triangle."
    assert trait("best_tool_match", text, ("triangleArea.calculate",)) > trait("best_tool_match", text, ("body_mass",))
    assert trait("best_tool_match", text, ("body_mass", "triangle_area")) > trait(
        "mean_tool_match", text, ("body_mass", "triangle_area")
    )
    assert trait("tools", text) < trait("tools", text, ("a",)) < trait("tools", text, ("a", "b"))


def test_a_long_text_is_cut_but_its_length_counts_whole() -> None:
    shorter, longer = "a b " * MAX_TRAIT_CHARACTERS, "a b " * (2 * MAX_TRAIT_CHARACTERS)
    assert trait("ands", shorter) == trait("ands", longer)
    assert trait("length", "a" * 300) < trait("length", "a" * 3000)


def test_the_names_are_unique_and_the_structure_is_among_them() -> None:
    assert len(set(TRAITS)) == len(TRAITS)
    assert len(STRUCTURE) == 20
    assert set(STRUCTURE) < set(TRAITS)
