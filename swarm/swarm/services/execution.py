"""Learning from what several agents did for one task: each from its own result, against their consensus.

What an outcome is then worth, and what happens without a consensus: `verdict`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

from swarm.embed.redaction import Redaction
from swarm.embed.text import check_text
from swarm.errors import InputError, UnknownIdError, shown
from swarm.services.answers import Same, group_answers
from swarm.services.receipts import Receipt
from swarm.services.redacted import redaction_for
from swarm.services.verdict import (
    AgentResult,
    Threshold,
    Verdict,
    check_result,
    decode_verdict,
    encode_verdict,
    judge_by_truth,
    judge_by_vote,
)
from swarm.sona.clusters import action_of
from swarm.sona.consensus import Reliability
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.store.agents import Directory
from swarm.store.reliability import ReliabilityStore

MAX_AGENTS = 1000
OUR_KEY = "execution:"
"""Begins the idempotency keys of these outcomes, so that none is mistaken for a task of the agent's own."""
_VOTES = ("majority", "weighted")
_TRUTH = ""
"""Stands for who knows the answer among the agents; no agent has this name."""


def outcome_key(execution: str) -> str:
    """The idempotency key of each agent's outcome of an execution."""
    return f"{OUR_KEY}{execution}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The answer is known, or was agreed on elsewhere: by a test, by a person, by the agents themselves."""

    answer: str


Judge: TypeAlias = Callable[[str, Mapping[str, str]], str | None]
"""Called with the task and each agent's output; answers the right text, or None if it cannot tell: then the
agents vote, weighted."""
ConsensusRule: TypeAlias = Literal["majority", "weighted"] | Threshold | Agreed | Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentVerdict:
    """What came of one agent's result.

    `agrees` tells whether its answer is the consensus; `probability` is that it is right, None without a consensus;
    `quality` is that of the outcome that was recorded under `receipt`, both None if none was.
    """

    agent: str
    agrees: bool
    probability: float | None
    quality: float | None
    receipt: Receipt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionReport:
    """What a swarm came to for one task.

    `answer` is None without a consensus; `probability` is that of the best answer, `agreement` the share of the
    answers that are it. `reliabilities` are those of its agents after this execution.
    """

    execution: str
    answer: str | None
    probability: float
    agreement: float
    agents: tuple[AgentVerdict, ...]
    reliabilities: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


class Recorder(Protocol):
    """What is needed of a swarm."""

    def embed(self, text: object, parameter: str = "text") -> Vector: ...

    def task_type(self, vector: Vector) -> str: ...

    def roles(self) -> dict[str, str]: ...

    def record(self, trajectory: Trajectory, idempotency_key: str) -> Receipt: ...


def learn_from_execution(
    task: str,
    results: Mapping[str, AgentResult | str],
    consensus: ConsensusRule,
    swarm: Recorder,
    reliabilities: ReliabilityStore,
    execution: str,
    *,
    same: Same = None,
    choices: int | None = None,
) -> ExecutionReport:
    """See `Swarm.learn_from_swarm_execution`.

    The verdict is kept first, with what it adds to the reliabilities; then come the outcomes. Whoever is killed between
    can call again with the same id: the verdict holds, and what was recorded is not recorded twice.
    """
    embedding = swarm.embed(task, "task")
    if not isinstance(results, Mapping):
        raise InputError(f"results must map agents to results, got {type(results).__name__}")
    _check_agents(results, swarm.roles())
    checked = {agent: check_result(agent, result) for agent, result in sorted(results.items())}
    kept = reliabilities.find(execution)
    if kept is None:
        verdict, credits = _judge(task, checked, consensus, swarm, reliabilities.read(), same, choices)
        kept = reliabilities.judge(execution, encode_verdict(verdict), credits)
    verdict = decode_verdict(kept)
    _check_same_results(execution, verdict, checked)
    base = Trajectory(
        id=outcome_key(execution),
        embedding=embedding,
        quality=0.0,
        text=task,
        task_type=swarm.task_type(embedding),
        at_s=time.time(),
        context={"execution": execution},
    )
    receipts = {
        agent: swarm.record(_outcome(base, agent, checked[agent], judged.action, judged.quality), base.id)
        for agent, judged in verdict.agents.items()
        if judged.quality is not None
    }
    return _report(execution, verdict, receipts, reliabilities.read())


