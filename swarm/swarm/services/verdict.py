"""The verdict on what several agents did for one task: which answer holds, and what each one's outcome is worth.

An agent's outcome has the quality P(its answer is right) x (the quality it reported, 1 if it reported none): both
must speak for it, so a lone boast against the others becomes a failure, and what an agent itself calls a failure
stays one. The probability comes from the consensus (`sona.consensus`), or from who knows the answer: then it is 1 or 0.

* No consensus (a tie, all different, or the best answer below the threshold): every own report counts as it is.
* One answer alone confirms nothing: its agent's report counts as it is.
* No answer (an empty output) is no vote. Who neither answered nor reported has no outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from swarm.embed.text import MAX_TEXT_BYTES, check_text
from swarm.errors import InputError, shown
from swarm.sona.clusters import action_of
from swarm.sona.consensus import Consensus, Reliability, majority, weigh
from swarm.sona.trajectory import MAX_COST, MAX_LATENCY_MS
from swarm.sona.vectors import check_number
from swarm.sona.vectors import check_text as check_any_text
from swarm.wire.codec import encode
from swarm.wire.records import guarded

_MAX_ROUTE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResult:
    """What one agent came to. `success` or `quality` in [0, 1] is its own report; it may give neither.

    Latency in ms, cost in USD.
    """

    output: str
    quality: float | None = None
    success: bool | None = None
    latency_ms: float = 0.0
    cost: float = 0.0
    route: str = ""

    @property
    def reported(self) -> float | None:
        """The quality it reports."""
        return self.quality if self.success is None else float(self.success)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A vote that must be as clear as this to be a consensus: the least probability of the best answer."""

    min_probability: float = 0.5
    rule: Literal["majority", "weighted"] = "weighted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One agent's part in a verdict.

    `action` is what its output stands for ("" without one); `agrees` whether that is the consensus; `probability` that
    it is right, None without a consensus; `quality` that of its outcome, None where nothing is recorded.
    """

    action: str
    agrees: bool
    probability: float | None
    quality: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`answer` is None without a consensus; `probability` is that of the best answer, `agreement` its share."""

    answer: str | None
    probability: float
    agreement: float
    agents: Mapping[str, Judged]


def judge_by_vote(
    results: Mapping[str, AgentResult],
    answers: Mapping[str, str],
    threshold: Threshold,
    reliabilities: Mapping[str, Reliability],
    choices: int | None,
) -> tuple[Verdict, dict[str, Reliability]]:
    """The verdict of the agents' own vote, and what it adds to their reliabilities.

    Parameters
    ----------
    answers : agent -> the text that stands for its answer, of those that answered
    choices : see `sona.consensus.weigh`
    """
    if not answers:
        return _verdict(results, answers, None, 0.0, 0.0, {}), {}
    found: Consensus = (
        majority(answers) if threshold.rule == "majority" else weigh(answers, reliabilities, choices=choices)
    )
    is_reached = found.answer is not None and found.probability >= threshold.min_probability
    is_confirmed = is_reached and len(answers) > 1
    right = {agent: found.posterior[answer] for agent, answer in answers.items()}
    credits = {agent: Reliability(n=1.0, right=p) for agent, p in right.items()} if len(answers) > 1 else {}
    verdict = _verdict(
        results,
        answers,
        found.answer if is_reached else None,
        found.probability,
        found.agreement,
        right if is_confirmed else {},
    )
    return verdict, credits


def judge_by_truth(
    results: Mapping[str, AgentResult], answers: Mapping[str, str], truth: str
) -> tuple[Verdict, dict[str, Reliability]]:
    """The verdict where the right answer is known; `truth` is the text that stands for it in `answers`."""
    right = {agent: float(answer == truth) for agent, answer in answers.items()}
    agreement = sum(right.values()) / len(right) if right else 0.0
    credits = {agent: Reliability(n=1.0, right=p) for agent, p in right.items()}
    return _verdict(results, answers, truth, 1.0, agreement, right), credits


def _verdict(
    results: Mapping[str, AgentResult],
    answers: Mapping[str, str],
    answer: str | None,
    probability: float,
    agreement: float,
    right: Mapping[str, float],
) -> Verdict:
    agents = {}
    for agent, result in results.items():
        p, reported = right.get(agent), result.reported
        quality = reported if p is None else p * (1.0 if reported is None else reported)
        action = action_of(result.output) if result.output else ""
        agrees = answer is not None and answers.get(agent) == answer
        agents[agent] = Judged(action=action, agrees=agrees, probability=p, quality=quality)
    return Verdict(answer=answer, probability=probability, agreement=agreement, agents=agents)


def check_result(agent: str, result: AgentResult | str) -> AgentResult:
    """The result, its values checked; a text alone is an output without a report, white space alone is none.

    Raises
    ------
    InputError
        If one is of another type or out of bounds; the message names the agent.
    """
    if isinstance(result, str):
        result = AgentResult(output=result)
    if not isinstance(result, AgentResult):
        raise InputError(f"results of {shown(agent)} must be an AgentResult or a text, got {type(result).__name__}")
    if result.success is not None and (result.quality is not None or not isinstance(result.success, bool)):
        raise InputError(f"results of {shown(agent)}: give success (True or False) or quality, or neither")
    if result.quality is not None:
        check_number(result.quality, f"quality of {shown(agent)}", 0.0, 1.0)
    check_number(result.latency_ms, f"latency_ms of {shown(agent)}", 0.0, MAX_LATENCY_MS)
    check_number(result.cost, f"cost of {shown(agent)}", 0.0, MAX_COST)
    if len(check_any_text(result.route, f"route of {shown(agent)}")) > _MAX_ROUTE:
        raise InputError(f"route of {shown(agent)} may have {_MAX_ROUTE} characters at most, got {len(result.route)}")
    if isinstance(result.output, str) and not result.output.strip():
        return replace(result, output="")
    check_text(result.output, f"output of {shown(agent)}")
    return result


def encode_verdict(verdict: Verdict) -> bytes:
    """A verdict as a record."""
    return encode("verdict", asdict(verdict))


def decode_verdict(data: bytes) -> Verdict:
    """The inverse of `encode_verdict`."""
    return guarded("verdict", data, _decoded)


def _decoded(payload: Mapping[str, Any]) -> Verdict:
    answer = payload["answer"]
    agents = {}
    for agent, values in payload["agents"].items():
        judged = Judged(**values)
        if not isinstance(judged.agrees, bool):
            raise InputError(f"agrees must be True or False, got {shown(judged.agrees, 40)}")
        check_any_text(judged.action, "action")
        for name in ("probability", "quality"):
            if getattr(judged, name) is not None:
                check_number(getattr(judged, name), name, 0.0, 1.0)
        agents[check_any_text(agent, "agent")] = judged
    if answer is not None and len(check_any_text(answer, "answer")) > MAX_TEXT_BYTES:
        raise InputError(f"answer may have {MAX_TEXT_BYTES} characters at most, got {len(answer)}")
    return Verdict(
        answer=answer,
        probability=check_number(payload["probability"], "probability", 0.0, 1.0),
        agreement=check_number(payload["agreement"], "agreement", 0.0, 1.0),
        agents=agents,
    )
