"""Agents from files into a swarm: everything of all files is checked before anything is written.

The agent's first version in the new swarm holds what the file holds, and is merged at once, by this process: a swarm
that nobody works for yet can be asked when the import is done.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from swarm.embed.identity import require_same
from swarm.errors import InputError, NewerRecordError, RuntimeSetupError, StaleWriterError
from swarm.services.background import Background
from swarm.services.exchange.folder import AGENT_FILE
from swarm.services.lineage import IMPORT
from swarm.services.redacted import redaction_of
from swarm.services.swarm import Swarm
from swarm.services.turn import turn_at
from swarm.store.agents import AgentState
from swarm.store.commit import Commit, Committer
from swarm.store.connection import redis_errors
from swarm.store.meta import bound_embedder
from swarm.store.reply import to_hash, to_text
from swarm.store.tombstones import TombstoneStore
from swarm.store.versions import VersionStore, encode_spans
from swarm.wire.agent_file import PortableAgent, read_agent
from swarm.wire.agent_policy import NO_POLICY
from swarm.wire.codec import encode
from swarm.wire.keys import check_name
from swarm.wire.records import check_weights_fit, encode_cluster
from swarm.wire.retention_records import Tombstone
from swarm.wire.schema import SCHEMA

_WHO = "import"
_BEFORE_ALL = "0-1"
"""No outcome has this place in a stream, or one before it: they are milliseconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentImport:
    """What came of it: `agent` is agent `source` of swarm `swarm` as it was at its version `source_generation`."""

    agent: str
    source: str
    swarm: str
    source_generation: int
    generation: int
    clusters: int
    outcomes: int
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def import_agents(
    swarm: Swarm, path: str | Path, name: str | None = None, *, is_on_probation: bool = False
) -> list[AgentImport]:
    """Take the agents of a file, of a folder, or of the folders in a folder, into this swarm.

    Parameters
    ----------
    name : of the agent here, by default the one it had; only for a single agent
    is_on_probation : begin to judge the agent anew, whatever its reports had earned where it comes from

    Raises
    ------
    RuntimeSetupError
        If there is no file, or it cannot be read.
    DamagedRecordError, NewerRecordError
        If one is cut, damaged, none, or newer than this program. Nothing was written, as for all below.
    EmbedderMismatchError
        If its vectors are of another embedder than the swarm's.
    InputError
        If the swarm has such an agent already, or holds what is in it under another name, or has forgotten
        something of it.
    StaleWriterError
        If others hold the lease of the merge for too long: what was written is merged when it is tried again.
    """
    files = agent_files(Path(path))
    if name is not None and len(files) > 1:
        raise InputError(f"name goes with one agent, {path} holds {len(files)}")
    found = [_read(file) for file in files]
    renamed = [one if name is None else one.renamed(check_name(name, "name")) for one in found]
    for portable, source in zip(renamed, found, strict=True):
        _check(portable, source.agent, swarm)
    if len({one.agent for one in renamed}) < len(renamed):
        raise InputError(f"{path} holds two agents of one name: import them one by one, with a name each")
    _check_one_another(renamed)
    chosen = [one.on_probation() if is_on_probation else one for one in renamed]
    done = [_commit(portable, source.agent, swarm) for portable, source in zip(chosen, found, strict=True)]
    Background(swarm.settings, swarm.client).publish(_WHO)
    return done


def agent_files(path: Path) -> list[Path]:
    """The agents' files of a folder, or of the folders in it; a file itself."""
    if path.is_dir():
        files = [path / AGENT_FILE] if (path / AGENT_FILE).is_file() else sorted(path.glob(f"*/{AGENT_FILE}"))
        if not files:
            raise RuntimeSetupError(f"{path} holds no {AGENT_FILE}: swarm export writes one")
        return files
    if path.exists() and not path.is_file():
        raise RuntimeSetupError(f"cannot read {path}: it must be a file or a folder")  # a FIFO would be waited for
    return [path]


def _read(path: Path) -> PortableAgent:
    try:
        with path.open("rb") as file:
            portable = read_agent(file)
    except OSError as error:
        raise RuntimeSetupError(f"cannot read {path}: {error.strerror or error}") from error
    if portable.schema > SCHEMA:
        raise NewerRecordError(
            f"{path.name}: its swarm has schema {portable.schema}, this program knows schemas up to {SCHEMA}: "
            "upgrade it"
        )
    return portable


