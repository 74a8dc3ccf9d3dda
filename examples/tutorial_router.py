"""A router that learns: of two models the cheapest that is good enough, for code and for small talk.

swarm up && python examples/tutorial_router.py
"""

from __future__ import annotations

from swarm.services.swarm import Swarm
from swarm_agents import Agent

MODELS = ("small-model", "large-model")
COST = {"small-model": 0.001, "large-model": 0.02}
TASKS = {
    "talk": ["Say hello to a customer.", "Thank a customer for a review.", "Wish a customer a nice weekend."],
    "code": [
        "Write `def parse(text: str) -> list[dict]:` in Python, which splits CSV lines; raise ValueError on bad rows.",
        "Fix this function: `def total(rows): return sum(row['price'] for row in rows if row)` fails with KeyError.",
        "Write a regular expression such as `\\d{4}-\\d{2}-\\d{2}` for ISO dates, and unit tests with pytest for it.",
    ],
}
NEW = {
    "talk": "Say goodbye to a customer.",
    "code": "Write `def sort_rows(rows: list[dict], key: str) -> list[dict]:` in Python, KeyError on a bad key.",
}


def quality_of(kind: str, model: str) -> float:
    """What a judge would say: small talk both can do, code the large one alone."""
    return 1.0 if kind == "talk" or model == "large-model" else 0.1


def main() -> None:
    agent = Agent("router-1", role="router", swarm=Swarm())
    for number in range(24):
        for kind, texts in TASKS.items():
            # To know both, both must be tried: here in turn, in earnest by `exploration`.
            model = MODELS[number // 3 % 2]
            advice = agent.before_task(texts[number % 3])
            agent.after_task(
                advice.trajectory_id,
                quality=quality_of(kind, model),
                route=model,
                cost=COST[model],
                latency_ms=200.0 if model == "small-model" else 900.0,
            )

    chosen = {}
    for kind, text in NEW.items():
        route = agent.before_task(text, routes=MODELS, strategy="cost", min_quality=0.6).route
        if route is None:
            raise SystemExit("no route was chosen")
        chosen[kind] = route.route
        print(
            f"{text}: {route.route}, expected quality {route.expected_quality:.2f}, {route.cost:.3f} USD: {route.why}"
        )
        for candidate in route.candidates:
            print(f"    {candidate.route}: quality {candidate.expected.quality:.2f}, utility {candidate.utility:.3f}")
    print(f"talk goes to the {chosen['talk']}, code to the {chosen['code']}")


if __name__ == "__main__":
    main()
