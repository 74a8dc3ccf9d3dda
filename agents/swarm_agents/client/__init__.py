"""Clients: one interface to a swarm, in this process, over Redis or over a gateway; plain and async."""

from swarm_agents.client.connect import connect, connect_async
from swarm_agents.client.interface import AsyncSwarmClient, SwarmClient

__all__ = ["AsyncSwarmClient", "SwarmClient", "connect", "connect_async"]
