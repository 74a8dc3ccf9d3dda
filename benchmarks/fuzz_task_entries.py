"""The ways into the ledger of tasks and an agent's hooks, bare or guarded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.fuzz_pool import AGENTS, Entry, Pool, entry_of
from benchmarks.fuzz_records import DIM
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm_agents import Agent


def task_entries(swarm: Swarm, pool: Pool, *, prefix: str = "Tasks") -> Iterator[Entry]:
    """The ledger of tasks, of a swarm or of a guarded one."""
    tasks, text = swarm.tasks, pool.text
    task, claimed = pool.recent(pool.tasks), pool.recent(pool.claims)
    options = {
        "role": pool.choice("coder", "tester"),
        "agent": pool.choice(*AGENTS),
        "payload": pool.choice({}, {"a": [1, "b"]}),
        "submitter": pool.choice(*AGENTS),
        "priority": pool.choice(0, 9),
        "deadline": lambda: time.time() + 3_600.0,
        "time_limit": pool.choice(1.0),
        "max_attempts": pool.choice(1, 3),
        "backoff": pool.choice(0.0),
        "max_backoff": pool.choice(1.0),
        "idempotency_key": pool.key,
    }

    def submit(task: Any, **given: Any) -> None:
        pool.tasks.append(tasks.submit(task, **given).id)

    def claim(role: Any, worker: Any, lease: Any) -> None:
        if (found := tasks.claim(role, worker, lease)) is not None:
            pool.claims.append(found)

    lease = pool.choice(0.001, 30.0)
    failed = {"why": pool.choice("no"), "retry": pool.choice(True, False), "delay": pool.choice(None, 0.0)}
    yield entry_of(f"{prefix}.submit", submit, {"task": text, **options}, set(options), 6.0)
    yield entry_of(f"{prefix}.find", tasks.find, {"task": task})
    yield entry_of(f"{prefix}.wait", tasks.wait, {"task": task, "timeout": pool.choice(0.0)})
    yield entry_of(f"{prefix}.cancel", tasks.cancel, {"task": task, "why": pool.choice("why")}, {"why"})
    yield entry_of(
        f"{prefix}.claim",
        claim,
        {"role": pool.choice("coder", "tester"), "worker": pool.choice("w"), "lease": lease},
        (),
        3.0,
    )
    yield entry_of(f"{prefix}.renew", tasks.renew, {"task": claimed, "lease": lease})
    progress = {"task": claimed, "lease": lease, "fraction": pool.choice(0.5), "note": pool.choice("half")}
    yield entry_of(f"{prefix}.progress", tasks.progress, progress, {"note"})
    yield entry_of(
        f"{prefix}.succeed", tasks.succeed, {"task": claimed, "result": pool.choice(None, "done", {"a": 1})}, (), 2.0
    )
    yield entry_of(f"{prefix}.fail", tasks.fail, {"task": claimed, **failed}, {"delay"}, 2.0)
    yield entry_of(f"{prefix}.dead", tasks.dead, {"limit": pool.choice(1, 5)}, {"limit"}, 0.5)
    yield entry_of(f"{prefix}.replay", tasks.replay, {"task": task})
    yield entry_of(f"{prefix}.drop", tasks.drop, {"task": task})
    yield entry_of(f"{prefix}.counts", tasks.counts, weight=0.3)
    yield entry_of(f"{prefix}.sweep", tasks.sweep, weight=0.3)


def agent_entries(agent: Agent, pool: Pool, *, prefix: str = "Agent", hooks: Any = None) -> Iterator[Entry]:
    """The hooks of an agent, bare or guarded."""
    hooks = hooks or agent
    trajectory, text = pool.recent(pool.trajectories), pool.text
    asked = {
        "k": pool.choice(3),
        "agents": pool.choice(None, ["ada"]),
        "roles": pool.choice(None, ["coder"]),
        "min_quality": pool.choice(0.0),
        "tools": pool.choice((), ["t"]),
        "routes": pool.choice(None, ["a", "b"]),
        "session": pool.choice("", "s"),
        "max_cost": pool.choice(None, 1.0),
        "strategy": pool.choice("balanced"),
        "fallback": pool.choice("", "a"),
        "failed": pool.choice((), ["a"]),
        "seed": pool.choice(0),
    }
    told = {
        "success": pool.choice(True, None),
        "quality": pool.choice(None, 0.5),
        "used": pool.choice(None, "unknown"),
        "output": pool.choice("", "an answer"),
        "route": pool.choice("", "a"),
        "latency_ms": pool.choice(1.0),
        "cost": pool.choice(0.1),
        "idempotency_key": pool.key,
    }
    step = {"reward": pool.choice(0.5), "node": pool.choice("", "n"), "latency_ms": pool.choice(1.0)}

    def before_task(text: Any, **given: Any) -> None:
        pool.trajectories.append(hooks.before_task(text, **given).trajectory_id)

    yield entry_of(f"{prefix}.before_task", before_task, {"text": text, **asked}, set(asked), 4.0)
    yield entry_of(f"{prefix}.step", hooks.step, {"trajectory_id": trajectory, **step}, {"node", "latency_ms"}, 2.0)
    yield entry_of(f"{prefix}.after_task", hooks.after_task, {"trajectory_id": trajectory, **told}, set(told), 4.0)
    yield entry_of(f"{prefix}.abandon", hooks.abandon, {"trajectory_id": trajectory}, (), 2.0)
    yield entry_of(f"{prefix}.receipt", hooks.receipt, {"idempotency_key": pool.key})
    if hooks is not agent:
        return

    def with_task(text: Any, pattern: Any, output: Any, quality: Any, cost: Any) -> None:
        with agent.task(text) as task:
            task.used(pattern)
            task.output, task.quality, task.cost = output, quality, cost

    def made(name: Any, **given: Any) -> None:
        Agent(name, swarm=agent.swarm, **given).close(timeout_s=0.0)

    done = {
        "pattern": pool.choice(None),
        "output": pool.choice("", "x"),
        "quality": pool.choice(None, 1.0),
        "cost": pool.choice(0.0),
    }
    yield replace(entry_of(f"{prefix}.task", with_task, {"text": text, **done}), is_compared=False)
    begun = {
        "role": pool.choice(None, "coder"),
        "config": pool.choice(None, SonaConfig(dim=DIM)),
        "sources": pool.choice(None, ["ada"]),
        "warm_start": pool.choice(None, False),
    }
    yield entry_of(f"{prefix}()", made, {"name": pool.choice(*AGENTS), **begun}, set(begun), 0.5)
