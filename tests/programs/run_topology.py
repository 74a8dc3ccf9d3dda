"""Runs the example of a hierarchy as a coordinator of its own: JOB."""

from __future__ import annotations

import sys
from importlib import import_module

from swarm.services.swarm import Swarm

if __name__ == "__main__":
    import_module("topology_hierarchy").run(Swarm(), sys.argv[1], "member")
