"""Patterns of one's own: an embedder, a judge, and answers that are queries to run.

swarm up && python examples/tutorial_custom_patterns.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from swarm.embed import CallableEmbedder, EmbedderIdentity
from swarm.services.swarm import Swarm
from swarm.services.verdict import AgentResult

TABLES = ("orders", "customers", "invoices", "refunds")
WORDS = (*TABLES, "count", "sum", "latest", "month", "country", "per")


def vectors(texts: list[str]) -> np.ndarray:
    """An embedder for questions about a database: one axis for each of its words. (n, d)"""
    return np.array([[float(word in text) for word in WORDS] + [0.1] * 6 for text in texts], dtype=np.float32)


def runs(task: str, outputs: Mapping[str, str]) -> str | None:
    """A judge: of what the agents wrote, what is valid and names a table that the task speaks of."""
    for output in outputs.values():
        try:
            plan = json.loads(output)
        except json.JSONDecodeError:
            continue
        if plan.get("from") in TABLES and plan["from"] in task:
            return output
    return None


def main() -> None:
    # A change of the vectors is a new version: a swarm refuses those of another one.
    swarm = Swarm(embedder=CallableEmbedder(vectors, EmbedderIdentity(id="sql-words", dim=len(WORDS) + 6, version="1")))
    for name in ("writer-1", "writer-2", "writer-3"):
        swarm.register(name, role="sql")

    report = swarm.learn_from_swarm_execution(
        "count orders per country",
        {
            "writer-1": AgentResult(output='{"select": "count(*)", "from": "orders", "by": "country"}'),
            "writer-2": AgentResult(output='{"select": "count(*)", "from": "refunds", "by": "country"}'),
            "writer-3": AgentResult(output="SELECT something"),
        },
        consensus=runs,
    )
    print(f"the judge takes: {report.answer}")

    # What is known already is stored as patterns; they belong to an agent `library`, whose word is believed.
    receipts = [
        swarm.store_pattern(task, output, metadata={"reviewed": "yes"})
        for task, output in (
            ("sum invoices per month", '{"select": "sum(total)", "from": "invoices", "by": "month"}'),
            ("latest refunds", '{"select": "*", "from": "refunds", "order": "-day"}'),
        )
    ]
    for receipt in receipts:
        swarm.wait(receipt)

    for question in ("sum invoices per country", "count orders per month"):
        [hit] = swarm.query(question, k=1)
        print(f"{question}: {json.loads(hit.response)['from']}, by {hit.sources[0].agent}")


if __name__ == "__main__":
    main()