def redacted_results(
    task: str, results: Mapping[str, AgentResult | str], directory: Directory
) -> tuple[str, Mapping[str, AgentResult | str]]:
    """A task and what came of it: each output without what its agent's redaction takes out, the task without any of it.

    What is no text, and no mapping, is left to who checks it.
    """
    if not (isinstance(results, Mapping) and any(agent in directory.policies for agent in results)):
        return task, results
    redactions = {agent: redaction_for(directory, agent) for agent in results}
    rules = Redaction(name for redaction in redactions.values() for name in redaction.names)
    outputs = {agent: _redacted(result, redactions[agent]) for agent, result in results.items()}
    return rules.text(task) if isinstance(task, str) else task, outputs


def _redacted(result: AgentResult | str, redaction: Redaction) -> AgentResult | str:
    if isinstance(result, AgentResult) and isinstance(result.output, str):
        return replace(result, output=redaction.text(result.output))
    return redaction.text(result) if isinstance(result, str) else result


def _judge(
    task: str,
    results: Mapping[str, AgentResult],
    consensus: ConsensusRule,
    swarm: Recorder,
    reliabilities: Mapping[str, Reliability],
    same: Same,
    choices: int | None,
) -> tuple[Verdict, dict[str, Reliability]]:
    outputs = {agent: result.output for agent, result in results.items() if result.output}
    truth = consensus.answer if isinstance(consensus, Agreed) else None
    if callable(consensus):
        truth = consensus(task, outputs)
    elif not isinstance(consensus, Agreed | Threshold) and not (isinstance(consensus, str) and consensus in _VOTES):
        raise InputError(
            f"consensus must be 'majority', 'weighted', a Threshold, Agreed or a judge, got {shown(consensus, 60)}"
        )
    if truth is None:
        threshold = consensus if isinstance(consensus, Threshold) else Threshold(rule="weighted")
        if isinstance(consensus, str) and consensus == "majority":
            threshold = Threshold(rule="majority")
        return judge_by_vote(results, group_answers(outputs, same, swarm.embed), threshold, reliabilities, choices)
    answers = group_answers(outputs | {_TRUTH: check_text(truth, "consensus")}, same, swarm.embed)
    return judge_by_truth(results, answers, answers.pop(_TRUTH))


def _outcome(base: Trajectory, agent: str, result: AgentResult, action: str, quality: float) -> Trajectory:
    return replace(
        base,
        agent=agent,
        quality=quality,
        action=action,
        response=result.output if action else "",
        route=result.route,
        latency_ms=result.latency_ms,
        cost=result.cost,
    )


def _report(
    execution: str, verdict: Verdict, receipts: Mapping[str, Receipt], reliabilities: Mapping[str, Reliability]
) -> ExecutionReport:
    return ExecutionReport(
        execution=execution,
        answer=verdict.answer,
        probability=verdict.probability,
        agreement=verdict.agreement,
        agents=tuple(
            AgentVerdict(
                agent=agent,
                agrees=judged.agrees,
                probability=judged.probability,
                quality=judged.quality,
                receipt=receipts.get(agent),
            )
            for agent, judged in verdict.agents.items()
        ),
        reliabilities={agent: reliabilities.get(agent, Reliability()).mean for agent in verdict.agents},
    )


def _check_agents(results: Mapping[str, object], known: Mapping[str, str]) -> None:
    if not 1 <= len(results) <= MAX_AGENTS:
        raise InputError(f"results must be of 1..{MAX_AGENTS} agents, got {len(results)}")
    for agent in results:
        if agent not in known:
            raise UnknownIdError(f"agent {shown(agent)} is not registered: see swarm agents list")


def _check_same_results(execution: str, verdict: Verdict, results: Mapping[str, AgentResult]) -> None:
    """What was judged once is not judged again; other results under that id would be passed over in silence."""
    actions = {agent: action_of(r.output) if r.output else "" for agent, r in results.items()}
    if actions != {agent: judged.action for agent, judged in verdict.agents.items()}:
        raise InputError(f"idempotency_key {shown(execution)} was used for other results")
