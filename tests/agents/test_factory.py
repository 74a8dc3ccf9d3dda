"""`AgentFactory`: agents from templates, trained, asked, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from swarm_support import DIM

from swarm.errors import InputError, UnknownIdError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.sona.config import SonaConfig
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.records import decode_trajectory
from swarm_agents import AgentFactory
from swarm_agents.templates import load_template

EXAMPLES = [
    {"task": "read a JSON file", "output": "use json", "reward": 1.0},
    {"task": "decode JSON from a file", "output": "use json", "reward": 0.9},
    {"text": "find a date in a text", "output": "use re", "quality": 1.0, "context": {"language": "python"}},
    {"text": "find a date in a text", "output": "use eval", "quality": 0.1},
]


@pytest.fixture
def factory(swarm: Swarm) -> Iterator[AgentFactory]:
    with AgentFactory(swarm) as made:
        yield made


def test_an_agent_is_made_from_a_template_and_known_to_every_process(factory: AgentFactory, swarm: Swarm) -> None:
    agent = factory.create("ada", "code")
    assert agent.config == SonaConfig(dim=DIM, base_lora_rank=16, pattern_clusters=200, quality_threshold=0.2)
    assert agent.role == "coder"
    assert factory.create("ada", "code").config == agent.config
    expert = factory.create("eve", "expert", domain="legal", role="judge", changes={"ttl": "10d", "seed": 7})
    assert (expert.role, expert.config.seed) == ("judge", 7)
    ada, eve = AgentFactory(swarm).list()
    assert (ada.name, ada.template, ada.policy) == ("ada", "code", AgentPolicy())
    assert (eve.role, eve.template, eve.policy.ttl_s) == ("judge", "expert.legal", 864_000.0)
    # What was made stays made when the agent is used by its name alone, here or elsewhere.
    swarm.register("ada", role="reviewer")
    assert AgentFactory(swarm).get("ada").config == agent.config


def test_an_agent_that_is_registered_otherwise_is_changed_only_when_asked(factory: AgentFactory, swarm: Swarm) -> None:
    swarm.register("ada", "coder")
    with pytest.raises(InputError, match="ada was made from no template and otherwise"):
        factory.create("ada", "chat")
    assert factory.create("ada", "chat", replaces=True).config.pattern_clusters == 50
    with pytest.raises(InputError, match="ada was made from template chat and otherwise"):
        factory.create("ada", "code")
    assert factory.list()[0].template == "chat"


def test_a_user_s_own_file_makes_an_agent(factory: AgentFactory, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("description = 'mine'\nrole = 'cook'\npreset = 'ephemeral'\n[redaction]\nrules = ['email']\n")
    assert factory.create("ada", path).config == SonaConfig.preset("ephemeral", dim=DIM)
    [made] = factory.list()
    assert (made.template, made.role, made.policy.redact) == ("mine", "cook", ("email",))
    assert factory.create("bob", load_template(path)).policy == made.policy


def test_examples_are_learned_and_found_again(factory: AgentFactory, swarm: Swarm, background: Background) -> None:
    factory.create("ada", "code")
    factory.create("bob", "code")
    done = factory.train("ada", iter(EXAMPLES), hold_out=0.0)
    assert (done.lines, done.trained, done.rejected) == (4, 4, 0)
    factory.train("bob", [{"task": "read a JSON file", "output": "use the force", "reward": 1.0}], hold_out=0.0)
    assert swarm.agents.state("ada").consolidated == 4
    assert [hit.response for hit in factory.find_patterns("ada", "read a JSON file", k=1)] == ["use json"]
    # Of what ada knows only: what bob did for the same task is bob's.
    assert {hit.response for hit in factory.find_patterns("ada", swarm.embed("read a JSON file"))} <= {
        "use json",
        "use re",
    }
    assert [hit.response for hit in factory.find_patterns("bob", "read a JSON file")] == ["use the force"]
    assert swarm.query("find a date in a text", k=1)[0].response == "use re"


def test_an_embedding_may_stand_in_for_a_text(factory: AgentFactory, swarm: Swarm) -> None:
    factory.create("ada", "rag")
    x = swarm.embed("anything")
    factory.train("ada", [{"embedding": x.tolist(), "quality": 0.7}], hold_out=0.0)
    [(_, record)] = swarm.outcomes("ada").read_after("0-0", 10)
    outcome = decode_trajectory(record)
    np.testing.assert_allclose(outcome.embedding, x, atol=1e-6)
    assert (outcome.quality, outcome.text, outcome.action) == (0.7, "", "")


def test_the_adaptation_is_the_agent_s_own(factory: AgentFactory, swarm: Swarm) -> None:
    agent, other = factory.create("ada", "code"), factory.create("bob", "code")
    x = swarm.embed("read a JSON file")
    assert (factory.apply_adaptation("ada", x) == x).all()
    swarm.store_pattern("read a JSON file", "use json")
    swarm.store_pattern("eat a soup", "use a spoon")
    Background(swarm.settings, swarm.client).drain(0.0)
    agent.refresh()
    for _ in range(3):
        advice = agent.before_task("read a JSON file")
        agent.after_task(advice.trajectory_id, success=False, used=advice.best)
    assert (factory.apply_adaptation("ada", "read a JSON file") == agent.adapter.apply(x)).all()
    assert not (factory.apply_adaptation("ada", x) == x).all()
    assert (factory.apply_adaptation("bob", x) == x).all()
    assert other.instant_updates == 0


def test_a_removed_agent_is_forgotten(factory: AgentFactory, swarm: Swarm, background: Background) -> None:
    factory.create("ada", "code")
    factory.train("ada", EXAMPLES, hold_out=0.0)
    background.drain(0.0)
    assert factory.remove("ada", by="me").erased == 4
    assert factory.list() == ()
    assert swarm.bank.count() == 0
    with pytest.raises(UnknownIdError, match="ada"):
        factory.get("ada")
    with pytest.raises(UnknownIdError, match="ada"):
        factory.train("ada", EXAMPLES, hold_out=0.0)


def test_an_example_that_cannot_be_used_is_named_and_others_are_learned(factory: AgentFactory, swarm: Swarm) -> None:
    factory.create("ada", "data")
    done = factory.train("ada", [*EXAMPLES, {"task": "x", "output": "y", "reward": 2}], hold_out=0.0)
    [(number, why)] = done.rejections
    assert (number, done.trained, swarm.agents.state("ada").consolidated) == (5, 4, 4)
    assert "reward must be in 0..1, got 2" in why
    with pytest.raises(InputError, match="reward must be in"):
        factory.train("ada", [{"task": "x", "reward": 2}], strict=True)
