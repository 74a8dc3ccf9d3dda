"""Tells agents of tasks that ended in no process's hands: the worker had died, or the deadline passed.

Whoever had the task cannot say so any more. The next process of the role's pool does, under the key that the attempts
would have used: killed in between, or done by two at once, it has one effect.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from swarm.errors import StoreUnavailableError, UnknownIdError
from swarm.services.tasks import Tasks, UnreportedTask
from swarm.telemetry.logs import told
from swarm.wire.task_records import text_of
from swarm_workers.hooks import Agents, HookedAgent
from swarm_workers.plan import RolePlan

logger = logging.getLogger(__name__)
_LATER = 60.0
"""A report that cannot be made is tried again after so many seconds, as long as a receipt lives."""


def tell_agents(tasks: Tasks, agents: Agents, plan: RolePlan) -> int:
    """Report the failures of a role that were not reported, and close what their attempts left open; how many."""
    number = 0
    for task in tasks.unreported(plan.role):
        try:
            agent = agents.get(task.record.agent or plan.agent_name, plan.role)
            if agent is not None:
                _tell(agent, task)
        except StoreUnavailableError:
            raise
        except Exception as error:
            # All of them, on purpose: whatever is wrong with an agent, the pool goes on.
            logger.warning(
                "the end of task %s cannot be reported now: %s",
                *(task.report_key, told(error)),
                extra={"content": str(error)},
            )
            tasks.report_later(plan.role, task.report_key, _LATER)
        else:
            tasks.reported(plan.role, task.report_key)
            number += 1
    return number


def _tell(agent: HookedAgent, task: UnreportedTask) -> None:
    if not task.has_failed:
        with suppress(UnknownIdError):
            agent.abandon(task.report_key)
        return
    try:
        _report_failure(agent, task.report_key)
    except UnknownIdError:
        # No attempt has left its trajectory open, and none has reported.
        agent.before_task(text_of(task.record), trajectory_id=task.report_key)
        _report_failure(agent, task.report_key)


def _report_failure(agent: HookedAgent, key: str) -> None:
    agent.after_task(key, quality=0.0, used=None, output="", route="", latency_ms=0.0, cost=0.0, idempotency_key=key)
