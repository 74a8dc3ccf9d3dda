"""Status: every figure is a count of what is stored, and the swarms of one Redis do not see each other."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from swarm_support import Report, make_swarm, outcomes_in

from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm.wire.keys import SwarmKeys
from swarm_agents import Agent


def test_a_new_swarm_has_nothing(swarm: Swarm) -> None:
    status = swarm.status()
    assert (status.embedder, status.agents, status.patterns, status.bank_version) == (None, (), 0, "0-0")
    assert (status.pending, status.lost, status.merges, status.queue_depth, status.workers) == (0, 0, 0, 0, ())


def test_the_figures_are_those_of_what_is_stored(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    report("a", 0, 10)
    report("b", 0, 4)
    swarm.outcomes("a").append(b"junk", "broken", "")
    swarm.outcomes("b").put_open("task", b"opened")
    background.consolidate("a", "worker", 0.0)
    background.merge("worker", 0.0)
    report("a", 10, 13)
    background.consolidate("a", "worker", 0.0)
    report("a", 13, 15)
    status = swarm.status()
    a, b = status.agents
    assert (a.name, a.role, a.generation, a.accepted, a.consolidated, a.pending, a.dead, a.lost, a.open) == (
        ("a", "coder", 2, 16, 13, 2, 1, 0, 0)
    )
    assert (b.name, b.generation, b.accepted, b.consolidated, b.pending, b.open) == ("b", 0, 4, 0, 4, 1)
    assert a.accepted == a.consolidated + a.pending + a.dead
    assert outcomes_in(swarm.agents.clusters("a")) == a.consolidated
    assert outcomes_in(swarm.bank.patterns()) == 10
    assert (status.patterns, status.merges, status.unmerged_agents) == (client.hlen(swarm.keys.bank), 1, 1)
    assert (status.pending, status.lost) == (6, 0)
    assert status.embedder == "hashed@1 (32-d)"
    assert a.oldest_pending_s is not None
    assert 0.0 <= a.oldest_pending_s < 60.0
    background.drain(0.0)
    assert [agent.oldest_pending_s for agent in swarm.status().agents] == [None, None]


def test_a_status_is_plain_json(swarm: Swarm, report: Report) -> None:
    report("a", 0, 3)
    values = json.loads(json.dumps(swarm.status().as_dict()))
    assert values["agents"][0]["accepted"] == values["pending"] == 3
    assert values["lost"] == 0


def test_outcomes_that_vanished_from_the_stream_are_counted_as_lost(
    swarm: Swarm, report: Report, client: Client
) -> None:
    receipts = report("a", 0, 5)
    client.xdel(swarm.keys.agent("a").stream, receipts[1].stream_id, receipts[2].stream_id)
    assert swarm.status().lost == 2


def test_losses_show_although_the_stream_still_holds_what_was_consolidated(
    swarm: Swarm, background: Background, report: Report, client: Client
) -> None:
    report("a", 0, 20)
    background.drain(0.0)
    receipts = report("a", 20, 25)
    assert swarm.status().lost == 0
    client.xdel(swarm.keys.agent("a").stream, receipts[1].stream_id)
    background.drain(0.0)
    assert (swarm.status().lost, swarm.status().pending) == (1, 1)
    # And they are no work that anybody could do.
    assert background.due() == []


@pytest.fixture
def other(settings: Settings, client: Client) -> Iterator[Swarm]:
    """Another swarm on the same Redis, whose name begins with that of the first."""
    name = f"{settings.name[:40]}-{uuid.uuid4().hex[:6]}"
    yield make_swarm(settings.model_copy(update={"name": name}), client)
    erase_swarm(client, SwarmKeys(name))


def test_two_swarms_on_one_redis_do_not_see_each_other(
    swarm: Swarm, other: Swarm, background: Background, client: Client
) -> None:
    swarm.store_pattern("decode JSON", "json", idempotency_key="one")
    other.store_pattern("decode JSON", "simplejson", idempotency_key="one")
    background.drain(0.0)
    assert [hit.response for hit in swarm.query("decode JSON")] == ["json"]
    assert other.query("decode JSON") == []
    assert (swarm.status().pending, other.status().pending) == (0, 1)
    Background(other.settings, client).drain(0.0)
    assert [hit.response for hit in other.query("decode JSON")] == ["simplejson"]
    assert [hit.response for hit in swarm.query("decode JSON")] == ["json"]
    before = client.dbsize()
    mine = sum(1 for pattern in swarm.keys.patterns for _ in client.scan_iter(match=pattern))
    erase_swarm(client, swarm.keys)
    assert client.dbsize() == before - mine
    assert [hit.response for hit in other.query("decode JSON")] == ["simplejson"]


def test_every_key_is_one_that_the_list_of_keys_declares(
    swarm: Swarm, background: Background, report: Report, client: Client, settings: Settings
) -> None:
    before = set(client.scan_iter(count=1000))
    agent = Agent("a", swarm=swarm)
    agent.before_task("left open")
    report("b", 0, 5)
    swarm.outcomes("b").append(b"junk", "broken {key}", "")
    background.sweep(lambda task, argument: None)
    held = [swarm.agents.lease("a", 30.0), swarm.bank.lease(30.0)]
    for number in range(2):
        swarm.store_pattern(f"decode JSON {number}", "json")
        background.consolidate("b", "worker", 0.0)
        background.consolidate("library", "worker", 0.0)
    assert held
    keys, a, b = swarm.keys, swarm.keys.agent("a"), swarm.keys.agent("b")
    found = {key.decode() for key in set(client.scan_iter(count=1000)) - before}
    found = {key for key in found if settings.name in key}
    declared = {keys.meta, keys.agents, keys.bank, keys.banklog, keys.merged, keys.lease, keys.fence, keys.counters}
    declared.add(keys.events)
    for one in (a, b, keys.agent("library")):
        declared |= {
            one.stream,
            one.state,
            one.clusters,
            one.weights,
            one.learner,
            one.sample,
            one.routes,
            one.log,
            one.open,
            one.dead,
            one.lease,
            one.fence,
            one.undo,
            one.forgotten,
        }
    prefixes = (b.receipt(""), keys.agent("library").receipt(""), keys.nudge(""))
    assert {key for key in found if not key.startswith(prefixes)} <= declared
    assert {a.open, a.lease, b.stream, b.state, b.clusters, b.log, b.dead, keys.meta, keys.agents} <= found
    assert all(key.startswith((f"{{{settings.name}}}:", f"{{{settings.name}/")) for key in found)
