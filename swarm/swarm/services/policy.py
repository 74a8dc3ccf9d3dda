"""Who may do what: one table, with a row for every public operation of `Swarm`, `Tasks`, `Events` and an agent's hooks.

What is in no row is refused. A row without roles stands for what never leaves the machine: it hands out stores,
vectors or this process's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from swarm.wire.token_records import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may do it, whether it changes something, and what of it must be the agent's own, for who is an agent."""

    roles: frozenset[Role]
    is_write: bool = False
    own: str = ""
    """agent: the agent that is named. submitter: who a task is from. task: one that is from the agent, placed on it, or
    on its role. role: the role whose tasks are claimed. claim: a task that the agent has."""


_ANYONE = frozenset(Role)
_ACTORS = frozenset({Role.AGENT, Role.OPERATOR})
_OPERATOR = frozenset({Role.OPERATOR})
_READ = Rule(roles=_ANYONE)
_OWN_READ = Rule(roles=_ACTORS, own="agent")
_OWN_WRITE = Rule(roles=_ACTORS, own="agent", is_write=True)
_CLAIMED = Rule(roles=_ACTORS, own="claim", is_write=True)
_OPERATE = Rule(roles=_OPERATOR, is_write=True)
_INSIDE = Rule(roles=frozenset())

_SWARM = {
    "query": _READ,
    "recall": _READ,
    "retrieve_patterns": _READ,
    "patterns": _READ,
    "pattern": _READ,
    "apply": _READ,
    "roles": _READ,
    "agent": _READ,
    "status": _READ,
    "retention": _READ,
    "receipt": _OWN_READ,
    "find": _OWN_READ,
    "wait": _OWN_READ,
    "history": _OWN_READ,
    "export": _OWN_READ,
    "decision": _OWN_READ,
    "decisions": Rule(roles=_OPERATOR),
    "route": _OWN_WRITE,  # the decision is kept, and counts in the budgets
    "store_pattern": _OWN_WRITE,
    "record": _OWN_WRITE,
    "record_many": _OWN_WRITE,
    "register": _OWN_WRITE,
    "warm_start": _OWN_WRITE,
    "submit": Rule(roles=_ACTORS, own="submitter", is_write=True),
    "learn_from_swarm_execution": _OPERATE,  # it writes outcomes of several agents
    "rollback": _OPERATE,
    "rewind": _OPERATE,
    "quarantine": _OPERATE,
    "release": _OPERATE,
    "forget": _OPERATE,
    "backup": _OPERATE,  # the process that serves the call says where: nobody outside names a file
    "tombstones": Rule(roles=_OPERATOR),
    "set_retention": _OPERATE,
    "pin": _OPERATE,
    "unpin": _OPERATE,
    "bind": _INSIDE,
    "close": _INSIDE,
    "deliver": _INSIDE,
    "place": _INSIDE,  # `submit` has it, and says what was considered
    "unbind": _INSIDE,
    "embed": _INSIDE,
    "embedder": _INSIDE,
    "task_type": _INSIDE,
    "outcomes": _INSIDE,
    "replica": _INSIDE,
    "router": _INSIDE,
}
_TASKS = {
    "submit": Rule(roles=_ACTORS, own="submitter", is_write=True),
    "find": Rule(roles=_ACTORS, own="task"),
    "wait": Rule(roles=_ACTORS, own="task"),
    "cancel": Rule(roles=_ACTORS, own="submitter", is_write=True),
    "claim": Rule(roles=_ACTORS, own="role", is_write=True),
    "renew": _CLAIMED,
    "progress": _CLAIMED,
    "succeed": _CLAIMED,
    "fail": _CLAIMED,
    "counts": _READ,
    "dead": Rule(roles=_OPERATOR),
    "replay": _OPERATE,
    "drop": _OPERATE,
    "sweep": _OPERATE,
    "swarm": _INSIDE,
    "unreported": _INSIDE,
    "reported": _INSIDE,
    "report_later": _INSIDE,
}
_EVENTS = {
    "latest": _READ,
    "follow": _READ,
    "on": _INSIDE,
    "publish": _INSIDE,
    "health": _INSIDE,
    "close": _INSIDE,
}
_HOOKS = {
    "before_task": _OWN_WRITE,
    "step": _OWN_WRITE,
    "after_task": _OWN_WRITE,
    "abandon": _OWN_WRITE,
    "opened": _OWN_READ,
    "receipt": _OWN_READ,
    "health": _OWN_READ,
    "apply": _INSIDE,
    "task": _INSIDE,
    "on_task": _INSIDE,
    "refresh": _INSIDE,
    "drop_expired": _INSIDE,
    "flush": _INSIDE,
    "close": _INSIDE,
    "export": _INSIDE,
    "finetune": _INSIDE,  # it commits and merges, as a worker does
    "adapter": _INSIDE,
    "policy": _INSIDE,
    "redact": _INSIDE,
    "bend": _INSIDE,
    "config": _INSIDE,
    "role": _INSIDE,
    "unkept": _INSIDE,
    "has_unsent": _INSIDE,
    "is_forgotten": _INSIDE,
    "generation": _INSIDE,
    "instant_updates": _INSIDE,
}

POLICY: Mapping[str, Rule] = MappingProxyType(
    _SWARM
    | {f"tasks.{name}": rule for name, rule in _TASKS.items()}
    | {f"events.{name}": rule for name, rule in _EVENTS.items()}
    | {f"hooks.{name}": rule for name, rule in _HOOKS.items()}
)
"""Operation -> who may do it. Those of `Tasks` begin with "tasks.", of `Events` "events.", of an agent "hooks."."""
