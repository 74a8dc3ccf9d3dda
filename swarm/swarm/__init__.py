"""A coordination service for swarms of AI agents that share what they learn.

`swarm.sona` is the numeric core (NumPy only); `swarm.services` has `Swarm`, the service over Redis.
This package itself imports nothing, so that the core can be used alone.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
