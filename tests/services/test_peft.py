"""The PEFT folder under the real `peft`: the model that it adapts does what the adapter does.

It needs torch, whose packages are large, so it has an environment of its own; `.ci/run` makes one.
"""

from __future__ import annotations

from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from swarm.services.exchange.peft import CONFIG_FILE, MODULE, WEIGHTS_FILE, peft_config, peft_weights
from swarm.sona.adapter import bend
from swarm.sona.lora import LoraPair
from swarm.sona.vectors import Vector, unit_rows

if find_spec("peft") is None or find_spec("torch") is None:
    pytest.skip(
        "peft and torch are tested in an environment of their own: "
        "python3 -m venv .venv-peft && "
        ".venv-peft/bin/pip install -e . torch==2.13.0+cpu peft hypothesis pytest pytest-timeout && "
        ".venv-peft/bin/pytest -o addopts= --import-mode=importlib tests/services/test_peft.py",
        allow_module_level=True,
    )

import torch  # only where it is installed
from peft import PeftModel  # the same

DIM = 24
QUERIES = unit_rows(np.random.default_rng(0).standard_normal((17, DIM)).astype(np.float32))


def some_pairs(*ranks: int) -> list[LoraPair]:
    """Trained pairs, each with a scale of its own."""
    rng = np.random.default_rng(1)
    pairs = [LoraPair.initial(rank, DIM, 1.0 / (row + 1), rng) for row, rank in enumerate(ranks)]
    for pair in pairs:
        pair.up[:] = 0.3 * rng.standard_normal(pair.up.shape)
    return pairs


def through_peft(pairs: list[LoraPair], folder: Path, *, is_merged: bool) -> Vector:
    """The queries through a linear layer that holds the identity, adapted by the folder; of their own length again."""
    (folder / WEIGHTS_FILE).write_bytes(peft_weights(pairs, DIM))
    (folder / CONFIG_FILE).write_bytes(peft_config(pairs, DIM))
    layer = torch.nn.Linear(DIM, DIM, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(DIM))
    model = PeftModel.from_pretrained(torch.nn.Sequential(OrderedDict([(MODULE, layer)])), str(folder))
    adapted = model.merge_and_unload() if is_merged else model
    with torch.no_grad():
        z = adapted(torch.from_numpy(QUERIES.copy())).numpy()
    return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("is_merged", [False, True])
def test_peft_adapts_as_both_tiers_do(tmp_path: Path, is_merged: bool) -> None:
    pairs = some_pairs(8, 8, 2)
    found = through_peft(pairs, tmp_path, is_merged=is_merged)
    assert np.abs(found - bend(QUERIES, pairs)).max() < 1e-5
    # It does something: the test would see an adapter that was not loaded.
    assert np.abs(found - QUERIES).max() > 0.01


def test_peft_loads_an_untrained_adapter_as_the_identity(tmp_path: Path) -> None:
    assert np.abs(through_peft([], tmp_path, is_merged=False) - QUERIES).max() < 1e-6
