"""Adapters as safetensors: both tiers as float32, or in 8 or 4 bits; read back by us, or by whatever reads the format.

Keys are base.LAYER.down, base.LAYER.up, micro.down, micro.up: A and B^T of shape (r, d). With bits each is in two
parts, NAME.codes (uint8) and NAME.scales. The metadata name the embedder, whose vectors alone the weights fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from swarm.errors import DamagedRecordError, RuntimeSetupError
from swarm.sona.lora import LoraPair
from swarm.sona.quantised import QuantisedAdapter, QuantisedMatrix, QuantisedPair
from swarm.sona.vectors import check_count, check_number

FORMAT = "sona-swarm adapter 1"
_MAX_SCALE = 1e6
Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAdapter:
    """An adapter with the embedder that its weights fit. `bits` is 32 for float32."""

    agent: str
    embedder: str
    dim: int
    bits: int
    adapter: tuple[LoraPair, ...] | QuantisedAdapter


def adapter_bytes(pairs: Mapping[str, LoraPair], agent: str, embedder: str, dim: int) -> bytes:
    """Pairs by name (base.0, ..., micro) as a safetensors file."""
    arrays = {f"{name}.{part}": getattr(pair, part) for name, pair in pairs.items() for part in ("down", "up")}
    scales = {name: pair.scale for name, pair in pairs.items()}
    return _saved(arrays, agent, embedder, {"dim": dim, "bits": 32, "scales": scales})


def quantised_bytes(names: list[str], quantised: QuantisedAdapter, agent: str, embedder: str) -> bytes:
    """A quantised adapter, its pairs by name, as a safetensors file."""
    arrays: Arrays = {}
    for name, pair in zip(names, quantised.pairs, strict=True):
        for part, matrix in (("down", pair.down), ("up", pair.up)):
            arrays[f"{name}.{part}.codes"], arrays[f"{name}.{part}.scales"] = matrix.codes, matrix.scales
    first = quantised.pairs[0].down if quantised.pairs else None
    about = {"dim": quantised.dim, "bits": quantised.bits, "group": first.group if first else 1}
    scales = {name: pair.scale for name, pair in zip(names, quantised.pairs, strict=True)}
    return _saved(arrays, agent, embedder, {**about, "scales": scales})


def read_adapter(path: Path) -> SavedAdapter:
    """The adapter of a file that one of the two above made.

    Raises
    ------
    RuntimeSetupError
        If it cannot be read.
    DamagedRecordError
        If it is cut, damaged or something else.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        if metadata.get("format") != FORMAT:
            raise DamagedRecordError(
                f"{path.name}: its format is {metadata.get('format', 'none')!r:.40}, not {FORMAT!r}"
            )
        about = json.loads(metadata["about"])
        dim = check_count(about["dim"], "dim", 1, 65_536)
        scales = {
            name: check_number(scale, "scale", -_MAX_SCALE, _MAX_SCALE) for name, scale in about["scales"].items()
        }
        pairs = _quantised(about, dim, scales, arrays) if about["bits"] != 32 else _pairs(scales, arrays)
    except OSError as error:
        raise RuntimeSetupError(f"cannot read the adapter {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRecordError(f"{path.name}: no adapter ({type(error).__name__}: {error!s:.100})") from error
    return SavedAdapter(
        agent=metadata.get("agent", ""),
        embedder=metadata.get("embedder", ""),
        dim=dim,
        bits=about["bits"],
        adapter=pairs,
    )


def _pairs(scales: Mapping[str, float], arrays: Arrays) -> tuple[LoraPair, ...]:
    pairs = [LoraPair(arrays[f"{name}.down"], arrays[f"{name}.up"], scale) for name, scale in scales.items()]
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("a weight is not finite")
    return tuple(pairs)


def _quantised(about: Mapping[str, Any], dim: int, scales: Mapping[str, float], arrays: Arrays) -> QuantisedAdapter:
    def matrix(name: str) -> QuantisedMatrix:
        codes, factors = arrays[f"{name}.codes"], arrays[f"{name}.scales"]
        return QuantisedMatrix(bits=about["bits"], dim=dim, group=about["group"], codes=codes, scales=factors)

    pairs = [
        QuantisedPair(down=matrix(f"{name}.down"), up=matrix(f"{name}.up"), scale=scale)
        for name, scale in scales.items()
    ]
    return QuantisedAdapter(pairs, dim, about["bits"])


def _saved(arrays: Arrays, agent: str, embedder: str, about: Mapping[str, Any]) -> bytes:
    metadata = {"format": FORMAT, "agent": agent, "embedder": embedder, "about": json.dumps(about)}
    return bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata))
