"""Jobs of several agents in the five shapes that a swarm takes; each has its own rule for a member that fails.

from swarm.services.topologies import Hierarchy, members

queen, *workers = members("counter", "ada", "bob", "eve")
job = Hierarchy(swarm, "count-1", queen=queen, workers=workers)
print(job.run("count the words of these files", {"files": [...]}).result)
"""

from __future__ import annotations

from swarm.services.topologies.hierarchy import Hierarchy
from swarm.services.topologies.members import Member, members
from swarm.services.topologies.mesh import Mesh
from swarm.services.topologies.peers import PeerToPeer, Question
from swarm.services.topologies.report import JobReport, StepFailure, StepReport
from swarm.services.topologies.ring import Ring
from swarm.services.topologies.star import Star

__all__ = [
    "Hierarchy",
    "JobReport",
    "Member",
    "Mesh",
    "PeerToPeer",
    "Question",
    "Ring",
    "Star",
    "StepFailure",
    "StepReport",
    "members",
]
