"""What an entry is, and good values for what entries take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from benchmarks.fuzz_records import a_trajectory
from benchmarks.fuzz_values import Hostile
from swarm.services.receipts import Receipt, ReceiptState
from swarm.services.tasks import ClaimedTask
from swarm.services.verdict import AgentResult
from swarm.sona.trajectory import Step
from swarm.wire.task_records import TaskRecord

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


def entry_of(
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
