"""Leases: one holder, a token that grows, and nothing that a former holder could break."""

from __future__ import annotations

import threading

from support import wait_until
from swarm_support import present

from swarm.store.connection import Client
from swarm.store.lease import Lease
from swarm.wire.keys import AgentKeys, SwarmKeys


def take(client: Client, keys: SwarmKeys, ttl: float = 30.0) -> Lease | None:
    return Lease.take(client, keys.lease, keys.fence, ttl)


def must_take(client: Client, keys: SwarmKeys, ttl: float = 30.0) -> Lease:
    return present(take(client, keys, ttl))


def test_a_lease_has_one_holder_until_it_is_released(client: Client, keys: SwarmKeys) -> None:
    lease = must_take(client, keys)
    assert take(client, keys) is None
    lease.release()
    assert must_take(client, keys).token > lease.token


def test_of_many_threads_that_ask_at_once_one_gets_the_lease(client: Client, keys: SwarmKeys) -> None:
    barrier, found = threading.Barrier(16), []

    def ask() -> None:
        barrier.wait()
        found.append(take(client, keys))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in found) == 1


def test_a_lease_expires(client: Client, keys: SwarmKeys) -> None:
    first = must_take(client, keys, 0.05)
    second = present(wait_until(lambda: take(client, keys), 30.0, "the lease to expire"))
    assert second.token > first.token


def test_renewing_begins_the_full_time_again(client: Client, keys: SwarmKeys) -> None:
    lease = must_take(client, keys, 30.0)
    client.pexpire(keys.lease, 5000)
    assert lease.renew()
    assert client.pttl(keys.lease) > 25_000


def test_a_lost_lease_can_be_neither_renewed_nor_released(client: Client, keys: SwarmKeys) -> None:
    old = must_take(client, keys, 0.05)
    wait_until(lambda: not client.exists(keys.lease), 30.0, "the lease to expire")
    assert not old.renew()
    new = must_take(client, keys)
    assert not old.renew()
    old.release()
    assert client.get(keys.lease) == str(new.token).encode()


def test_leases_of_two_agents_do_not_meet(client: Client, keys: SwarmKeys) -> None:
    def of(agent: AgentKeys) -> Lease | None:
        return Lease.take(client, agent.lease, agent.fence, 30.0)

    assert of(keys.agent("a")) is not None
    assert of(keys.agent("b")) is not None
    assert of(keys.agent("a")) is None


def test_a_held_lease_outlives_its_time_and_is_given_back_in_the_end(client: Client, keys: SwarmKeys) -> None:
    # Long enough for a keeper that a busy machine does not let run for two seconds.
    lease = must_take(client, keys, 3.0)
    with lease.held():
        client.pexpire(keys.lease, 2_400)
        wait_until(lambda: client.pttl(keys.lease) > 2_500, 30.0, "the keeper to renew it")
        client.pexpire(keys.lease, 2_400)
        wait_until(lambda: client.pttl(keys.lease) > 2_500, 30.0, "the keeper to renew it again")
    assert not client.exists(keys.lease)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lease ")]


def test_a_held_lease_that_somebody_else_took_is_left_to_them(client: Client, keys: SwarmKeys) -> None:
    with must_take(client, keys, 0.3).held():
        client.delete(keys.lease)
        other = must_take(client, keys)
        wait_until(
            lambda: not any(t.name.startswith("lease ") for t in threading.enumerate()), 30.0, "the keeper to end"
        )
    assert client.get(keys.lease) == str(other.token).encode()
