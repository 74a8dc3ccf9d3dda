"""What a merge tells: what happened to the agents whose generations it publishes, and to the patterns.

A commit touches keys of its agent only, so it cannot write to the swarm's stream of events; its entry in the agent's
log is written with it, though. The merge reads those of the generations that are new in the bank, and tells of them in
the transaction which says that the bank contains them: each generation once, whoever is killed when.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from swarm.errors import CapacityError, RecordError
from swarm.services.history import update_of
from swarm.services.lineage import IMPORT, RETRAIN, REWIND, TUNED
from swarm.services.quarantine import QUARANTINE, RELEASE
from swarm.services.rollback import ROLLBACK
from swarm.services.warm_start import WARM_START
from swarm.sona.clusters import Cluster
from swarm.sona.standing import Verdict
from swarm.store.agents import AgentStore
from swarm.store.bank import MergedAgent
from swarm.store.versions import LogEntry, read_log_entry
from swarm.telemetry.logs import told
from swarm.wire.event_records import encode_event
from swarm.wire.event_types import (
    MAX_LABEL,
    MAX_NAMES,
    AgentImported,
    AgentQuarantined,
    AgentReleased,
    AgentRetrained,
    AgentRewound,
    AgentRolledBack,
    AgentStarted,
    AgentTuned,
    Body,
    LearnComplete,
    LearnRefused,
    OutcomeDead,
    PatternStored,
)

logger = logging.getLogger(__name__)
MAX_GENERATIONS = 100
"""So many generations of an agent, the newest, are told of by one merge ..."""
MAX_TOLD = 1_000
"""... so many events of agents in all ..."""
MAX_PATTERNS = 100
"""... and so many new patterns. What is beyond is counted."""
_AT_ONCE = 64
"""The logs of so many agents are read in one round trip."""
_LATER_STILL = 8
"""Generations that may be committed between two reads of a log."""
Tail: TypeAlias = Sequence[tuple[str, Mapping[bytes, bytes]]]
"""The newest entries of a log as stored, oldest first."""


def learned_events(
    agents: AgentStore, merged: Mapping[str, MergedAgent], changed: Mapping[str, MergedAgent]
) -> tuple[list[Body], int]:
    """Events of the generations that `changed` has and `merged` has not; and how many generations are left out."""
    first = {name: merged[name].generation + 1 if name in merged else 1 for name in changed}
    news = {name: entry.generation - first[name] + 1 for name, entry in changed.items()}
    names, events, told_of = list(news), list[Body](), 0
    for start in range(0, len(names), _AT_ONCE):
        if len(events) >= MAX_TOLD:
            break
        page = names[start : start + _AT_ONCE]
        for name, tail in _tails(agents, {name: news[name] for name in page}, changed).items():
            for generation, found in _readable(name, tail):
                if first[name] <= generation <= changed[name].generation and len(events) + len(found) <= MAX_TOLD:
                    events += found
                    told_of += 1
    return events, sum(news.values()) - told_of


def _tails(agents: AgentStore, news: Mapping[str, int], changed: Mapping[str, MergedAgent]) -> Mapping[str, Tail]:
    """The log entries of so many generations, and of those that were committed since the merge began."""
    counts = {name: min(number, MAX_GENERATIONS) for name, number in news.items()}
    tails = agents.log_tails(counts)
    later = {name: _newest(tail) - changed[name].generation for name, tail in tails.items()}
    more = {name: counts[name] + number + _LATER_STILL for name, number in later.items() if number > 0}
    return tails | agents.log_tails(more) if more else tails


def _newest(tail: Tail) -> int:
    number = tail[-1][1].get(b"generation", b"") if tail else b""
    return int(number) if number.isdigit() else 0


def stored_events(new: Sequence[Cluster]) -> tuple[list[Body], int]:
    """Events of patterns that are new in the bank, those with most evidence; and how many are left out."""
    chosen = heapq.nsmallest(MAX_PATTERNS, new, key=lambda pattern: (-pattern.n, pattern.id))
    return [_stored(pattern) for pattern in chosen], len(new) - len(chosen)


def _stored(pattern: Cluster) -> Body:
    return PatternStored(
        pattern=pattern.id,
        agents=tuple(sorted(pattern.agents, key=lambda name: (-pattern.agents[name].n, name))[:MAX_NAMES]),
        agent_count=len(pattern.agents),
        outcomes=pattern.n,
        quality=pattern.mean_quality,
        is_confirmed=pattern.confirmed,
    )


def _readable(agent: str, tail: Tail) -> Iterator[tuple[int, list[Body]]]:
    """Generations, with what is to be told of each."""
    for stream_id, fields in tail:
        try:
            entry = read_log_entry(stream_id, fields, None)
            found = list(_events_of(agent, entry))
            for event in found:
                encode_event(event)
        except (KeyError, ValueError, TypeError, RecordError, CapacityError) as error:
            # The merge goes on without it: what happened must not hang on what is told of it.
            logger.warning("generation %s of agent %s is not told of: %s", stream_id, agent, told(error))
        else:
            yield entry.generation, found


def _events_of(agent: str, entry: LogEntry) -> Iterator[Body]:
    number, figures = entry.generation, entry.figures
    if entry.kind == QUARANTINE:
        yield AgentQuarantined(agent=agent, generation=number, is_earned=False, by=entry.cause[:MAX_LABEL])
    elif entry.kind == RELEASE:
        yield AgentReleased(agent=agent, generation=number, is_earned=False, by=entry.cause[:MAX_LABEL])
    elif entry.kind == ROLLBACK:
        yield AgentRolledBack(agent=agent, generation=number, version=entry.parent)
    elif entry.kind == REWIND:
        yield AgentRewound(agent=agent, generation=number, version=entry.parent)
    elif entry.kind == RETRAIN:
        yield AgentRetrained(agent=agent, generation=number)
    elif entry.kind == WARM_START:
        yield AgentStarted(agent=agent, generation=number)
    elif entry.kind == IMPORT:
        yield AgentImported(agent=agent, generation=number)
    elif entry.kind == TUNED:
        yield AgentTuned(agent=agent, generation=number)
    elif not entry.kind and "outcomes" in figures:
        yield from _consolidated(agent, entry)


def _consolidated(agent: str, entry: LogEntry) -> Iterator[Body]:
    number, figures = entry.generation, entry.figures
    for stream_id in entry.dead:
        yield OutcomeDead(agent=agent, stream_id=stream_id, generation=number)
    update = update_of(figures)
    yield LearnComplete(
        agent=agent,
        generation=number,
        outcomes=figures["outcomes"],
        clusters=figures.get("clusters", 0),
        quality=figures.get("mean_quality"),
        update=update,
        cursor=entry.cursor,
    )
    if update == "refused":
        yield LearnRefused(
            agent=agent,
            generation=number,
            trained_on=figures.get("trained_on", 0),
            held_out=figures.get("held_out", 0),
            loss_before=figures.get("loss_before", 0.0),
            loss_after=figures.get("loss_after", 0.0),
        )
    was, now = entry.believed, figures.get("verdict", "")
    if now == Verdict.QUARANTINED and was not in ("", Verdict.QUARANTINED):
        yield AgentQuarantined(agent=agent, generation=number, is_earned=True)
    elif was == Verdict.QUARANTINED and now != Verdict.QUARANTINED:
        yield AgentReleased(agent=agent, generation=number, is_earned=True)
