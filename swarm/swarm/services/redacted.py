"""Trajectories and tasks as their agent's redaction leaves them.

Whatever brings text of an agent into the swarm calls this before the text is embedded, stored or sent: the hooks, the
delivery of what was spooled, `Swarm.record`, `Swarm.store_pattern`, and the tasks. Done twice it is the same as once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from swarm.embed.redaction import NO_REDACTION, Redaction
from swarm.sona.clusters import action_of
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm.store.agents import Directory
from swarm.wire.agent_policy import AgentPolicy


def redaction_of(policy: AgentPolicy) -> Redaction:
    """What a policy has taken out."""
    return Redaction(policy.redact) if policy.redact else NO_REDACTION


def redaction_for(directory: Directory, agent: str, role: str = "") -> Redaction:
    """What is taken out of a text for one agent, or for whoever of a role will have it: then for all of them."""
    names = {agent} | {name for name in directory.policies if role and directory.roles[name] == role}
    rules = [rule for name in names if name in directory.policies for rule in directory.policies[name].redact]
    return Redaction(rules) if rules else NO_REDACTION


def redacted(trajectory: Trajectory, redaction: Redaction, embed: Callable[[str], Vector]) -> Trajectory:
    """A trajectory without what is taken out of its texts; the same object if that is nothing.

    A text that changes is embedded anew: its vector said what it said. An action that stands for a response stands for
    what is left of it. Names stay as they are: ids, keys, the agent.
    """
    if not redaction:
        return trajectory
    text, response = redaction.text(trajectory.text), redaction.text(trajectory.response)
    is_of_response = trajectory.action == action_of(trajectory.response)
    after = replace(
        trajectory,
        text=text,
        response=response,
        action=action_of(response) if is_of_response else redaction.text(trajectory.action),
        route=redaction.text(trajectory.route),
        task_type=redaction.text(trajectory.task_type),
        context={redaction.text(key): redaction.text(value) for key, value in trajectory.context.items()},
        steps=tuple(replace(step, node=redaction.text(step.node)) for step in trajectory.steps),
        embedding=trajectory.embedding if text == trajectory.text else embed(text),
    )
    return trajectory if _texts(after) == _texts(trajectory) else after


def _texts(one: Trajectory) -> tuple[object, ...]:
    nodes = tuple(step.node for step in one.steps)
    return one.text, one.response, one.action, one.route, one.task_type, dict(one.context), nodes
