"""The router inside the hooks: it answers with Redis away too, and hears what became of what it advised."""

from __future__ import annotations

from collections.abc import Sequence

from swarm.errors import NoRouteError, RecordError, StoreUnavailableError
from swarm.services.route_advice import RouteAdvice, RouteChoices, no_route, route_names, route_question
from swarm.services.swarm import Swarm
from swarm.sona.routing.near import NEIGHBOURS
from swarm.sona.routing.statistics import TOOLS
from swarm.sona.trajectory import Trajectory
from swarm.sona.vectors import Vector
from swarm_agents.breaker import Breaker

DECISION, SESSION = "decision", "session"
"""Keys of a trajectory's context: the decision it follows, and the session it is part of."""
FAILED_BELOW = 0.5
"""A task that ended with less has failed, and its session's route with it."""


class Routing:
    """What one pre-task hook asks of the router.

    Parameters
    ----------
    min_quality : of the hook; 0 is no bound
    options : the hook's options for `route_question`; with any of them the decision is kept

    Raises
    ------
    InputError
        If an option is out of its bounds.
    """

    def __init__(
        self,
        agent: str,
        swarm: Swarm,
        breaker: Breaker,
        min_quality: float,
        tools: Sequence[str],
        options: RouteChoices,
    ) -> None:
        self._agent = agent
        self._swarm = swarm
        self._breaker = breaker
        self._tools = route_names(tools, "tools")
        self._question = route_question(min_quality=min_quality or None, **options)
        self._is_kept = bool(options)

    def advise(self, query: Vector, y: Vector, text: str) -> RouteAdvice | None:
        """The route for a task, of which `query` is the embedding and `y` the one that its agent bends it to.

        Without Redis it answers from what it knows: then budgets were not asked, and the decision is not kept. With no
        routes to choose from (`routes=()`, or nobody routes in this swarm) there is no advice.
        """
        asks_for_none = self._question.routes == () and not self._question.request.fallback
        if asks_for_none or (not self._is_kept and self._swarm.router.knowledge.is_empty):
            # Looking around the task is most of a hook's time, and would be for nothing.
            return None
        near = self._swarm.replica.nearest(y, NEIGHBOURS)
        for is_online in (self._is_kept and not self._breaker.is_open, False):
            try:
                return self._swarm.router.decide(
                    self._question, query, text, near, tools=self._tools, agent=self._agent, is_online=is_online
                )
            except NoRouteError as error:
                return no_route(str(error))
            except StoreUnavailableError as error:
                self._breaker.failed(error)
            except RecordError as error:
                self._breaker.noted(error)
        raise AssertionError("a decision without Redis asks nothing of it")

    def context(self, advice: RouteAdvice | None) -> dict[str, str]:
        """What the trajectory must remember of it."""
        found = {}
        if self._tools:
            found[TOOLS] = "\n".join(self._tools)
        if self._question.session:
            found[SESSION] = self._question.session
        if advice is not None and advice.decision_id:
            found[DECISION] = advice.decision_id
        return found


def report_route(swarm: Swarm, breaker: Breaker, ended: Trajectory, stream_id: str) -> None:
    """Tell the router how a task ended: it learns at once, settles what was reserved, and notes a failure."""
    swarm.router.learn(ended, stream_id)
    decision, session = ended.context.get(DECISION, ""), ended.context.get(SESSION, "")
    has_failed = bool(session and ended.route) and ended.quality < FAILED_BELOW
    try:
        if decision and not breaker.is_open:
            swarm.router.settle(decision, ended.cost)
        if has_failed:
            swarm.router.failed(session, ended.route, is_online=not breaker.is_open)
    except StoreUnavailableError as error:
        breaker.failed(error)
        if has_failed:
            swarm.router.failed(session, ended.route, is_online=False)
    except RecordError as error:
        breaker.noted(error)
