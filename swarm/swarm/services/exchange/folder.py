"""An agent in a folder: one file for each format that is asked for, each there as a whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from swarm.errors import InputError, RuntimeSetupError, ShapeError, shown
from swarm.services.atomic_file import atomic_file
from swarm.services.exchange.adapters import adapter_bytes, quantised_bytes
from swarm.services.exchange.card import model_card
from swarm.services.exchange.examples import read_examples
from swarm.services.exchange.figures import config_of, stats_of
from swarm.services.exchange.json_file import json_bytes
from swarm.services.exchange.jsonl import (
    Row,
    distillation_rows,
    pattern_row,
    preference_rows,
    routing_rows,
    write_rows,
)
from swarm.services.exchange.onnx_graph import onnx_bytes
from swarm.services.exchange.peft import CONFIG_FILE, WEIGHTS_FILE, peft_config, peft_weights
from swarm.services.exchange.source import read_portable
from swarm.services.swarm import Swarm
from swarm.sona.lora import LoraPair
from swarm.sona.quantised import QuantisationError, quantisation_error, quantise
from swarm.sona.vectors import Vector, unit_rows
from swarm.wire.agent_file import PortableAgent, write_agent

ALL = "all"
FORMATS = ("agent", "safetensors", "peft", "onnx", "jsonl", "json", "card")
AGENT_FILE = "agent.swarm"
_QUERIES = 256
_NO_ROWS = {
    "patterns": "no patterns",
    "routing": "no routes",
    "preferences": "no failure at a task that another response solved",
    "distillation": "no successes with a response",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written: bytes by file, rows of those that have rows.

    `waiting` outcomes are not in it, because no generation holds them yet. `quantised` says what the bits cost.
    `left_out` says why a format of `all`, or a file of rows, was not written. With `is_identity` no weights of the
    adapter are trained: its files adapt nothing.
    """

    agent: str
    swarm: str
    path: str
    generation: int
    waiting: int
    files: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    quantised: QuantisationError | None = None
    is_identity: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def export_agent_to(
    swarm: Swarm,
    agent: str,
    to: str | Path,
    *,
    formats: Collection[str] = (ALL,),
    bits: int | None = None,
    has_texts: bool = True,
    micro: LoraPair | None = None,
) -> ExportReport:
    """Write an agent into the folder `to`, which is made if it is not there.

    Parameters
    ----------
    formats : of `FORMATS`, or "all"
    bits : 8 or 4 writes the adapter in so many bits, too
    has_texts : False leaves out the texts of tasks and responses, and with them preferences and distillation
    micro : the micro tier of the agent's process (`agent.adapter.micro`): no one else has it. In the adapter's files
        only; the agent's own file holds what is committed.

    Raises
    ------
    InputError
        For an unknown format, bits that are neither 8 nor 4, or a micro tier of another dimension.
    UnknownIdError
        If no such agent is registered.
    RuntimeSetupError
        If a file cannot be written, or a format's package is not installed (of `all` it is left out).
    """
    wanted = _checked(formats)
    folder, portable = Path(to), read_portable(agent, swarm)
    if micro is not None and micro.down.shape[1] != portable.embedder.dim:
        raise ShapeError(f"micro must have shape (r, {portable.embedder.dim}), got {micro.down.shape}")
    export = _Export(swarm, portable if has_texts else portable.without_texts(), folder, micro, has_texts=has_texts)
    quantised = export.quantised(bits) if bits is not None else None
    for name in FORMATS:
        if name in wanted or ALL in wanted:
            try:
                export.write(name)
            except RuntimeSetupError as error:
                if name in wanted or name != "onnx":
                    raise
                export.left_out[name] = str(error)
    return ExportReport(
        agent=agent,
        swarm=portable.swarm,
        path=str(folder),
        generation=portable.generation,
        waiting=swarm.agents.state(agent).pending,
        files=export.files,
        rows=export.rows,
        left_out=export.left_out,
        quantised=quantised,
        is_identity=export.is_identity,
    )


