"""The agent's side: hooks around tasks, a local replica, learning in the caller, a spool for bad times."""

from swarm_agents.advice import TaskAdvice
from swarm_agents.agent import Agent, AgentHealth
from swarm_agents.applied import AppliedPattern
from swarm_agents.factory import AgentFactory
from swarm_agents.finetune import FinetuneReport
from swarm_agents.measures import Measure
from swarm_agents.spool import Spool
from swarm_agents.task import Task

__all__ = [
    "Agent",
    "AgentFactory",
    "AgentHealth",
    "AppliedPattern",
    "FinetuneReport",
    "Measure",
    "Spool",
    "Task",
    "TaskAdvice",
]
