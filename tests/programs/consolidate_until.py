"""Consolidate one agent until so many outcomes are processed: AGENT COUNT; prints the reports, one JSON a line."""

import json
import sys
import time

from swarm.errors import StoreUnavailableError
from swarm.services.background import Background
from swarm.settings import load_settings
from swarm.store.agents import AgentStore
from swarm.store.connection import connect
from swarm.wire.keys import SwarmKeys

agent, count = sys.argv[1], int(sys.argv[2])
settings = load_settings()
background = Background(settings)
agents = AgentStore(connect(settings), SwarmKeys(settings.name))
while True:
    try:
        if agents.state(agent).processed >= count:
            break
        print(json.dumps(background.consolidate(agent, "test", time.time())), flush=True)
    except StoreUnavailableError:
        time.sleep(0.05)
