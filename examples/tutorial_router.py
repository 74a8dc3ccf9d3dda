"""A router that learns: of four models the cheapest that is good enough, for small talk, for summaries and for code.

swarm up && python examples/tutorial_router.py
"""

from __future__ import annotations

from swarm.services.swarm import Swarm
from swarm_agents import Agent

MODELS = {"local": (0.0001, 100.0), "instant": (0.001, 300.0), "turbo": (0.002, 500.0), "large": (0.03, 2_000.0)}
"""USD and milliseconds a call."""
TASKS = {
    "talk": ["Say hello to a customer.", "Thank a customer for a review.", "Wish a customer a nice weekend."],
    "summary": [
        "Summarise this report on sales in three sentences: revenue rose in spring, fell in summer, and rose again.",
        "Summarise the minutes of the board meeting in two sentences: budget, hiring, office, travel, next meeting.",
        "Summarise the complaints of this month in one paragraph: delivery, packaging, invoices, returns, refunds.",
    ],
    "code": [
        "Write `def parse(text: str) -> list[dict]:` in Python, which splits CSV lines; raise ValueError on bad rows.",
        "Fix this function: `def total(rows): return sum(row['price'] for row in rows if row)` fails with KeyError.",
        "Write a regular expression such as `\\d{4}-\\d{2}-\\d{2}` for ISO dates, and unit tests with pytest for it.",
    ],
}
GOOD_AT = {"talk": set(MODELS), "summary": {"turbo", "large"}, "code": {"large"}}
NEW = {
    "talk": "Say goodbye to a customer.",
    "summary": "Summarise the survey of customers in three sentences: price, service, delivery, website, returns.",
    "code": "Write `def sort_rows(rows: list[dict], key: str) -> list[dict]:` in Python, KeyError on a bad key.",
}


def main() -> None:
    agent = Agent("router-1", role="router", swarm=Swarm())
    names = list(MODELS)
    for number in range(96):
        for kind, texts in TASKS.items():
            # To know all, all must be tried: here in turn, in earnest by `exploration`.
            model = names[number // 3 % 4]
            cost, latency_ms = MODELS[model]
            advice = agent.before_task(texts[number % 3])
            # What a judge would say.
            quality = 0.95 if model in GOOD_AT[kind] else 0.1
            agent.after_task(advice.trajectory_id, quality=quality, route=model, cost=cost, latency_ms=latency_ms)

    chosen = {}
    for kind, text in NEW.items():
        # A task done well is worth half a cent: a model that is a little better may cost a little more, not ten times.
        route = agent.before_task(text, routes=names, worth=0.005, min_quality=0.6).route
        if route is None:
            raise SystemExit("no route was chosen")
        chosen[kind] = route.route
        print(
            f"{text}: {route.route}, expected quality {route.expected_quality:.2f}, {route.cost:.4f} USD: {route.why}"
        )
        for candidate in route.candidates:
            print(f"    {candidate.route}: quality {candidate.expected.quality:.2f}, {candidate.excluded or 'allowed'}")
    print(f"talk goes to {chosen['talk']}, summaries to {chosen['summary']}, code to {chosen['code']}")


if __name__ == "__main__":
    main()
