"""Make an agent, which replays its spool until Redis goes away, and print what is left there: NAME."""

import sys

from swarm.services.swarm import Swarm
from swarm_agents import Agent

if __name__ == "__main__":
    agent = Agent(sys.argv[1], swarm=Swarm())
    while agent.health().spooled and agent.refresh():
        pass
    print(agent.health().spooled)
