"""Make an agent, which replays its spool, and print what is left there: NAME."""

import sys

from swarm.services.swarm import Swarm
from swarm_agents import Agent

if __name__ == "__main__":
    print(Agent(sys.argv[1], swarm=Swarm()).health().spooled)