def _check(portable: PortableAgent, source: str, swarm: Swarm) -> None:
    """Refuse what must not come in; nothing is written here."""
    require_same(bound_embedder(swarm.client, swarm.keys) or swarm.embedder.identity, portable.embedder)
    check_weights_fit(portable.registration.config)
    _check_texts(portable, swarm)
    if _imported(portable, source, swarm) is not None:
        # By an import of several that was interrupted: the rest of them follows.
        return
    if swarm.agents.registration(portable.agent) is not None and not _is_new(swarm.agents.state(portable.agent)):
        raise InputError(_occupied(portable, swarm))
    stones = TombstoneStore(swarm.client, swarm.keys).all()
    _check_forgotten(portable, source, [stone for stone in stones if stone.at_s >= portable.at_s], swarm)
    _check_double(portable, swarm)


def _occupied(portable: PortableAgent, swarm: Swarm) -> str:
    """Why an agent that has learned here is left alone, and what can be done instead."""
    agent = portable.agent
    if _held(portable, agent, swarm):
        # Another name would make it its own double.
        return (
            f"agent {agent} of the file is in this swarm already, and has learned on: --swarm NAME imports it into "
            f"another one; after swarm forget --agent {agent} a file that is written later comes in"
        )
    return f"agent {agent} has learned in this swarm already: --as NAME imports the file's under another name"


def _check_texts(portable: PortableAgent, swarm: Swarm) -> None:
    """Refuse texts that hold what this swarm has taken out of the agent's."""
    known = swarm.agents.registration(portable.agent)
    redaction = redaction_of(known.policy if known else NO_POLICY)
    for cluster in portable.clusters if redaction else ():
        texts = (cluster.response, cluster.label, cluster.action, *(example.text for example in cluster.exemplars))
        if any(redaction.text(text) != text for text in texts):
            raise InputError(
                f"agent {portable.agent}: texts of the file hold what its redaction here takes out "
                f"({', '.join(redaction.names)}): swarm export --no-text leaves them out"
            )


def _is_new(state: AgentState) -> bool:
    """Whether an agent has nothing that it learned here: it never did, or was forgotten since."""
    return state.age == 0 and state.accepted == 0


def _imported(portable: PortableAgent, source: str, swarm: Swarm) -> int | None:
    """The version that holds this very file already, if the agent has learned nothing since."""
    if swarm.agents.registration(portable.agent) is None:
        return None
    log = VersionStore(swarm.client, swarm.keys).log(portable.agent)
    is_it = bool(log) and log[-1].kind == IMPORT and log[-1].figures == _figures(portable, source)
    return log[-1].generation if is_it else None


def _check_forgotten(portable: PortableAgent, source: str, stones: Sequence[Tombstone], swarm: Swarm) -> None:
    """Refuse a file older than a forgetting that concerns it: what was forgotten does not come back."""
    trajectories, actions = portable.trajectories(), {cluster.action for cluster in portable.clusters}
    patterns = {cluster.id for cluster in portable.clusters}
    is_ours = portable.swarm == swarm.keys.swarm
    gone = _forgotten_actions([source, portable.agent, *swarm.agents.names()], portable.at_s, swarm)
    for stone in stones:
        is_of_it = (
            (stone.kind == "agent" and stone.id in (source, portable.agent))
            # A sum does not say which outcomes are in it: of its own agent, or of this swarm, any could be.
            or (
                stone.kind == "trajectory"
                and (stone.id in trajectories or stone.agent == source or (not stone.agent and is_ours))
            )
            or (stone.kind == "pattern" and (stone.id in patterns or not actions.isdisjoint(gone)))
        )
        if is_of_it:
            raise InputError(
                f"agent {source}: the {stone.kind} {stone.id:.80} was forgotten here after this file was written: "
                "what was forgotten does not come back"
            )