class _Export:
    def __init__(
        self, swarm: Swarm, portable: PortableAgent, folder: Path, micro: LoraPair | None, *, has_texts: bool
    ) -> None:
        self._swarm = swarm
        self._portable = portable
        self._folder = folder
        self._has_texts = has_texts
        self._dim = portable.embedder.dim
        base = () if portable.weights is None else portable.weights.base
        self._named = {f"base.{layer}": pair for layer, pair in enumerate(base)} | (
            {} if micro is None else {"micro": micro}
        )
        self._trained: Sequence[LoraPair] = [pair for pair in self._named.values() if not pair.is_untrained]
        self.files: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.left_out: dict[str, str] = {}

    @property
    def is_identity(self) -> bool:
        """Whether the adapter bends nothing."""
        return not self._trained

    def write(self, name: str) -> None:
        """Write the files of one format."""
        writers: Mapping[str, Callable[[], None]] = {
            "agent": self._agent,
            "safetensors": self._safetensors,
            "peft": self._peft,
            "onnx": self._onnx,
            "jsonl": self._jsonl,
            "json": self._json,
            "card": self._card,
        }
        writers[name]()

    def quantised(self, bits: int) -> QuantisationError:
        """Write the adapter in `bits`; what that costs."""
        pairs, portable = list(self._named.values()), self._portable
        made = quantise(pairs, self._dim, bits=bits)
        data = quantised_bytes(list(self._named), made, portable.agent, str(portable.embedder))
        self._put_bytes(f"adapter-{bits}bit.safetensors", data)
        return quantisation_error(pairs, made, self._queries())

    def _queries(self) -> Vector:
        """Directions that the agent was asked for, else any: to see what an approximation costs."""
        centroids = [cluster.centroid for cluster in self._portable.clusters[:_QUERIES]]
        if centroids:
            return np.array(centroids)
        return unit_rows(np.random.default_rng(0).standard_normal((_QUERIES, self._dim)).astype(np.float32))

    def _agent(self) -> None:
        self._put(AGENT_FILE, lambda file: write_agent(file, self._portable))

    def _safetensors(self) -> None:
        portable = self._portable
        data = adapter_bytes(self._named, portable.agent, str(portable.embedder), self._dim)
        self._put_bytes("adapter.safetensors", data)

    def _peft(self) -> None:
        self._put_bytes(f"peft/{WEIGHTS_FILE}", peft_weights(self._trained, self._dim))
        self._put_bytes(f"peft/{CONFIG_FILE}", peft_config(self._trained, self._dim))

    def _onnx(self) -> None:
        portable = self._portable
        about = f"Adapter of agent {portable.agent}, version {portable.generation}, for vectors of {portable.embedder}."
        self._put_bytes("adapter.onnx", onnx_bytes(self._trained, self._dim, about))

    def _jsonl(self) -> None:
        portable, has_texts = self._portable, self._has_texts
        examples = read_examples(portable, self._swarm)
        threshold = portable.registration.config.quality_threshold
        self._rows("patterns", [pattern_row(cluster, has_texts=has_texts) for cluster in portable.clusters])
        self._rows("routing", routing_rows(examples, has_texts=has_texts))
        if has_texts:
            self._rows("preferences", preference_rows(examples, threshold))
            self._rows("distillation", distillation_rows(examples, threshold))
        else:
            self.left_out |= dict.fromkeys(("preferences", "distillation"), "they are texts")

    def _json(self) -> None:
        for name, values in (("config", config_of(self._portable)), ("stats", stats_of(self._portable, self._swarm))):
            self._put_bytes(f"{name}.json", json_bytes(values))

    def _card(self) -> None:
        stats = stats_of(self._portable, self._swarm)
        text = model_card(self._portable, stats, self.files, has_texts=self._has_texts)
        self._put_bytes("README.md", text.encode())

    def _rows(self, name: str, rows: Sequence[Row]) -> None:
        self.rows[name] = len(rows)
        if not rows:
            # Libraries fail at a file without a row, of which they cannot tell the fields.
            self.left_out[name] = _NO_ROWS[name]
            return
        self._put(f"{name}.jsonl", lambda file: write_rows(file, rows))

    def _put_bytes(self, name: str, data: bytes) -> None:
        self._put(name, lambda file: file.write(data))

    def _put(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        path = self._folder / name
        try:
            # Texts of tasks are for their owner's eyes.
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RuntimeSetupError(f"cannot make the folder {path.parent}: {error.strerror or error}") from error
        with atomic_file(path) as file:
            write(file)
            size = file.seek(0, io.SEEK_END)
        self.files[name] = size


def _checked(formats: Collection[str]) -> frozenset[str]:
    if isinstance(formats, str) or not formats or not all(one in (ALL, *FORMATS) for one in formats):
        raise InputError(f"formats must be of {', '.join((ALL, *FORMATS))}, got {shown(formats)}")
    return frozenset(formats)
