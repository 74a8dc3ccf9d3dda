"""An A/B test that ends by itself: which of three prompts suits which kind of question, by upper confidence bound.

python examples/tutorial_ab_test.py
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from swarm.embed import HashedEmbedder
from swarm.sona import SonaConfig, SonaEngine, select_by_ucb

VARIANTS = ("short", "stepwise", "with-examples")
QUESTIONS = {
    "arithmetic": ["add three numbers", "multiply two numbers", "divide numbers and round"],
    "dates": ["format a date", "parse a date", "shift a date by a week"],
}
SUCCESS = {
    "arithmetic": {"short": 0.3, "stepwise": 0.9, "with-examples": 0.5},
    "dates": {"short": 0.2, "stepwise": 0.4, "with-examples": 0.9},
}
"""How often each variant works; the test does not know it."""


def main() -> None:
    rng = np.random.default_rng(7)
    embedder = HashedEmbedder()
    engine = SonaEngine(SonaConfig(dim=embedder.identity.dim))
    shown: dict[str, Counter[str]] = {kind: Counter() for kind in QUESTIONS}

    for number in range(240):
        kind = list(QUESTIONS)[number % 2]
        question = str(rng.choice(QUESTIONS[kind]))
        query = embedder.embed_one(question)
        variant = select_by_ucb(VARIANTS, engine.predict_variant_scores(query), exploration=0.5)
        shown[kind][variant] += 1

        trajectory = engine.begin_trajectory(query)
        engine.set_route(trajectory, variant)
        engine.use_pattern(trajectory, action=variant, response=f"the {variant} prompt")
        engine.end_trajectory(trajectory, quality=float(rng.random() < SUCCESS[kind][variant]))
        engine.force_learn()

    for kind, counts in shown.items():
        print(f"{kind}: {dict(counts)}")
    winners = {kind: counts.most_common(1)[0][0] for kind, counts in shown.items()}
    print(f"arithmetic is won by {winners['arithmetic']}, dates by {winners['dates']}")


if __name__ == "__main__":
    main()
