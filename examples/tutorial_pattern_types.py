"""Routing by the kind of pattern: a request goes where requests of its kind went well, learned in a loop of batches.

python examples/tutorial_pattern_types.py
"""

from __future__ import annotations

from swarm.embed import TaskTypes, load_embedder
from swarm.sona import LearningSignal, SonaConfig, SonaEngine
from swarm.sona.vectors import Vector

MODELS = {"CodeGen": "code-model", "Reasoning": "stepwise-model", "Creative": "story-model"}
DEFAULT = "default-model"
TRUSTED = 0.8
"""Mean quality from which on a pattern decides."""
REQUESTS = {
    "CodeGen": [
        "Write a Python function that parses dates.",
        "Implement a queue as a class in C++.",
        "Fix the bug in this JavaScript code.",
    ],
    "Reasoning": [
        "Prove that the sum of two odd numbers is even.",
        "Solve this puzzle about three boxes step by step.",
        "Calculate how long the journey takes at this speed.",
    ],
    "Creative": [
        "Write a poem about the sea in winter.",
        "Tell a story about a dragon who learns to bake.",
        "Invent a name and a slogan for a tea shop.",
    ],
}
NEW = {
    "Write a Python function that reverses a list.": "code-model",
    "Write a poem about the moon in winter.": "story-model",
    "Prove that the product of two even numbers is even.": "stepwise-model",
}


def main() -> None:
    embedder = load_embedder("wordllama")
    types = TaskTypes(embedder)
    engine = SonaEngine(SonaConfig.preset("realtime", dim=embedder.identity.dim))

    for batch in range(8):
        for kind, texts in REQUESTS.items():
            for text in texts:
                x = embedder.embed_one(text)
                tried = [DEFAULT, *MODELS.values()][batch % 4]
                request = engine.begin_trajectory(x)
                engine.set_task_type(request, types.infer(x))
                engine.record_step(request, tried, 0.9, 150_000)
                engine.use_pattern(request, tried)
                # What the caller says first; a user's word comes later, and counts for the instant loop.
                worked = tried == MODELS[kind]
                engine.end_trajectory(request, 0.95 if worked else 0.2)
                engine.learn_from_feedback(LearningSignal.from_feedback(worked, 150.0, 0.95))
        if batch % 4 == 3:
            report = engine.force_learn()
            print(f"learned from {report.outcomes} requests, {report.clusters} patterns")

    right = 0
    for text, wanted in NEW.items():
        kind, chosen = route(engine, embedder.embed_one(text))
        right += chosen == wanted
        print(f"{text} {kind}: {chosen}")
    print(f"right model for {right} of {len(NEW)} new requests")


def route(engine: SonaEngine, x: Vector) -> tuple[str, str]:
    """The type of the nearest pattern that went well, and the model for it."""
    for hit in engine.find_patterns(engine.apply_micro_lora(x), 3):
        if hit.cluster.mean_quality > TRUSTED:
            return hit.cluster.task_type, MODELS.get(hit.cluster.task_type, DEFAULT)
    return "nothing known", DEFAULT


if __name__ == "__main__":
    main()
