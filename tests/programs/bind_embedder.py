"""Bind the swarm to an embedder when the standard input ends: DIM; prints "bound" or the error."""

import sys

from swarm.embed.identity import EmbedderIdentity
from swarm.errors import EmbedderMismatchError
from swarm.settings import load_settings
from swarm.store.connection import connect
from swarm.store.meta import bind_embedder
from swarm.wire.keys import SwarmKeys

settings = load_settings()
print("ready", flush=True)
sys.stdin.read()
try:
    with connect(settings) as client:
        bind_embedder(client, SwarmKeys(settings.name), EmbedderIdentity(id="test", dim=int(sys.argv[1]), version="1"))
    print("bound")
except EmbedderMismatchError as error:
    print(error)
