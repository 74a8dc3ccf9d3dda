"""`Codebase`: what an agent knows of a repository.

codebase = Codebase("code", Swarm())
codebase.index("~/projects/mine", extensions=["py"])
[first, *_] = codebase.query("where are dates parsed?")
codebase.feedback(first.id, is_good=True)
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from swarm.services.swarm import Swarm
from swarm.wire.keys import check_name
from swarm_agents.agent import Agent
from swarm_agents.codebase.feedback import Feedback, check_answer, give_feedback
from swarm_agents.codebase.index import IndexReport, index_codebase
from swarm_agents.codebase.languages import LANGUAGES
from swarm_agents.codebase.search import CodeHit, CodeSearch
from swarm_agents.codebase.walk import MAX_FILES

DEFAULT_NAME = "code"


class Codebase:
    """The codebase of one agent, in this process; several processes see what the others index and say.

    Parameters
    ----------
    name : of the agent; it is registered by the first `index`
    """

    def __init__(self, name: str = DEFAULT_NAME, swarm: Swarm | None = None) -> None:
        self.name = check_name(name, "name")
        self.swarm = swarm or Swarm()
        self._search = CodeSearch(self.swarm, name)
        self._agent: Agent | None = None

    def index(
        self,
        path: str | Path,
        *,
        extensions: Collection[str] = tuple(LANGUAGES),
        max_files: int = MAX_FILES,
        processes: int = 1,
        replace: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> IndexReport:
        """Index the files below `path`; what has not changed since the last time is left as it is.

        See `index_codebase`.
        """
        return index_codebase(
            self.swarm,
            self.name,
            path,
            extensions=extensions,
            max_files=max_files,
            processes=processes,
            replace=replace,
            on_progress=on_progress,
        )

    def is_complete(self) -> bool:
        """Whether the last run came to its end; if not, answers may be missing or out of date."""
        return self._search.store.is_complete()

    def query(self, text: str, k: int = 5) -> list[CodeHit]:
        """The k chunks that answer a question best, best first; see `CodeSearch.query`."""
        return self._search.query(text, k)

    def feedback(self, answer_id: str, *, is_good: bool, wait_s: float = 0.0) -> Feedback:
        """Say whether an answer was good; see `give_feedback`."""
        # Looked up first: an agent that never answered must not be registered by what is said to it.
        check_answer(self._search.store, answer_id)
        if self._agent is None:
            self._agent = Agent(self.name, swarm=self.swarm)
        return give_feedback(self._agent, answer_id, is_good=is_good, wait_s=wait_s)

    def close(self) -> None:
        """End this agent's part in this process."""
        if self._agent is not None:
            self._agent.close()
