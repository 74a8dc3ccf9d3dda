"""Every public way in: what it takes, and good values for it. A fuzzed call replaces some of them by hostile ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np

from benchmarks.fuzz_records import DIM, a_trajectory, a_vector
from benchmarks.fuzz_values import Hostile
from swarm.services.access import AccessControl
from swarm.services.guard import GuardedSwarm
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.swarm import Swarm
from swarm.services.tasks import ClaimedTask
from swarm.services.verdict import AgentResult, Threshold
from swarm.settings import load_settings
from swarm.sona import LearningSignal, SonaEngine
from swarm.sona.config import SonaConfig
from swarm.sona.lora import LoraPair
from swarm.sona.trajectory import Step
from swarm.wire.task_records import TaskRecord
from swarm_agents import Agent

Maker = Callable[[], Any]
AGENTS = ("ada", "bob")
_TASK = "coder:" + "0" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One way in. `takes` maps each parameter to a maker of a good value; those in `optional` may be left out."""

    name: str
    call: Callable[..., Any]
    takes: Mapping[str, Maker] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    weight: float = 1.0
    is_compared: bool = True
    """Whether it must leave everything as it was when it is refused; no, if it is two calls of which one may pass."""
    in_small: bool = False
    """It takes leases or merges: asked of the small swarm, whose every key is compared instead."""


class Pool:
    """Good values, some of which are known to the swarm and some not."""

    def __init__(self, rng: Random, hostile: Hostile) -> None:
        self.rng = rng
        self.hostile = hostile
        self.tasks = [_TASK]
        self.trajectories = ["unknown"]
        self.claims: list[ClaimedTask] = [
            ClaimedTask(id=_TASK, token="0", record=TaskRecord(role="coder"), attempts=1, replays=0)
        ]
        self.engine_ids = [1]

    def choice(self, *values: Any) -> Maker:
        return lambda: self.rng.choice(values)

    def text(self) -> str:
        return f"parse {self.rng.choice(('dates', 'logs', 'json'))} in file {self.rng.randrange(50)}"

    def key(self) -> str:
        return f"key-{self.rng.randrange(300)}"

    def trajectory(self) -> Any:
        """An outcome, often with one value that does not belong there."""
        made = a_trajectory(self.rng.randrange(100), self.rng.choice(AGENTS))
        if self.rng.random() < 0.7:
            name = self.rng.choice(tuple(made.__dataclass_fields__))
            made = replace(made, **{name: self.hostile.any()})
        return made

    def receipt(self) -> Receipt:
        return Receipt(agent=self.rng.choice(AGENTS), idempotency_key=self.key(), state=ReceiptState.ACCEPTED)

    def results(self) -> dict[Any, Any]:
        found: dict[Any, Any] = {name: AgentResult(output=self.rng.choice("xyz"), quality=0.5) for name in AGENTS}
        if self.rng.random() < 0.6:
            found[self.rng.choice((*AGENTS, "nobody", 5))] = self.rng.choice(
                (
                    self.hostile.any(),
                    AgentResult(output=self.hostile.any()),
                    AgentResult(output="x", quality=self.hostile.any()),
                )
            )
        return found

    def step(self) -> Step:
        return Step(reward=self.hostile.number(), activations=self.hostile.vector(), node=self.hostile.text())

    def recent(self, kept: list[Any]) -> Maker:
        return lambda: self.rng.choice(kept[-50:])


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
    yield _entry(f"{prefix}.query", swarm.query, {"text": text, **grouped}, set(grouped), 3.0)
    yield _entry(f"{prefix}.recall", swarm.recall, {"text": text, "k": pool.choice(1, 5)}, {"k"})
    patterns = {
        "k": pool.choice(3),
        "min_reward": pool.choice(0.5),
        "source_agents": names,
        "filters": pool.choice(None, {"role": "coder"}, {"task_type": "General"}),
    }
    yield _entry(f"{prefix}.retrieve_patterns", swarm.retrieve_patterns, {"task": text, **patterns}, set(patterns))
    yield _entry(f"{prefix}.route", swarm.route, {"text": text, **options}, set(options), 2.0)
    stored = {
        "reward": pool.choice(1.0, 0.0),
        "success": pool.choice(True, False),
        "input": pool.choice("", "in"),
        "metadata": pool.choice(None, {"a": "b"}),
        "agent": pool.choice(*AGENTS, "library"),
        "idempotency_key": key,
    }
    yield _entry(
        f"{prefix}.store_pattern", swarm.store_pattern, {"task": text, "output": text, **stored}, set(stored), 3.0
    )
    yield _entry(f"{prefix}.record", swarm.record, {"trajectory": pool.trajectory, "idempotency_key": key}, (), 4.0)
    registered = {"role": pool.choice(None, "coder"), "config": pool.choice(None, SonaConfig(dim=DIM))}
    yield _entry(f"{prefix}.register", swarm.register, {"agent": agent, **registered}, set(registered), 2.0)
    yield _entry(f"{prefix}.receipt", swarm.receipt, {"agent": agent, "idempotency_key": key}, (), 2.0)
    yield _entry(f"{prefix}.wait", swarm.wait, {"receipt": pool.receipt, "timeout_s": pool.choice(0.0)})
    yield _entry(f"{prefix}.history", swarm.history, {"agent": agent})
    zero = np.zeros((2, DIM), np.float32)
    yield _entry(f"{prefix}.export", swarm.export, {"agent": agent, "micro": pool.choice(LoraPair(zero, zero, 1.0))})
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

    yield _entry(
        f"{prefix}.learn_from_swarm_execution",
        learn_from_swarm_execution,
        {"task": text, "results": pool.results, **learned},
        set(learned),
        2.0,
    )
    yield _entry(f"{prefix}.status", swarm.status, weight=0.2)


