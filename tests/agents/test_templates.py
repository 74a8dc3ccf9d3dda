"""Templates: the files that come with the package, and what each value in them changes in how an agent behaves."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sona_support import near, record, unit_vectors

from swarm.errors import InputError
from swarm.sona.config import SonaConfig
from swarm.sona.engine import SonaEngine
from swarm.sona.ewc import EwcMemory
from swarm.sona.lora import LoraPair
from swarm.sona.training import Outcomes, flatten, train
from swarm_agents.templates import domain_names, load_domain, load_template, template_names, template_text

DIM, DAY = 32, 86_400.0
DEFAULT = SonaConfig(dim=DIM)
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "code": {"base_lora_rank": 16, "pattern_clusters": 200, "quality_threshold": 0.2},
    "chat": {"base_lora_rank": 8, "pattern_clusters": 50, "quality_threshold": 0.4},
    "data": {"base_lora_rank": 8, "pattern_clusters": 100},
    "rag": {"base_lora_rank": 12, "pattern_clusters": 200, "trajectory_capacity": 10_000},
    "planner": {"base_lora_rank": 16, "ewc_lambda": 2500, "pattern_clusters": 100},
    "expert": {"base_lora_rank": 16, "quality_threshold": 0.1, "trajectory_capacity": 20_000},
    "codebase": {"base_lora_rank": 16, "pattern_clusters": 200, "trajectory_capacity": 10_000},
    "creative": {"base_lora_rank": 8, "pattern_clusters": 50, "quality_threshold": 0.5},
    "reasoning": {"base_lora_rank": 16, "ewc_lambda": 3000, "pattern_clusters": 150, "quality_threshold": 0.3},
}


@cache
def taught() -> tuple[SonaEngine, Outcomes]:
    """An engine that knows four actions, and outcomes in which each was tried where it is right and where not."""
    rng, engine = np.random.default_rng(0), SonaEngine(DEFAULT)
    centres = unit_vectors(rng, 4, DIM)
    for k, centre in enumerate(centres):
        record(engine, centre, str(k), 1.0)
    engine.force_learn()
    right, tried = rng.integers(4, size=(2, 200))
    queries = np.array([near(rng, centres[k] + centres[(k + 1) % 4], 0.4) for k in right])
    rows = engine.bank.index.candidates().rows
    return engine, Outcomes(queries, np.array([rows[str(k)] for k in tried]), (right == tried).astype(np.float32))


def trained(config: SonaConfig, ewc: EwcMemory) -> Sequence[LoraPair]:
    """The base tier of a new engine after those outcomes."""
    engine, outcomes = taught()
    base = SonaEngine(config).adapter.base
    return train(base, outcomes, engine.bank.index.candidates(), ewc, config, np.random.default_rng(1))


def directions_learned(config: SonaConfig) -> float:
    """In how many directions the trained base tier bends a query."""
    [pair] = trained(config, EwcMemory.empty())
    product = pair.up.T.astype(np.float64) @ pair.down
    return float(np.linalg.matrix_rank(product, tol=1e-6 * float(np.linalg.norm(product))))


def unmoved_by_a_new_task(config: SonaConfig) -> float:
    """How little the weights move in training, when those before matter as much as weights do after a task."""
    before = flatten(SonaEngine(config).adapter.base)
    ewc = EwcMemory.empty()
    ewc.consolidate([np.full_like(p, 1e-4) for p in before], before, config.ewc_gamma)
    after = flatten(trained(config, ewc))
    return -float(sum(np.square(a - b).sum() for a, b in zip(after, before, strict=True)))


def clusters_kept(config: SonaConfig) -> float:
    """Of 250 successes that have nothing in common."""
    engine = SonaEngine(config)
    for k, x in enumerate(unit_vectors(np.random.default_rng(2), 250, DIM)):
        record(engine, x, f"action {k}", 1.0)
    engine.force_learn()
    return float(len(engine.bank.clusters()))


def least_that_is_repeated(config: SonaConfig) -> float:
    """The lowest quality of an outcome from which what was done is recommended, in tenths."""
    for tenths in range(11):
        engine = SonaEngine(config)
        record(engine, np.eye(DIM)[0], "a", tenths / 10)
        engine.force_learn()
        if all(cluster.positive for cluster in engine.bank.clusters()):
            return float(tenths)
    raise AssertionError("nothing is recommended")


def room_for_outcomes(config: SonaConfig) -> float:
    """How many outcomes may wait, from how full a hundred make it."""
    engine = SonaEngine(config)
    for number in range(100):
        record(engine, np.eye(DIM)[number % DIM], "a", 1.0)
    return round(100 / engine.get_stats().trajectory_utilisation)


MEASURES: Mapping[str, Callable[[SonaConfig], float]] = {
    "base_lora_rank": cache(directions_learned),
    "ewc_lambda": cache(unmoved_by_a_new_task),
    "pattern_clusters": cache(clusters_kept),
    "quality_threshold": cache(least_that_is_repeated),
    "trajectory_capacity": cache(room_for_outcomes),
}
"""What a setting changes; each grows with it."""


def sign(number: float) -> int:
    return (number > 0) - (number < 0)


def test_the_templates_are_those_that_were_published() -> None:
    assert set(template_names()) == PUBLISHED.keys()
    assert {"medical", "finance", "legal"} <= set(domain_names())
    for name, values in PUBLISHED.items():
        config, default = load_template(name).settings(DIM).as_dict(), DEFAULT.as_dict()
        assert {key: config[key] for key in values} == values
        assert {key for key in config if config[key] != default[key]} <= values.keys()


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in template_names() for key in load_template(name).config]
)
def test_every_setting_of_a_template_changes_what_the_agent_does(name: str, key: str) -> None:
    value, default = load_template(name).config[key], DEFAULT.as_dict()[key]
    assert isinstance(default, int | float)
    found, usual = MEASURES[key](DEFAULT.updated(**{key: value})), MEASURES[key](DEFAULT)
    assert sign(found - usual) == sign(value - default)


@pytest.mark.parametrize("name", [*template_names(), *domain_names()])
def test_a_file_can_be_shown_copied_and_used(name: str, tmp_path: Path) -> None:
    text = template_text(name)
    assert text.startswith("# ")
    values = tomllib.loads(text)
    if name in domain_names():
        domain = load_domain(name)
        assert domain.policy.redact
        assert domain.policy.ttl_s
        return
    (tmp_path / "mine.toml").write_text(text)
    mine, theirs = load_template(tmp_path / "mine.toml"), load_template(name)
    assert mine.settings(64) == theirs.settings(64)
    assert (mine.name, mine.role, theirs.role) == ("mine", values["role"], values["role"])


def test_a_domain_brings_its_role_periods_and_rules() -> None:
    expert = load_template("expert", "medical")
    assert (expert.name, expert.role) == ("expert.medical", "medical-expert")
    assert (expert.policy.half_life_s, expert.policy.ttl_s) == (180 * DAY, 365 * DAY)
    assert {"patient", "date", "record", "insurance", "phone", "email"} <= set(expert.policy.redact)
    assert {"iban", "card", "ssn", "account"} <= set(load_template("expert", "finance").policy.redact)
    assert {"parties", "case", "email"} <= set(load_template("expert", "legal").policy.redact)
    assert expert.config == load_template("expert").config


def test_values_can_be_changed_one_by_one() -> None:
    changed = load_template("code").changed({"base_lora_rank": 24, "ttl": "30d", "redact": ["email"]})
    assert changed.settings(DIM).base_lora_rank == 24
    assert changed.settings(DIM).pattern_clusters == 200
    assert (changed.policy.ttl_s, changed.policy.redact) == (30 * DAY, ("email",))
    assert load_template("expert", "legal").changed({"half_life": "off"}).policy.half_life_s is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("role = ", "Invalid value"),
        ("", "description must be text, got None"),
        ("role = 1\ndescription = 'x'", "role must be text, got 1"),
        ("colour = 'red'", "may hold description, preset, role, config, retention, redaction, got 'colour'"),
        ("[config]\nbase_lora_rnk = 1", "[config] may hold micro_lora_rank, base_lora_rank"),
        ("[config]\ndim = 64", "got 'dim'"),
        ("[config]\nbase_lora_rank = 99", "base_lora_rank must be in 4..32, got 99"),
        ("preset = 'huge'", "preset must be one of default"),
        ("[retention]\nttl = 30", "ttl: 30 is no period"),
        ("[retention]\nttl = '0.1s'", "ttl_s must be in 1.."),
        ("[redaction]\nrules = ['faces']", "redact may hold email"),
        ("config = 3", "config must be a table, [config], got 3"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    whole = text if text.startswith(("role", "colour")) or not text else f"description = 'x'\nrole = 'r'\n{text}"
    (tmp_path / "mine.toml").write_text(whole)
    with pytest.raises(InputError) as refused:
        load_template(tmp_path / "mine.toml")
    assert str(refused.value).startswith(f"template {tmp_path / 'mine.toml'}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "domain", "message"),
    [
        ("cod", None, "template must be one of chat, code"),
        ("none.toml", None, "cannot be read"),
        ("expert", "magic", "domain must be one of finance"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(source: str, domain: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_template(source, domain)
