"""One program learns, another one follows what comes of it: both in this process, or in any other.

swarm up && python examples/follow_events.py
"""

from __future__ import annotations

import threading

from swarm.services.swarm import Swarm
from swarm.store.events import Event
from swarm.wire.event_types import LearnComplete, MergeComplete, PatternStored
from swarm_agents import Agent

TASKS = {"read a CSV file": "csv.DictReader(file)", "sum a column": "sum(map(float, column))"}


class Watcher:
    """Adds up what it is called with, in a thread of its own, whatever this process does meanwhile."""

    def __init__(self) -> None:
        self.learned = self.stored = 0
        self.is_done = threading.Event()

    def __call__(self, event: Event) -> None:
        match event.body:
            case LearnComplete(agent=agent, outcomes=outcomes):
                print(f"{agent} learned {outcomes} outcomes")
                self.learned += outcomes
            case PatternStored(pattern=pattern, quality=quality):
                print(f"pattern {pattern} was stored, quality {quality:g}")
                self.stored += 1
            case MergeComplete() if self.learned == len(TASKS):
                self.is_done.set()


swarm, watcher = Swarm(), Watcher()
before = swarm.events.follow().position
with swarm.events.on("*", watcher):
    agent = Agent("coder-1", swarm=swarm, role="coder")
    for task, output in TASKS.items():
        advice = agent.before_task(task)
        agent.after_task(advice.trajectory_id, success=True, output=output)
    watcher.is_done.wait(60.0)
agent.close()

# Who comes later reads what happened since, and goes on behind the last event that it has seen.
merges = sum(isinstance(event.body, MergeComplete) for event in swarm.events.follow(after=before, patience_s=0.0))
print(f"{watcher.learned} outcomes learned, {watcher.stored} patterns stored, published in {merges or 'no'} merges")
