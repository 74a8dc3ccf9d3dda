"""Text and trajectories that cannot be used are refused where they enter, and nothing is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from swarm_support import some_outcome

from swarm.errors import BoundsError, InputError, ShapeError, TextError, UnknownIdError
from swarm.services.recording import MAX_KEY_CHARACTERS
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig

BAD_TEXTS = {
    "empty": "",
    "blank": " \n\t",
    "huge": "x" * 10_000_000,
    "bytes": b"decode JSON",
    "lone surrogate": "decode \ud800",
    "number": 5,
    "nothing": None,
}
bad_texts = pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)


def everything(swarm: Swarm) -> list[bytes]:
    return [key for pattern in swarm.keys.patterns for key in swarm.client.scan_iter(match=pattern)]


@bad_texts
def test_a_query_for_unusable_text_is_refused_and_stores_nothing(swarm: Swarm, text: Any) -> None:
    with pytest.raises(TextError, match="text"):
        swarm.query(text)
    with pytest.raises(TextError, match="text"):
        swarm.retrieve_patterns(text)
    assert everything(swarm) == []


@bad_texts
def test_a_pattern_with_unusable_text_is_refused_and_stores_nothing(swarm: Swarm, text: Any) -> None:
    calls: dict[str, Callable[[], object]] = {
        "task": lambda: swarm.store_pattern(text, "json"),
        "output": lambda: swarm.store_pattern("decode JSON", text),
        "task ": lambda: swarm.store_pattern(text, "json", input="a document"),
    }
    if text:
        calls["input"] = lambda: swarm.store_pattern("decode JSON", "json", input=text)
    for parameter, call in calls.items():
        with pytest.raises(TextError, match=parameter.strip()):
            call()
    assert everything(swarm) == []


@pytest.mark.parametrize("reward", [7.5, -0.1, float("nan"), float("inf"), "1", None, True])
def test_a_reward_out_of_bounds_is_refused_and_stores_nothing(swarm: Swarm, reward: Any) -> None:
    with pytest.raises(BoundsError, match="reward must be"):
        swarm.store_pattern("decode JSON", "json", reward)
    assert everything(swarm) == []


@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY_CHARACTERS + 1), "line\nbreak", "\ud800", "nul\0", 5, b"key"])
def test_an_idempotency_key_that_cannot_stand_in_a_key_is_refused(swarm: Swarm, key: Any) -> None:
    with pytest.raises(InputError, match="idempotency_key must be"):
        swarm.store_pattern("decode JSON", "json", idempotency_key=key)
    assert everything(swarm) == []
    with pytest.raises(InputError, match="idempotency_key must be"):
        swarm.receipt("coder-1", key)


@pytest.mark.parametrize("agent", ["", "a b", "a/b", "{a}", "x" * 64, "\ud800", b"a", 5])
def test_an_agent_name_that_cannot_stand_in_a_key_is_refused(swarm: Swarm, agent: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: swarm.store_pattern("decode JSON", "json", agent=agent),
        lambda: swarm.register(agent),
        lambda: swarm.receipt(agent, "key"),
        lambda: swarm.register("a", role=agent),
    ]
    for call in calls:
        with pytest.raises(InputError, match="must be 1-63"):
            call()
    assert everything(swarm) == []


@pytest.mark.parametrize("metadata", [{"a": 1}, {1: "a"}, {"a": "\ud800"}, {"a": b"x"}, {"a": object()}])
def test_metadata_that_is_not_text_is_refused(swarm: Swarm, metadata: Any) -> None:
    with pytest.raises(InputError):
        swarm.store_pattern("decode JSON", "json", metadata=metadata)
    assert swarm.status().pending == 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"quality": 7.5}, BoundsError),
        ({"quality": float("nan")}, BoundsError),
        ({"embedding": np.full(32, np.nan, np.float32)}, BoundsError),
        ({"embedding": np.full(32, np.inf, np.float32)}, BoundsError),
        ({"embedding": np.zeros(32, np.float32)}, BoundsError),
        ({"embedding": np.ones(31, np.float32)}, ShapeError),
        ({"embedding": np.ones((1, 32), np.float32)}, ShapeError),
        ({"text": "\ud800"}, TextError),
        ({"agent": "nobody"}, UnknownIdError),
        ({"agent": "no/body"}, InputError),
        ({"latency_ms": -1.0}, BoundsError),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value.__name__,
)
def test_a_trajectory_that_could_not_be_learned_from_is_refused(
    swarm: Swarm, changes: dict[str, Any], error: type[Exception]
) -> None:
    swarm.register("coder-1")
    with pytest.raises(error):
        swarm.record(replace(some_outcome(1), **changes), "key")
    assert swarm.status().agents[0].accepted == 0


def test_an_agent_cannot_be_registered_with_a_configuration_that_does_not_fit(swarm: Swarm) -> None:
    with pytest.raises(InputError, match=r"config.dim must be 32, the dimension of hashed@1 \(32-d\), got 64"):
        swarm.register("coder-1", config=SonaConfig(dim=64))
    assert swarm.agents.names() == []


def test_an_execution_is_refused_before_its_verdict_is_kept(swarm: Swarm) -> None:
    swarm.register("ada")
    before = everything(swarm)
    with pytest.raises(InputError, match="idempotency_key must be"):
        swarm.learn_from_swarm_execution("decode JSON", {"ada": "json"}, idempotency_key="x" * MAX_KEY_CHARACTERS)
    assert everything(swarm) == before


def test_a_pattern_that_is_refused_leaves_no_agent_behind(swarm: Swarm) -> None:
    with pytest.raises(InputError):
        swarm.store_pattern("decode JSON", "json", metadata={"a": 1}, agent="newcomer")  # type: ignore[dict-item]  # meant
    assert everything(swarm) == []


DEEP: list[Any] = []
for _ in range(3_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value", [DEEP, 10**5_000, np.zeros(3), np.array("a"), {1: 2}, object()], ids=lambda v: type(v).__name__
)
def test_what_has_no_text_of_its_own_is_refused_by_an_error_of_ours(swarm: Swarm, value: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: swarm.query("decode JSON", agents=value),
        lambda: swarm.query("decode JSON", k=value),
        lambda: swarm.query("decode JSON", group_by=value),
        lambda: swarm.retrieve_patterns("decode JSON", filters=value),
        lambda: swarm.store_pattern("decode JSON", "json", success=value),
        lambda: swarm.store_pattern("decode JSON", "json", idempotency_key=value),
        lambda: swarm.register("ada", value),
        lambda: swarm.register("ada", config=value),
        lambda: swarm.record(value, "key"),
        lambda: swarm.route("decode JSON", fallback=value),
        lambda: swarm.route("decode JSON", tools=value),
        lambda: swarm.route("decode JSON", agent=value),
        lambda: swarm.wait(value),
        lambda: swarm.rewind(value),
        lambda: swarm.submit(value if not isinstance(value, dict) else 5, role="coder"),  # type: ignore[arg-type]  # meant
        lambda: swarm.submit("decode JSON", role=value),
        lambda: swarm.submit("decode JSON", role="coder", deadline=value),
        lambda: swarm.tasks.find(value),
        lambda: swarm.tasks.cancel(value),
        lambda: swarm.tasks.succeed(value, None),
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()
    assert everything(swarm) == []
