"""Consolidate one agent until so many outcomes are processed: AGENT COUNT; prints the reports, one JSON a line."""

import json
import sys
import time

from swarm.services.background import Background
from swarm.settings import load_settings
from swarm.store.agents import AgentStore
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys


def main(agent: str, count: int) -> None:
    """Ask for a consolidation again and again, as a worker is nudged."""
    settings = load_settings()
    background = Background(settings)
    agents = AgentStore(connect(settings), SwarmKeys(settings.name))
    while agents.state(agent).processed < count:
        print(json.dumps(background.consolidate(agent, "test", time.time())), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