def inner_entries(swarm: Swarm, pool: Pool) -> Iterator[Entry]:
    """What a swarm has for processes of its own machine, and what a guard has not."""
    yield _entry("Swarm.embed", swarm.embed, {"text": pool.text})
    yield _entry("Swarm.task_type", swarm.task_type, {"vector": lambda: a_vector(pool.rng.randrange(9))})
    yield _entry("Swarm.outcomes", swarm.outcomes, {"agent": pool.choice(*AGENTS)})


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
        yield _entry(
            f"Swarm.{name}",
            getattr(swarm, name),
            takes,
            optional - ({"agent"} if name == "warm_start" else set()),
            0.5,
            True,
        )


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
    yield _entry(f"{prefix}.submit", submit, {"task": text, **options}, set(options), 6.0)
    yield _entry(f"{prefix}.find", tasks.find, {"task": task})
    yield _entry(f"{prefix}.wait", tasks.wait, {"task": task, "timeout": pool.choice(0.0)})
    yield _entry(f"{prefix}.cancel", tasks.cancel, {"task": task, "why": pool.choice("why")}, {"why"})
    yield _entry(
        f"{prefix}.claim",
        claim,
        {"role": pool.choice("coder", "tester"), "worker": pool.choice("w"), "lease": lease},
        (),
        3.0,
    )
    yield _entry(f"{prefix}.renew", tasks.renew, {"task": claimed, "lease": lease})
    progress = {"task": claimed, "lease": lease, "fraction": pool.choice(0.5), "note": pool.choice("half")}
    yield _entry(f"{prefix}.progress", tasks.progress, progress, {"note"})
    yield _entry(
        f"{prefix}.succeed", tasks.succeed, {"task": claimed, "result": pool.choice(None, "done", {"a": 1})}, (), 2.0
    )
    yield _entry(f"{prefix}.fail", tasks.fail, {"task": claimed, **failed}, {"delay"}, 2.0)
    yield _entry(f"{prefix}.dead", tasks.dead, {"limit": pool.choice(1, 5)}, {"limit"}, 0.5)
    yield _entry(f"{prefix}.replay", tasks.replay, {"task": task})
    yield _entry(f"{prefix}.drop", tasks.drop, {"task": task})
    yield _entry(f"{prefix}.counts", tasks.counts, weight=0.3)
    yield _entry(f"{prefix}.sweep", tasks.sweep, weight=0.3)


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

    yield _entry(f"{prefix}.before_task", before_task, {"text": text, **asked}, set(asked), 4.0)
    yield _entry(f"{prefix}.step", hooks.step, {"trajectory_id": trajectory, **step}, {"node", "latency_ms"}, 2.0)
    yield _entry(f"{prefix}.after_task", hooks.after_task, {"trajectory_id": trajectory, **told}, set(told), 4.0)
    yield _entry(f"{prefix}.abandon", hooks.abandon, {"trajectory_id": trajectory}, (), 2.0)
    yield _entry(f"{prefix}.receipt", hooks.receipt, {"idempotency_key": pool.key})
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
    yield replace(_entry(f"{prefix}.task", with_task, {"text": text, **done}), is_compared=False)
    begun = {
        "role": pool.choice(None, "coder"),
        "config": pool.choice(None, SonaConfig(dim=DIM)),
        "sources": pool.choice(None, ["ada"]),
        "warm_start": pool.choice(None, False),
    }
    yield _entry(f"{prefix}()", made, {"name": pool.choice(*AGENTS), **begun}, set(begun), 0.5)


def access_entries(control: AccessControl, swarm: Swarm, pool: Pool, token: str) -> Iterator[Entry]:
    """Tokens, and settings."""
    made = {"agent": pool.choice("", "ada"), "ttl": pool.choice(None, 1.0), "note": pool.choice("", "n")}

    def create(role: Any, **given: Any) -> None:
        control.revoke(control.create(role, **given)[1].id)

    yield _entry("AccessControl.create", create, {"role": pool.choice("reader", "agent"), **made}, set(made))
    yield _entry("AccessControl.authenticate", control.authenticate, {"token": pool.choice(token)}, (), 2.0)
    yield _entry("AccessControl.revoke", control.revoke, {"token": pool.choice("0" * 16)})
    yield _entry("GuardedSwarm", lambda token: GuardedSwarm(swarm, token), {"token": pool.choice(token)})
    named = {
        "name": pool.choice("a"),
        "receipt_ttl": pool.choice(60.0),
        "max_pending": pool.choice(1),
        "fsync": pool.choice("always"),
    }
    yield _entry("load_settings", load_settings, named, set(named))


