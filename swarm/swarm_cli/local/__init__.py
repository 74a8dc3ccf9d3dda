"""The runtime on this machine: a private Redis and a pool of workers, up, down and examined."""

POOL = "local"
"""The worker pool that `swarm up` starts."""
