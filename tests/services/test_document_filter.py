"""Filters of documents."""

from __future__ import annotations

from typing import Any

import pytest

from swarm.errors import InputError
from swarm.services.document_filter import check_filter, meets

NOTE = {"n": 3, "text": "b", "at": "2026-11-30", "sub": {"a": 1, "b": 2}, "tags": ["x", {"y": 1}], "none": None}


@pytest.mark.parametrize(
    ("conditions", "is_met"),
    [
        ({}, True),
        ({"n": 3}, True),
        ({"n": 3, "text": "c"}, False),
        ({"n": {"$gt": 2, "$lt": 4}}, True),
        ({"n": {"$gte": 3, "$lte": 3}}, True),
        ({"n": {"$gt": 3}}, False),
        ({"n": {"$gt": "2"}}, True),
        ({"n": {"$eq": 3}}, True),
        ({"n": {"$ne": 3}}, False),
        ({"missing": {"$ne": 3}}, True),
        ({"missing": {"$lt": 3}}, False),
        ({"missing": None}, True),
        ({"text": {"$gt": "a"}}, True),
        ({"text": {"$gt": 1}}, False),
        ({"at": {"$gte": "2026-11-01"}}, True),
        ({"sub": {"a": 1}}, True),
        ({"sub": {"a": {"$gt": 1}}}, False),
        ({"sub": {"c": 1}}, False),
        ({"n": {"a": 1}}, False),
        ({"tags": ["x", {"y": 1}]}, True),
        ({"tags": ["x"]}, False),
        ({"tags": ["x", {"y": {"$gt": 1}}]}, False),
        ({"none": None}, True),
    ],
)
def test_a_value_meets_conditions(conditions: dict[str, Any], is_met: bool) -> None:
    assert meets(NOTE, check_filter(conditions)) is is_met


@pytest.mark.parametrize("value", [None, 3, "text", [1]])
def test_what_has_no_fields_meets_nothing(value: object) -> None:
    assert not meets(value, {"n": 3})


@pytest.mark.parametrize(
    "conditions", [["n"], {1: 2}, {"n": {"$in": [1]}}, {"n": {"$gt": 1, "a": 2}}, {"n": [{"$regex": "a"}]}]
)
def test_conditions_that_cannot_be_read_are_refused(conditions: Any) -> None:
    with pytest.raises(InputError, match="filter"):
        check_filter(conditions)
