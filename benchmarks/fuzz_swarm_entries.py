"""The ways into a swarm, bare or guarded, and those of tokens and settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.fuzz_pool import AGENTS, Entry, Pool, entry_of
from benchmarks.fuzz_records import DIM, a_vector
from swarm.services.access import AccessControl
from swarm.services.guard import GuardedSwarm
from swarm.services.swarm import Swarm
from swarm.services.verdict import Threshold
from swarm.settings import load_settings
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair


def swarm_entries(swarm: Swarm, pool: Pool, *, prefix: str = "Swarm") -> Iterator[Entry]:
    """The operations of a swarm, or of a guarded one under a token."""
    text, key, agent = pool.text, pool.key, pool.choice(*AGENTS)
    names, some = pool.choice(None, ["ada"], ("ada", "bob")), pool.choice(None, ["coder"])
    options = {
        "routes": pool.choice(None, ["a", "b"]),
        "strategy": pool.choice("balanced", "cost", "quality"),
        **dict.fromkeys(("max_cost", "timeout_ms", "worth"), pool.choice(None, 10.0)),
        "min_quality": pool.choice(None, 0.0),
        "fallback": pool.choice("", "a"),
        "session": pool.choice("", "s1"),
        "failed": pool.choice((), ["a"]),
        "exploration": pool.choice("greedy", "thompson"),
        "seed": pool.choice(0, 7),
        "tools": pool.choice((), ["t"]),
        "agent": pool.choice("", "ada"),
    }
    query = {"agents": names, "roles": some, "min_quality": pool.choice(0.0, 0.5), "k": pool.choice(1, 5)}
    grouped = {**query, "group_by": pool.choice(None, "agent")}
    yield entry_of(f"{prefix}.query", swarm.query, {"text": text, **grouped}, set(grouped), 3.0)
    yield entry_of(f"{prefix}.recall", swarm.recall, {"text": text, "k": pool.choice(1, 5)}, {"k"})
    patterns = {
        "k": pool.choice(3),
        "min_reward": pool.choice(0.5),
        "source_agents": names,
        "filters": pool.choice(None, {"role": "coder"}, {"task_type": "General"}),
    }
    yield entry_of(f"{prefix}.retrieve_patterns", swarm.retrieve_patterns, {"task": text, **patterns}, set(patterns))
    yield entry_of(f"{prefix}.route", swarm.route, {"text": text, **options}, set(options), 2.0)
    stored = {
        "reward": pool.choice(1.0, 0.0),
        "success": pool.choice(True, False),
        "input": pool.choice("", "in"),
        "metadata": pool.choice(None, {"a": "b"}),
        "agent": pool.choice(*AGENTS, "library"),
        "idempotency_key": key,
    }
    yield entry_of(
        f"{prefix}.store_pattern", swarm.store_pattern, {"task": text, "output": text, **stored}, set(stored), 3.0
    )
    yield entry_of(f"{prefix}.record", swarm.record, {"trajectory": pool.trajectory, "idempotency_key": key}, (), 4.0)
    registered = {"role": pool.choice(None, "coder"), "config": pool.choice(None, SonaConfig(dim=DIM))}
    yield entry_of(f"{prefix}.register", swarm.register, {"agent": agent, **registered}, set(registered), 2.0)
    yield entry_of(f"{prefix}.receipt", swarm.receipt, {"agent": agent, "idempotency_key": key}, (), 2.0)
    yield entry_of(f"{prefix}.wait", swarm.wait, {"receipt": pool.receipt, "timeout_s": pool.choice(0.0)})
    yield entry_of(f"{prefix}.history", swarm.history, {"agent": agent})
    zero = np.zeros((2, DIM), np.float32)
    yield entry_of(f"{prefix}.export", swarm.export, {"agent": agent, "micro": pool.choice(LoraPair(zero, zero, 1.0))})
    learned = {
        "consensus": pool.choice("weighted", "majority", Threshold()),
        "same": pool.choice(None, 0.9),
        "choices": pool.choice(None, 3),
        "idempotency_key": key,
    }

    def learn_from_swarm_execution(task: Any, results: Any, **given: Any) -> None:
        # A judge is the caller's own code, and what it raises is the caller's, too.
        options: dict[str, Any] = {name: None if callable(value) else value for name, value in given.items()}
        swarm.learn_from_swarm_execution(task, results, **options)

    yield entry_of(
        f"{prefix}.learn_from_swarm_execution",
        learn_from_swarm_execution,
        {"task": text, "results": pool.results, **learned},
        set(learned),
        2.0,
    )
    yield entry_of(f"{prefix}.status", swarm.status, weight=0.2)


def inner_entries(swarm: Swarm, pool: Pool) -> Iterator[Entry]:
    """What a swarm has for processes of its own machine, and what a guard has not."""
    yield entry_of("Swarm.embed", swarm.embed, {"text": pool.text})
    yield entry_of("Swarm.task_type", swarm.task_type, {"vector": lambda: a_vector(pool.rng.randrange(9))})
    yield entry_of("Swarm.outcomes", swarm.outcomes, {"agent": pool.choice(*AGENTS)})


def small_entries(swarm: Swarm, pool: Pool) -> Iterator[Entry]:
    """What takes leases and makes versions; of a swarm with a handful of keys."""
    agent = pool.choice(*AGENTS)
    calls = {
        "rollback": {"agent": agent, "version": pool.choice(10**6, -1)},
        "warm_start": {"agent": agent, "roles": pool.choice(None, ["coder"])},
        "rewind": {"trajectory": pool.choice("unknown"), "agent": pool.choice(None, "nobody")},
    }
    for name, takes in calls.items():
        optional = {"roles", "trajectory", "agent"} & set(takes) if name != "rollback" else set()
        yield entry_of(
            f"Swarm.{name}",
            getattr(swarm, name),
            takes,
            optional - ({"agent"} if name == "warm_start" else set()),
            0.5,
            True,
        )


def access_entries(control: AccessControl, swarm: Swarm, pool: Pool, token: str) -> Iterator[Entry]:
    """Tokens, and settings."""
    made = {"agent": pool.choice("", "ada"), "ttl": pool.choice(None, 1.0), "note": pool.choice("", "n")}

    def create(role: Any, **given: Any) -> None:
        control.revoke(control.create(role, **given)[1].id)

    yield entry_of("AccessControl.create", create, {"role": pool.choice("reader", "agent"), **made}, set(made))
    yield entry_of("AccessControl.authenticate", control.authenticate, {"token": pool.choice(token)}, (), 2.0)
    yield entry_of("AccessControl.revoke", control.revoke, {"token": pool.choice("0" * 16)})
    yield entry_of("GuardedSwarm", lambda token: GuardedSwarm(swarm, token), {"token": pool.choice(token)})
    named = {
        "name": pool.choice("a"),
        "receipt_ttl": pool.choice(60.0),
        "max_pending": pool.choice(1),
        "fsync": pool.choice("always"),
    }
    yield entry_of("load_settings", load_settings, named, set(named))
