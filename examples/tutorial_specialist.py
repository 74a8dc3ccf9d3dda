"""A specialist from a template and a file: trained, asked, finetuned on one task, put to a new task, taken along.

swarm up && python examples/tutorial_specialist.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from swarm.services.exchange import export_agent_to
from swarm.services.swarm import Swarm
from swarm_agents import AgentFactory
from swarm_agents.training import train

DATA = Path(__file__).parent / "data" / "shell_tasks.jsonl"
ARCHIVES = [
    {"task": "list what is in the archive photos.tar.gz", "output": "tar -tzf photos.tar.gz", "reward": 1.0},
    {"task": "list what is in the archive music.tar.gz", "output": "tar -tzf music.tar.gz", "reward": 1.0},
    {"task": "show the files inside backup.tar.gz", "output": "tar -tzf backup.tar.gz", "reward": 1.0},
    {"task": "show the files inside letters.tar.gz", "output": "tar -tzf letters.tar.gz", "reward": 1.0},
]

swarm = Swarm()
with AgentFactory(swarm) as factory, tempfile.TemporaryDirectory() as folder:
    agent = factory.create("shell-1", "expert")
    report = train(swarm, "shell-1", DATA, rejected=Path(folder) / "rejected.jsonl")
    print(f"{report.trained} examples learned, {report.held_out} kept to judge: {report.before} -> {report.after}")
    for question in ("how many rows does a file have", "which program listens on port 8787"):
        [hit] = factory.find_patterns("shell-1", question, k=1)
        print(f"{question}: {hit.response}")

    learned = agent.finetune("archives", ARCHIVES, epochs=5)
    print(f"finetuned on {learned.recorded} examples: {learned.why}")
    [hit] = factory.find_patterns("shell-1", "list what is in the archive photos.tar.gz", k=1)
    applied = swarm.apply(hit, "list what is in the archive films.tar.gz")

    taken = export_agent_to(swarm, "shell-1", Path(folder) / "shell-1", micro=agent.adapter.micro)
    print("taken along:", ", ".join(sorted(path.name for path in (Path(folder) / "shell-1").iterdir())))
    print(f"for films.tar.gz: {applied.text}")
