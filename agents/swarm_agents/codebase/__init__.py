"""What an agent knows of a repository: indexed by its syntax, searched by words and meaning, taught by feedback."""

from swarm_agents.codebase.codebase import Codebase
from swarm_agents.codebase.feedback import Feedback
from swarm_agents.codebase.index import IndexReport
from swarm_agents.codebase.search import CodeHit

__all__ = ["CodeHit", "Codebase", "Feedback", "IndexReport"]
