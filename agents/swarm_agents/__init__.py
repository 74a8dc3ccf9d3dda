"""The agent's side: hooks around tasks, a local replica, learning in the caller, a spool for bad times."""

from swarm_agents.advice import TaskAdvice
from swarm_agents.agent import Agent, AgentHealth
from swarm_agents.application import Application
from swarm_agents.spool import Spool
from swarm_agents.task import Task

__all__ = ["Agent", "AgentHealth", "Application", "Spool", "Task", "TaskAdvice"]
