"""What `swarm doctor` asks Redis: version, safety of the data, memory, clock."""

from __future__ import annotations

import psutil

from swarm.settings import Settings
from swarm_cli.local.address import shown_url
from swarm_cli.local.finding import Finding, judged
from swarm_cli.local.redis_facts import RedisFacts
from swarm_cli.local.redis_program import MIN_VERSION
from swarm_cli.output import size

MAX_MEMORY_SHARE = 0.8
MAX_CLOCK_GAP = 2.0
"""Seconds; heartbeats and ages compare the clocks of hosts."""


def redis_findings(settings: Settings, facts: RedisFacts) -> list[Finding]:
    """Everything about a Redis that answers."""
    return [_server(settings, facts), _eviction(facts), _durability(facts), _memory(facts), _clock(facts)]


def unreachable(settings: Settings, reason: str) -> Finding:
    """The finding for a Redis that does not answer."""
    if not settings.redis_url:
        return Finding(
            check="Redis", ok=False, detail=f"not running at {settings.socket_path}", remedy="start it: swarm up"
        )
    remedy = "start that server, or correct SWARM_REDIS_URL; without it `swarm up` starts a private one"
    return Finding(check="Redis", ok=False, detail=f"{shown_url(settings)}: {reason}", remedy=remedy)


def _server(settings: Settings, facts: RedisFacts) -> Finding:
    kind = f"external, {shown_url(settings)}" if settings.redis_url else "private"
    detail = f"{facts.version}, {kind}, answers in {facts.ping_ms:.2f} ms"
    if not facts.is_writable:
        detail += ", refuses writes"
    wanted = ".".join(map(str, MIN_VERSION))
    remedy = f"use a primary server of version {wanted} or newer whose disk has room"
    return judged("Redis", facts.is_new_enough and facts.is_writable, detail, remedy)


def _eviction(facts: RedisFacts) -> Finding:
    remedy = "CONFIG SET maxmemory-policy noeviction (and in redis.conf), or outcomes vanish when memory is full"
    return judged("Eviction", facts.policy == "noeviction", f"maxmemory-policy {facts.policy}", remedy)


def _durability(facts: RedisFacts) -> Finding:
    remedy = "CONFIG SET appendonly yes and appendfsync everysec (and in redis.conf), or a crash loses outcomes"
    if not facts.is_appending:
        return Finding(check="Durability", ok=False, detail="no append-only file", remedy=remedy)
    if facts.fsync is None:
        return Finding(check="Durability", ok=True, detail="append-only file, fsync policy not told")
    detail = f"append-only file of {size(facts.file_bytes)}, appendfsync {facts.fsync}"
    return judged("Durability", facts.fsync != "no", detail, remedy)


def _memory(facts: RedisFacts) -> Finding:
    bound = facts.max_bytes or psutil.virtual_memory().total
    whose = "maxmemory" if facts.max_bytes else "this machine has"
    detail = f"{size(facts.used_bytes)} used, {whose} {size(bound)}"
    remedy = "give Redis more memory: it refuses writes when there is none left"
    return judged("Memory", facts.used_bytes < MAX_MEMORY_SHARE * bound, detail, remedy)


def _clock(facts: RedisFacts) -> Finding:
    gap = abs(facts.ahead_s)
    detail = f"{gap:.3f} s {'behind' if facts.ahead_s > 0 else 'ahead of'} Redis's"
    return judged("Clock", gap < MAX_CLOCK_GAP, detail, "let both machines take their time from the network (NTP)")
