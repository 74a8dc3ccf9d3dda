"""Tuning: settings are searched on an agent's own outcomes, change nothing, and are applied behind a gate."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sona_support import World
from swarm_support import DIM, present, some_outcome

from swarm.errors import InputError, RuntimeSetupError, StaleWriterError, UnknownIdError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.services.tuning import Gate, Trial, TuningReport, apply_tuning, tune
from swarm.sona.config import SonaConfig
from swarm.sona.trajectory import Trajectory
from swarm.store.commit import Committer
from swarm_cli.commands.tune import command

POOR = SonaConfig(dim=DIM, base_lora_lr=0.0, temperature=0.9)
GOOD = SonaConfig(dim=DIM)
BENT = World.make(3, dim=DIM)
PLAIN = World(BENT.centres, np.eye(DIM, dtype=np.float32), 0.05)
"""Here every query is where its answer is."""
PASSED = Gate(n=20, counted=20, difference=0.1, error=0.1, passed=True, why="no worse on 20 outcomes held out")


def learn(swarm: Swarm, background: Background, config: SonaConfig, n: int = 320, *, world: World = BENT) -> None:
    """Agent ada tries answers that a library gave, every fourth a wrong one."""
    queries, labels = world.draw(np.random.default_rng(0), n)
    swarm.register("library", "library", GOOD)
    swarm.register("ada", "coder", config)
    given: list[Trajectory] = [
        replace(some_outcome(3 * k, "library"), embedding=centre, action=f"do {k}", response=f"do {k}")
        for k, centre in enumerate(world.centres)
    ]
    swarm.record_many(given)
    background.drain(0.0)
    tried = []
    for number, (x, k) in enumerate(zip(queries, labels, strict=True)):
        action, quality = (f"do {k}", 1.0) if number % 4 else (f"do {(k + 1) % 12}", 0.0)
        outcome = some_outcome(number, "ada")
        tried.append(replace(outcome, embedding=x, action=action, response=action, quality=quality))
    for start in (0, n // 2):
        swarm.record_many(tried[start : start + n // 2])
        background.drain(0.0)


def apply(swarm: Swarm, report: TuningReport) -> int:
    committer = Committer(swarm.client, swarm.keys)
    return apply_tuning(report, swarm.agents, committer, swarm.settings.lease_ttl).generation


def stored(swarm: Swarm) -> dict[bytes, bytes | None]:
    keys = [key for pattern in swarm.keys.patterns for key in swarm.client.scan_iter(match=pattern)]
    return {key: swarm.client.dump(key) for key in keys}


def config_of(swarm: Swarm) -> SonaConfig:
    return present(swarm.agents.registration("ada")).config


def test_poor_settings_are_found_out_changed_and_rolled_back(swarm: Swarm, background: Background) -> None:
    learn(swarm, background, POOR)
    before = stored(swarm)
    seen: list[Trial] = []
    report = tune("ada", swarm.agents, trials=3, budget_s=600.0, on_trial=seen.append)
    assert stored(swarm) == before
    assert report.trials == tuple(seen)
    assert [trial.label for trial in seen] == ["present", "default", ""]
    assert (seen[0].config, seen[1].config) == (POOR, GOOD)
    assert (report.stopped_by, len(report.trials)) == ("trials", 3)
    assert report.is_better
    assert report.best.mrr > report.present.mrr + 0.1
    assert present(report.gate).difference > 0.0
    assert report.outcomes + present(report.gate).n == 320
    version = apply(swarm, report)
    assert config_of(swarm) == report.best.config
    newest = swarm.history("ada")[0]
    assert (newest.version, newest.kind, newest.figures["trials"]) == (version, "tuned", 3)
    background.drain(0.0)
    [told] = swarm.events.latest("agent:tuned")
    assert told.as_dict()["body"] == {"agent": "ada", "generation": version}
    # Back and forth: the settings go with the versions.
    swarm.rollback("ada", version - 1)
    assert config_of(swarm) == POOR
    swarm.rollback("ada", version)
    assert config_of(swarm) == report.best.config


def test_settings_that_are_no_better_are_not_applied(swarm: Swarm, background: Background) -> None:
    learn(swarm, background, GOOD, world=PLAIN)
    report = tune("ada", swarm.agents, trials=3, budget_s=600.0)
    assert report.present.mrr == 1.0
    assert not report.may_be_applied
    assert report.present.label == "present"
    assert report.why.startswith(("no better than", "the present settings"))
    before = stored(swarm)
    with pytest.raises(InputError, match="agent ada keeps its settings: "):
        apply(swarm, report)
    assert stored(swarm) == before


def test_another_rank_carries_over_what_the_base_tier_does(swarm: Swarm, background: Background) -> None:
    learn(swarm, background, replace(GOOD, base_lora_lr=0.01))
    x = np.random.default_rng(0).standard_normal((20, DIM)).astype(np.float32)

    def deltas() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.asarray(sum(pair.delta(x) for pair in present(swarm.agents.weights("ada")).base))

    before = deltas()
    assert np.abs(before).max() > 0.01
    report = tune("ada", swarm.agents, trials=2, budget_s=600.0)
    wider = replace(report.best, config=config_of(swarm).updated(base_lora_rank=16), number=1)
    passed = replace(report, best=wider, is_better=True, gate=PASSED)
    apply(swarm, passed)
    base = present(swarm.agents.weights("ada")).base
    assert [len(pair.down) for pair in base] == [16]
    np.testing.assert_allclose(deltas(), before, atol=1e-5)
    # Learning goes on from there.
    swarm.record_many([replace(some_outcome(9_000 + i, "ada"), action="do 1") for i in range(40)])
    background.drain(0.0)
    assert present(swarm.agents.weights("ada")).base[0].down.shape == (16, DIM)
    with pytest.raises(StaleWriterError, match="its settings have changed since the search"):
        apply(swarm, passed)


def test_the_budget_is_kept_and_the_present_settings_are_tried_all_the_same(
    swarm: Swarm, background: Background
) -> None:
    learn(swarm, background, GOOD)
    report = tune("ada", swarm.agents, trials=50, budget_s=0.0)
    assert (report.stopped_by, len(report.trials)) == ("budget", 1)
    assert report.why == "the present settings were the best"


def test_what_cannot_be_tuned_is_refused(swarm: Swarm, background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownIdError, match="'ada' is not registered"):
        tune("ada", swarm.agents)
    learn(swarm, background, GOOD, n=40)
    with pytest.raises(InputError, match="agent ada: 40 outcomes with an action are kept, tuning needs 200"):
        tune("ada", swarm.agents)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"trials": 1}, "trials must be in 2..10000, got 1"),
        ({"budget_s": -1.0}, "budget_s must be in 0..86400, got -1"),
        ({"objective": "speed"}, "objective must be mrr or loss, got 'speed'"),
    ]
    for values, message in wrong:
        with pytest.raises(InputError, match=message):
            tune("ada", swarm.agents, **values)
    learn(swarm, background, GOOD, n=300)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RuntimeSetupError, match=r"tuning needs Optuna: pip install 'sona-swarm\[tune\]'"):
        tune("ada", swarm.agents)


def test_the_command_prints_what_was_found_and_applies_it_when_told_to(swarm: Swarm, background: Background) -> None:
    learn(swarm, background, POOR)
    environment = {
        "SWARM_NAME": swarm.settings.name,
        "SWARM_REDIS_URL": swarm.settings.redis_url or "",
        "SWARM_EMBEDDER": swarm.settings.embedder,
        "COLUMNS": "80",
    }
    words = ["--name", "ada", "--trials", "2", "--objective", "loss"]
    shown = CliRunner().invoke(command, words, env=environment, catch_exceptions=False).stdout
    for part in ("default", "temperature", "0.9", "Better by", "Nothing was changed: --apply takes them over."):
        assert part in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert config_of(swarm) == POOR
    ended = CliRunner().invoke(command, [*words, "--apply", "--json"], env=environment, catch_exceptions=False)
    found = json.loads(ended.stdout)
    assert found["changes"]["temperature"] == {"present": 0.9, "best": 0.05}
    assert found["applied"]["generation"] == swarm.agents.state("ada").generation
    assert config_of(swarm) == GOOD
