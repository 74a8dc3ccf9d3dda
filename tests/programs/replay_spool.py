"""Make an agent, which replays its spool, and say so: NAME."""

import sys

from swarm.services.swarm import Swarm
from swarm_agents import Agent

agent = Agent(sys.argv[1], swarm=Swarm())
print(agent.health().spooled)
