"""An agent that knows a codebase: asked in words, told which answer was right, better at the next question.

swarm up && python examples/tutorial_codebase.py
"""

from __future__ import annotations

import json
from pathlib import Path

from swarm_agents.codebase import Codebase

QUESTION = "turn text into objects"

code = Codebase("stdlib-json")
report = code.index(Path(json.__file__).parent, extensions=["py"])
print(f"{report.chunks} chunks of {report.files} files")

answers = code.query(QUESTION, k=5)
for hit in answers:
    print(f"{hit.path}:{hit.first}-{hit.last} {hit.name}")
right = next(hit for hit in answers if hit.name.endswith("loads"))
code.feedback(right.id, is_good=True, wait_s=30.0)

best = code.query("turn a text into objects", k=1)[0]
code.close()
print(f"asked again: {best.path}, {best.name.rpartition(':')[2]}")
