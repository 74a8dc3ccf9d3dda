"""A chatbot that learns from thumbs up and down which of its answers fits: the core alone, no Redis.

python examples/adaptive_chatbot.py
"""

from __future__ import annotations

from swarm.embed import HashedEmbedder
from swarm.sona import SonaConfig, SonaEngine
from swarm.sona.vectors import Vector

ANSWERS = {
    "reset": "You can reset your password under Settings, Security.",
    "invoice": "Invoices are under Billing, Documents.",
    "cancel": "You can cancel under Billing, Plan.",
}
CONVERSATION = [
    ("how do I change my password", "reset"),
    ("I forgot my password", "reset"),
    ("where is my last bill", "invoice"),
    ("I need the invoice of march", "invoice"),
    ("stop my subscription", "cancel"),
    ("I want to end my plan", "cancel"),
]


def main() -> None:
    embedder = HashedEmbedder()
    # Answers matter more than microseconds here.
    engine = SonaEngine(SonaConfig.preset("max_quality", dim=embedder.identity.dim))
    for round_number in range(1, 4):
        thumbs_up = 0
        for text, wanted in CONVERSATION:
            query = embedder.embed_one(text)
            tried = choose(engine, query)
            chat = engine.begin_trajectory(query)
            engine.use_pattern(chat, tried, ANSWERS[tried])
            engine.end_trajectory(chat, 0.95 if tried == wanted else 0.0)
            engine.force_learn()
            thumbs_up += tried == wanted
        print(f"round {round_number}: {thumbs_up} of {len(CONVERSATION)} thumbs up")


def choose(engine: SonaEngine, query: Vector) -> str:
    """The answer of which most can be expected; one that was never tried for such a question is worth a try."""
    ranked = {hit.action: hit.score for hit in engine.rank_actions(query, k=len(ANSWERS))}
    disliked = {hit.cluster.action for hit in engine.bank.index.nearest(query, 3) if not hit.cluster.positive}
    return max(ANSWERS, key=lambda action: (ranked.get(action, 0.5), action not in disliked))


if __name__ == "__main__":
    main()
