"""`swarm doctor`: it finds what is not well, says how to mend it, and finds nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_support import CommandLine
from support import PrivateRedis

from swarm.embed.identity import EmbedderIdentity
from swarm.services.status import AgentStatus, SwarmStatus
from swarm.settings import Settings
from swarm.store.connection import connect
from swarm.store.meta import bind_embedder
from swarm.store.supervisors import PoolReport, SupervisorBeat
from swarm.wire.keys import SwarmKeys
from swarm_cli.local import checks_host
from swarm_cli.local.checks_redis import redis_findings
from swarm_cli.local.checks_swarm import check_outcomes, check_supervisors, check_workers
from swarm_cli.local.doctor import diagnose
from swarm_cli.local.finding import Finding
from swarm_cli.local.redis_facts import RedisFacts, read_facts
from swarm_workers.poolstate import PoolState

CHECKS = (
    *("Python", "State directory", "Disk", "Redis", "Eviction", "Durability", "Memory", "Clock"),
    *("Workers", "Supervisor", "Gateway", "Outcomes", "Embedder"),
)


@pytest.fixture(scope="module")
def own_redis() -> Iterator[PrivateRedis]:
    """A server whose settings may be spoilt."""
    server = PrivateRedis()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def own(own_redis: PrivateRedis, tmp_path: Path) -> Settings:
    return Settings(name="own", redis_url=own_redis.url, state_dir=tmp_path / "state", embedder="hashed")


@pytest.fixture
def facts(own: Settings) -> RedisFacts:
    with connect(own) as client:
        return read_facts(client)


def bad(findings: list[Finding]) -> list[str]:
    """Names of the checks that found something; each must say how to mend it, and no other."""
    assert all(bool(finding.remedy) is not finding.ok for finding in findings)
    return [finding.check for finding in findings if not finding.ok]


def test_everything_is_looked_at_and_only_the_missing_workers_are_found(own: Settings) -> None:
    findings = diagnose(own)
    assert tuple(finding.check for finding in findings) == CHECKS
    assert bad(findings) == ["Workers"]
    assert not own.state_dir.exists()


@pytest.mark.parametrize(
    ("option", "value", "check"),
    [
        ("maxmemory-policy", "allkeys-lru", "Eviction"),
        ("appendonly", "no", "Durability"),
        ("appendfsync", "no", "Durability"),
        ("maxmemory", "1000", "Memory"),
    ],
)
def test_setting_that_endangers_the_data_is_found(own: Settings, option: str, value: str, check: str) -> None:
    with connect(own) as client:
        before = client.config_get(option)[option]
        client.config_set(option, value)
        try:
            assert bad(redis_findings(own, read_facts(client))) == [check]
        finally:
            client.config_set(option, before)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"version": "6.0.16"}, "Redis"),
        ({"is_writable": False}, "Redis"),
        ({"ahead_s": -5.0}, "Clock"),
        ({"used_bytes": 2**50}, "Memory"),
    ],
)
def test_redis_fact_that_is_not_well_is_found(
    own: Settings, facts: RedisFacts, change: dict[str, object], check: str
) -> None:
    assert bad(redis_findings(own, facts)) == []
    assert bad(redis_findings(own, replace(facts, **change))) == [check]  # type: ignore[arg-type]  # one field


def test_managed_redis_that_refuses_config_is_no_failure(own: Settings, facts: RedisFacts) -> None:
    assert bad(redis_findings(own, replace(facts, fsync=None))) == []


def test_redis_that_is_away_is_one_finding(own: Settings, tmp_path: Path) -> None:
    away = own.model_copy(update={"redis_url": "redis://:s3cret@127.0.0.1:1"})
    findings = diagnose(away)
    assert bad(findings) == ["Redis"]
    assert "s3cret" not in str(findings)
    [found] = [finding for finding in diagnose(own.model_copy(update={"redis_url": None})) if not finding.ok]
    assert found.remedy == "start it: swarm up"


def test_embedder_that_cannot_be_loaded_is_found(own: Settings) -> None:
    assert bad([checks_host.check_embedder(own.model_copy(update={"embedder": "nonsense"}), None)]) == ["Embedder"]


def test_embedder_that_did_not_make_the_swarm_s_vectors_is_found(own: Settings) -> None:
    named = own.model_copy(update={"name": "bound"})
    with connect(named) as client:
        bind_embedder(client, SwarmKeys("bound"), EmbedderIdentity(id="other", dim=16, version="1"))
    [found] = [finding for finding in diagnose(named) if finding.check == "Embedder"]
    assert not found.ok
    assert "other@1" in found.detail
    assert "hashed@1" in found.detail


def test_full_disk_is_found(own: Settings) -> None:
    finding = checks_host.check_disk(own, file_bytes=2**60)
    assert bad([finding]) == ["Disk"]


def test_state_directory_that_others_can_enter_is_found(own: Settings) -> None:
    own.state_dir.mkdir()
    (own.state_dir / "letters").touch()
    own.state_dir.chmod(0o755)
    assert bad([checks_host.check_directory(own)]) == ["State directory"]


def pool(**change: object) -> PoolState:
    state = PoolState(
        pool="local", host="h", pid=1, status="running", wanted=2, concurrency=2, active=0, reserved=0, done=0,
        queued=0, started_s=0.0, beat_s=0.0, reconnects=0, outages=0, fault="", log="",
    )  # fmt: skip
    return replace(state, **change)  # type: ignore[arg-type]  # one field


def test_workers_that_do_not_work_are_found() -> None:
    assert bad([check_workers([pool()])]) == []
    assert bad([check_workers([pool(), pool(pool="old", status="draining")])]) == []
    for states in ([], [pool(status="dead")], [pool(), pool(status="silent")], [pool(fault="no")]):
        finding = check_workers(states)
        assert bad([finding]) == ["Workers"]


def test_a_host_with_pools_and_no_supervisor_is_found() -> None:
    beat = SupervisorBeat(host="h", pid=1, started_s=0.0, beat_s=0.0, pools=())
    assert bad([check_supervisors([], [])]) == []
    assert bad([check_supervisors([pool()], [beat])]) == []
    finding = check_supervisors([pool(), pool(host="other")], [beat])
    assert bad([finding]) == ["Supervisor"]
    assert "none on other" in finding.detail


def test_a_pool_that_sleeps_is_well_and_one_that_keeps_failing_says_why() -> None:
    assert bad([check_workers([pool(status="asleep")])]) == []
    report = PoolReport(pool="local", wanted=1, why="", failures=3, next_start_s=0.0, fault="no module")
    finding = check_workers([pool(status="dead", care=report)])
    assert "failed 3 times (no module)" in finding.detail


def status(**change: object) -> SwarmStatus:
    agent = AgentStatus(
        name="a", role="r", generation=1, accepted=9, consolidated=9, pending=0, dead=0, rewound=0, lost=0, open=0,
        oldest_pending_s=None, verdict="trusted",
    )  # fmt: skip
    changed = replace(agent, **change)  # type: ignore[arg-type]  # one field
    return SwarmStatus(
        name="s", embedder=None, agents=(changed,), patterns=0, bank_version="0-0", merges=0, unmerged_agents=0,
        workers=(), queue_depth=0,
    )  # fmt: skip


def test_outcomes_that_are_not_on_their_way_are_found() -> None:
    assert bad([check_outcomes(status())]) == []
    assert bad([check_outcomes(status(pending=5, oldest_pending_s=1.0))]) == []
    for found in (status(lost=1), status(dead=1), status(pending=5, oldest_pending_s=600.0)):
        assert bad([check_outcomes(found)]) == ["Outcomes"]


def test_command_prints_every_finding_and_exits_with_one(external: CommandLine) -> None:
    found = external.json("doctor", code=1)
    assert found["ok"] is False
    assert [finding["check"] for finding in found["findings"]] == list(CHECKS)
    shown = external.run("doctor", code=1).stdout
    assert all(check in shown for check in CHECKS)
    assert "→ start or mend them: swarm up" in shown
    assert "1 thing to mend." in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "\x1b" not in shown
