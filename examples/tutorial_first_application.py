"""A first application: an engine that learns which of two plans suits a request, with NumPy and nothing else.

python examples/tutorial_first_application.py
"""

from __future__ import annotations

import numpy as np

from swarm.sona import SonaConfig, SonaEngine

DIM = 64


def main() -> None:
    rng = np.random.default_rng(0)
    config = SonaConfig(dim=DIM)
    print(
        f"micro rank {config.micro_lora_rank}, base rank {config.base_lora_rank}, lambda {config.ewc_lambda:g}, "
        f"{config.pattern_clusters} clusters"
    )
    engine = SonaEngine(config)
    # Two kinds of requests, each a direction with noise around it, and the plan that suits it.
    kinds = {"summarise": rng.standard_normal(DIM), "translate": rng.standard_normal(DIM)}

    for _ in range(8):
        for _ in range(10):
            for plan, centre in kinds.items():
                request = centre + rng.standard_normal(DIM)
                tried = list(kinds)[rng.integers(2)]
                trajectory = engine.begin_trajectory(request)
                engine.use_pattern(trajectory, action=tried, response=f"the plan to {tried}")
                engine.end_trajectory(trajectory, quality=1.0 if tried == plan else 0.0)
        cycle = engine.force_learn()
        print(f"learned from {cycle.outcomes} outcomes, new weights: {cycle.promoted} ({cycle.why})")

    print(f"stats: {engine.get_stats()}")
    right = 0
    for _ in range(50):
        for plan, centre in kinds.items():
            best = engine.rank_actions(centre + rng.standard_normal(DIM), k=1)[0]
            right += best.action == plan
    # Before it had learned anything the adapted request was the request itself, byte for byte.
    bent = engine.apply_lora(kinds["summarise"]) - kinds["summarise"]
    print(f"the adapter bends a request by {np.linalg.norm(bent):.3f}")
    print(f"right plan for {right} of 100 new requests")


if __name__ == "__main__":
    main()
