"""Bind the swarm to an embedder when the standard input ends: DIM; prints "bound" or the error."""

import sys

from swarm.embed.identity import EmbedderIdentity
from swarm.errors import EmbedderMismatchError
from swarm.settings import load_settings
from swarm.store.connection import connect
from swarm.store.meta import bind_embedder
from swarm.wire.keys import SwarmKeys


def main(dim: int) -> None:
    """Wait for the others, then bind."""
    settings = load_settings()
    identity = EmbedderIdentity(id="test", dim=dim, version="1")
    print("ready", flush=True)
    sys.stdin.read()
    try:
        with connect(settings) as client:
            bind_embedder(client, SwarmKeys(settings.name), identity)
        print("bound")
    except EmbedderMismatchError as error:
        print(error)


if __name__ == "__main__":
    main(int(sys.argv[1]))