def engine_entries(engine: Callable[[], SonaEngine], pool: Pool) -> Iterator[Entry]:
    """The numeric core, alone."""
    rng, hostile = pool.rng, pool.hostile

    def vector() -> Any:
        return a_vector(rng.randrange(50))

    ids, k = pool.recent(pool.engine_ids), pool.choice(1, 5)

    def begin(embedding: Any) -> None:
        pool.engine_ids.append(engine().begin_trajectory(embedding))

    def signal(**given: Any) -> None:
        engine().learn_from_feedback(LearningSignal(**given))

    def config(**given: Any) -> None:
        SonaConfig(**given)

    for name in ("apply_lora", "apply_micro_lora", "lora_delta", "micro_lora_delta"):
        yield _entry(f"SonaEngine.{name}", lambda x, name=name: getattr(engine(), name)(x), {"x": vector})
    yield _entry(
        "SonaEngine.apply_base_lora",
        lambda layer, x: engine().apply_base_lora(layer, x),
        {"layer": pool.choice(0), "x": vector},
    )
    for name in ("find_patterns", "recall", "rank_actions", "predict_variant_scores"):
        yield _entry(
            f"SonaEngine.{name}",
            lambda name=name, **given: getattr(engine(), name)(**given),
            {"x": vector, "k": k},
            {"k"},
        )
    yield _entry("SonaEngine.begin_trajectory", begin, {"embedding": vector}, (), 2.0)
    step = {
        "activations": vector,
        "attention": pool.choice(None),
        "reward": pool.choice(0.5),
        "node": pool.choice("n"),
        "latency_ms": pool.choice(1.0),
    }
    yield _entry(
        "SonaEngine.add_step",
        lambda **given: engine().add_step(**given),
        {"trajectory_id": ids, **step},
        {"node", "latency_ms"},
        2.0,
    )
    one = {
        "trajectory_id": ids,
        "node_id": pool.choice(1, "n"),
        "score": pool.choice(0.5),
        "latency_us": pool.choice(1.0),
    }
    yield _entry("SonaEngine.record_step", lambda **given: engine().record_step(**given), one)
    for name, parameter in (("use_pattern", "action"), ("set_route", "route"), ("add_context", "text")):
        yield _entry(
            f"SonaEngine.{name}",
            lambda name=name, **given: getattr(engine(), name)(**given),
            {"trajectory_id": ids, parameter: pool.choice("a", "b")},
        )
    ended = {"trajectory_id": ids, "quality": pool.choice(0.0, 1.0), "now_s": pool.choice(1.0)}
    yield _entry("SonaEngine.end_trajectory", lambda **given: engine().end_trajectory(**given), ended, {"now_s"}, 2.0)
    yield _entry(
        "SonaEngine.submit_trajectory",
        lambda trajectory: engine().submit_trajectory(trajectory),
        {"trajectory": pool.trajectory},
    )
    told = {
        "reward": pool.choice(1.0),
        "latency_ms": pool.choice(0.0),
        "importance": pool.choice(1.0),
        "gradient": lambda: rng.choice((None, a_vector(0))),
        "trajectory_id": pool.choice(None),
    }
    yield _entry("LearningSignal", signal, told, set(told) - {"reward"})
    yield _entry("SonaEngine.tick", lambda now_s: engine().tick(now_s), {"now_s": pool.choice(1.0)}, (), 0.3)
    yield _entry(
        "SonaEngine.force_learn", lambda now_s: engine().force_learn(now_s), {"now_s": pool.choice(1.0)}, (), 0.05
    )
    fields = {name: (lambda name=name: getattr(SonaConfig(dim=DIM), name)) for name in SonaConfig.__dataclass_fields__}
    yield _entry("SonaConfig", config, fields, set(fields))
    yield _entry(
        "SonaConfig.from_dict",
        SonaConfig.from_dict,
        {"values": lambda: {**SonaConfig(dim=DIM).as_dict(), rng.choice(tuple(fields)): hostile.any()}},
    )
    yield _entry("SonaConfig.preset", SonaConfig.preset, {"name": pool.choice("ephemeral")})


def _entry(
    name: str,
    call: Callable[..., Any],
    takes: Mapping[str, Maker] | None = None,
    optional: Any = (),
    weight: float = 1.0,
    in_small: bool = False,
) -> Entry:
    return Entry(
        name=name, call=call, takes=takes or {}, optional=frozenset(optional), weight=weight, in_small=in_small
    )
