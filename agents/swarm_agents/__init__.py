"""The agent's side: hooks around tasks, a local replica, learning in the caller, a spool for bad times."""

from swarm_agents.advice import TaskAdvice
from swarm_agents.agent import Agent, AgentHealth, Task
from swarm_agents.spool import Spool

__all__ = ["Agent", "AgentHealth", "Spool", "Task", "TaskAdvice"]
