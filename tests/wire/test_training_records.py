"""How far a file has been learned, as bytes and back."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from swarm.errors import DamagedRecordError
from swarm.wire.codec import encode
from swarm.wire.training_records import FileProgress, decode_progress, encode_progress

PROGRESS = FileProgress(
    begun_s=1.5e9,
    options={"epochs": 3.0, "min_quality": 0.1},
    lines=7,
    offset=2**40,
    trained=5,
    rejected=2,
    rejected_bytes=300,
    left_out={"attention": 7},
    before={"mrr": 0.25},
    is_done=True,
)


def test_a_progress_comes_back_as_it_was() -> None:
    for progress in (PROGRESS, FileProgress(begun_s=0.0), replace(PROGRESS, is_done=False, after={"mrr": 1.0})):
        assert decode_progress(encode_progress(progress)) == progress


@pytest.mark.parametrize(
    "change",
    [
        {"lines": -1},
        {"lines": 1.5},
        {"offset": None},
        {"begun_s": float("nan")},
        {"left_out": {"a": "b"}},
        {"left_out": 5},
        {"before": {"mrr": float("inf")}},
    ],
)
def test_what_no_progress_can_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DamagedRecordError):
        decode_progress(encode("training", asdict(PROGRESS) | change))
