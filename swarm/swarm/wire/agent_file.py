"""An agent to be taken elsewhere, and its file: a backup (see `backup_format`) that holds the keys of one agent alone.

    head, with the agent    meta: embedder    agents: registration    state: counts    clusters    whole records by name

Every part has a checksum, and so has the whole. A reader checks all of it, and every value, before anybody uses any.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import IO

import numpy as np

from swarm.embed.identity import EmbedderIdentity
from swarm.errors import DamagedRecordError, InputError, ShapeError
from swarm.sona.adapter import Adapter
from swarm.sona.clusters import Cluster
from swarm.sona.export import AgentExport, check_export
from swarm.sona.vectors import check_count
from swarm.wire.backup_format import BackupWriter, Chunk, Head, chunks, verify
from swarm.wire.codec import encode
from swarm.wire.memory_records import decode_learner, decode_sample, encode_learner
from swarm.wire.records import (
    Registration,
    Weights,
    decode_cluster,
    decode_registration,
    decode_weights,
    encode_cluster,
    encode_registration,
    guarded,
)
from swarm.wire.route_records import decode_statistics

RECORDS = ("weights", "learner", "sample", "routes")
_COUNTS = ("generation", "age", "outcomes", "silenced")
_MOST = 2**53
_CLUSTERS_AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PortableAgent:
    """What is stored of one agent at one generation.

    `outcomes` it has learned from; `age` is how many consolidations that took; `is_silenced` while an operator kept it
    in quarantine. `values` are whole records by name, as a generation stores them; one that was never written is not
    here. `at_s` is when it was read, by the clock of its Redis.
    """

    agent: str
    swarm: str
    schema: int
    at_s: float
    registration: Registration
    embedder: EmbedderIdentity
    generation: int
    age: int
    outcomes: int
    is_silenced: bool
    clusters: tuple[Cluster, ...]
    values: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def weights(self) -> Weights | None:
        """The base tier with its EWC memory, None before its first promotion."""
        return decode_weights(self.values["weights"]) if "weights" in self.values else None

    def trajectories(self) -> frozenset[str]:
        """The trajectories that it names: those of its examples and of its sample."""
        examples = {example.trajectory_id for cluster in self.clusters for example in cluster.exemplars}
        sample = decode_sample(self.values["sample"]).ids if "sample" in self.values else ()
        return frozenset(examples.union(sample))

    def without_texts(self) -> PortableAgent:
        """The same without the texts of tasks and responses, and without labels, which are words of the tasks."""
        return replace(self, clusters=tuple(map(_without_texts, self.clusters)))

    def renamed(self, name: str) -> PortableAgent:
        """The same under another name, also in the tags of its clusters."""
        return replace(self, agent=name, clusters=tuple(_tagged(cluster, name) for cluster in self.clusters))

    def on_probation(self) -> PortableAgent:
        """The same, but what its reports had earned is forgotten: the new swarm judges for itself."""
        if "learner" not in self.values:
            return self
        record = decode_learner(self.values["learner"])
        fresh = replace(record, standing=type(record.standing)())
        return replace(self, values={**self.values, "learner": encode_learner(fresh)})


def write_agent(file: IO[bytes], portable: PortableAgent) -> int:
    """Write an agent into an open binary file; how many bytes."""
    head = Head(swarm=portable.swarm, schema=portable.schema, at_s=portable.at_s, agent=portable.agent)
    writer = BackupWriter(file, head)
    embedder, registration = encode("embedder", asdict(portable.embedder)), encode_registration(portable.registration)
    writer.put(_hash("", b"meta", [b"embedder", embedder]))
    writer.put(_hash("", b"agents", [portable.agent.encode(), registration]))
    numbers = {name: int(getattr(portable, name)) for name in ("generation", "age", "outcomes")}
    numbers["silenced"] = int(portable.is_silenced)
    counts = [part for name in _COUNTS for part in (name.encode(), str(numbers[name]).encode())]
    writer.put(_hash(portable.agent, b"state", counts))
    rows = ([cluster.id.encode(), encode_cluster(cluster)] for cluster in portable.clusters)
    for page in _pages(rows, _CLUSTERS_AT_ONCE):
        writer.put(_hash(portable.agent, b"clusters", list(itertools.chain.from_iterable(page))))
    for name, record in sorted(portable.values.items()):
        writer.put(Chunk(agent=portable.agent, name=name.encode(), type="string", items=(record,)))
    writer.end()
    return writer.size_bytes


def read_agent(file: IO[bytes]) -> PortableAgent:
    """The agent of a file, all of it checked.

    Raises
    ------
    DamagedRecordError, NewerRecordError
        If the file is cut, damaged, none, or newer than this program.
    InputError
        If it holds a whole swarm, or values that do not fit together.
    """
    head = verify(file).head
    if not head.agent:
        raise InputError(f"this file holds the swarm {head.swarm} whole: swarm restore reads it")
    file.seek(0)
    hashes: dict[bytes, dict[bytes, bytes]] = {name: {} for name in (b"meta", b"agents", b"state", b"clusters")}
    values: dict[str, bytes] = {}
    for chunk in chunks(file):
        name = chunk.name.decode("utf-8", "replace")
        if chunk.type == "hash" and chunk.name in hashes:
            hashes[chunk.name] |= dict(zip(chunk.items[::2], chunk.items[1::2], strict=True))
        elif chunk.type == "string" and name in RECORDS and len(chunk.items) == 1:
            values[name] = chunk.items[0]
        else:
            raise DamagedRecordError(f"agent file: there is no {chunk.type} {name!r:.40} in one")
    try:
        return check_portable(_portable(head, hashes, values))
    except KeyError as error:
        raise DamagedRecordError(f"agent file: it has no {error!s:.60}") from error


def check_portable(portable: PortableAgent) -> PortableAgent:
    """The agent, if its parts are within their bounds and of one dimension.

    Raises
    ------
    RecordError, InputError
        If they are not.
    """
    dim = portable.embedder.dim
    config = portable.registration.config
    if config.dim != dim:
        raise ShapeError(f"config.dim must be {dim}, the dimension of {portable.embedder}, got {config.dim}")
    untrained = Adapter.initial(config, np.random.default_rng(config.seed))
    check_export(
        AgentExport(
            agent=portable.agent,
            generation=portable.generation,
            dim=dim,
            clusters=portable.clusters,
            base=untrained.base if portable.weights is None else portable.weights.base,
            micro=untrained.micro,
        )
    )
    if "sample" in portable.values:
        sample = decode_sample(portable.values["sample"])
        if len(sample) and sample.embeddings.shape[1] != dim:
            raise ShapeError(f"the sample must have {dim} numbers a row, got {sample.embeddings.shape[1]}")
    if "learner" in portable.values:
        task = decode_learner(portable.values["learner"]).task
        if len(task.total) != dim:
            raise ShapeError(f"the task's sums must have {dim} numbers, got {len(task.total)}")
    if "routes" in portable.values:
        decode_statistics(portable.values["routes"])
    return portable


def _portable(head: Head, hashes: Mapping[bytes, Mapping[bytes, bytes]], values: Mapping[str, bytes]) -> PortableAgent:
    counts = {name: _count(hashes[b"state"], name) for name in _COUNTS}
    return PortableAgent(
        agent=head.agent,
        swarm=head.swarm,
        schema=head.schema,
        at_s=head.at_s,
        registration=decode_registration(hashes[b"agents"][head.agent.encode()]),
        embedder=guarded("embedder", hashes[b"meta"][b"embedder"], lambda payload: EmbedderIdentity(**payload)),
        generation=counts["generation"],
        age=counts["age"],
        outcomes=counts["outcomes"],
        is_silenced=bool(counts["silenced"]),
        clusters=tuple(decode_cluster(record) for _, record in sorted(hashes[b"clusters"].items())),
        values=values,
    )


def _count(state: Mapping[bytes, bytes], name: str) -> int:
    text = state[name.encode()]
    if not text.isdigit() or len(text) > 16:
        raise DamagedRecordError(f"agent file: {name} must be a whole number, got {text!r:.40}")
    return check_count(int(text), name, 0, _MOST)


def _hash(agent: str, name: bytes, items: list[bytes]) -> Chunk:
    return Chunk(agent=agent, name=name, type="hash", items=tuple(items))


def _pages(rows: Iterable[list[bytes]], size: int) -> Iterable[list[list[bytes]]]:
    remaining = iter(rows)
    while page := list(itertools.islice(remaining, size)):
        yield page


def _without_texts(cluster: Cluster) -> Cluster:
    examples = tuple(replace(example, text="") for example in cluster.exemplars)
    return replace(cluster, response="", label="", exemplars=examples)


def _tagged(cluster: Cluster, name: str) -> Cluster:
    examples = tuple(replace(example, agent=name) for example in cluster.exemplars)
    # It is of one agent alone, as `check_portable` has made sure.
    [tally] = cluster.agents.values()
    return replace(cluster, agents={name: tally}, exemplars=examples)