def _forgotten_actions(names: Iterable[str], since_s: float, swarm: Swarm) -> set[str]:
    """Actions of patterns that were forgotten since then, as the agents' tombstones have them."""
    found: set[str] = set()
    for name in dict.fromkeys(names):
        with redis_errors(f"read the tombstones of {name}"):
            tombs = to_hash(swarm.client.hgetall(swarm.keys.agent(name).tombs))
        found |= {field[2:] for field, at_s in tombs.items() if field.startswith("a:") and float(at_s) >= since_s}
    return found


def _check_one_another(found: Sequence[PortableAgent]) -> None:
    """Refuse two agents that hold the same, as `_check_double` does with one that is here."""
    for portable, other in itertools.permutations(found, 2):
        mine, theirs = ({cluster.id for cluster in one.clusters} for one in (portable, other))
        if 2 * len(mine & theirs) > len(mine):
            raise InputError(
                f"agents {portable.agent} and {other.agent} hold the same {len(mine & theirs)} clusters: "
                "under two names they would confirm one another"
            )


def _check_double(portable: PortableAgent, swarm: Swarm) -> None:
    """Refuse what another agent holds: under two names it would confirm itself."""
    for other in swarm.agents.names():
        if other != portable.agent and (held := _held(portable, other, swarm)):
            raise InputError(
                f"agent {other} holds {held} of the {len(portable.clusters)} clusters of {portable.agent} already: "
                "under two names they would confirm one another"
            )


def _held(portable: PortableAgent, other: str, swarm: Swarm) -> int:
    """How many clusters of the file agent `other` holds, 0 if they are not most of them: it is none of its doubles."""
    mine = {cluster.id for cluster in portable.clusters}
    with redis_errors(f"list the clusters of {other}"):
        held = {to_text(field) for field in swarm.client.hkeys(swarm.keys.agent(other).clusters)}
    return len(mine & held) if 2 * len(mine & held) > len(mine) else 0


def _commit(portable: PortableAgent, source: str, swarm: Swarm) -> AgentImport:
    agent, agents = portable.agent, swarm.agents
    number = _imported(portable, source, swarm) or _written(portable, source, swarm)
    return AgentImport(
        agent=agent,
        source=source,
        swarm=portable.swarm,
        source_generation=portable.generation,
        generation=number,
        clusters=len(portable.clusters),
        outcomes=portable.outcomes,
        verdict=agents.state(agent).verdict.value,
    )


def _written(portable: PortableAgent, source: str, swarm: Swarm) -> int:
    """Commit it as the agent's next version; its number."""
    agent, agents, registration = portable.agent, swarm.agents, portable.registration
    # What is taken out of its texts, and for how long they are kept, goes with it; what holds here already stays.
    known = agents.registration(agent)
    policy = registration.policy.with_that_of(known.policy) if known else registration.policy
    template = registration.template or None
    swarm.register(agent, registration.role, registration.config, template=template, policy=policy)
    with turn_at(agent, agents, swarm.settings.lease_ttl) as lease:
        state = agents.state(agent)
        if not _is_new(state):
            raise StaleWriterError(f"agent {agent}: it has begun to learn meanwhile; nothing of it was written")
        if portable.is_silenced:
            agents.silence(agent, True)
        # What comes in stands for outcomes before all of the stream, which does not hold them: so a rewind of one of
        # them, or of all, knows that it has to take this version out.
        cursor = _BEFORE_ALL if state.cursor == "0-0" else state.cursor
        commit = Commit(
            cursor=cursor,
            put={cluster.id: encode_cluster(cluster) for cluster in portable.clusters},
            values=portable.values,
            figures=encode("figures", _figures(portable, source)),
            keep=registration.config.trajectory_capacity,
            # The next consolidation makes the draws that it would have made where the agent comes from.
            newly_skipped=state.generation + 1 - portable.age - state.skipped,
            origin={
                "kind": IMPORT,
                "parent": str(state.generation),
                "spans": encode_spans([("0-0", cursor)]),
            },
            imported=portable.outcomes,
        )
        return Committer(swarm.client, swarm.keys).write(agent, lease, state.generation, commit)


def _figures(portable: PortableAgent, source: str) -> dict[str, int | float | bool | str]:
    return {
        "clusters": len(portable.clusters),
        "outcomes": portable.outcomes,
        "from_swarm": portable.swarm,
        "from_agent": source,
        "from_generation": portable.generation,
        "at_s": portable.at_s,
    }
