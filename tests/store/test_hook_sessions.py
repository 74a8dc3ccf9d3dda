"""Sessions of coding agents in Redis."""

from __future__ import annotations

import pytest

from swarm.errors import RecordError
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.hook_sessions import TTL_S, HookSessionStore, name_of
from swarm.wire.hook_records import SessionRecord
from swarm.wire.keys import SwarmKeys


def a_session(session: str, at_s: float, client: str = "claude-code") -> SessionRecord:
    return SessionRecord(client=client, session=session, model="", at_s=at_s)


@pytest.fixture
def store(client: Client, settings: Settings) -> HookSessionStore:
    return HookSessionStore(client, SwarmKeys(settings.name))


def test_a_session_is_kept_for_its_client_until_it_ends(store: HookSessionStore) -> None:
    store.put(a_session("{s}\0 *", 1.0))
    store.put(a_session("{s}\0 *", 2.0))
    assert store.get("claude-code", "{s}\0 *") == a_session("{s}\0 *", 2.0)
    assert store.get("codex", "{s}\0 *") is None
    assert store.count() == 1
    store.remove("claude-code", "{s}\0 *")
    assert store.get("claude-code", "{s}\0 *") is None
    assert store.count() == 0


def test_idle_sessions_are_found_the_longest_silent_first(store: HookSessionStore) -> None:
    for number in (3, 1, 2, 9):
        store.put(a_session(f"s{number}", float(number)))
    assert [record.session for record in store.idle(5.0, 2)] == ["s1", "s2"]
    assert [record.session for record in store.idle(5.0, 10)] == ["s1", "s2", "s3"]


def test_a_record_expires_and_its_place_is_tidied_up(
    store: HookSessionStore, client: Client, settings: Settings
) -> None:
    store.put(a_session("s", 1.0))
    key = SwarmKeys(settings.name).hook_session(name_of("claude-code", "s"))
    assert 0 < client.pttl(key) <= TTL_S * 1000
    client.delete(key)
    assert store.idle(5.0, 10) == []
    assert store.count() == 0


def test_damaged_bytes_are_said_to_be_damaged(store: HookSessionStore, client: Client, settings: Settings) -> None:
    client.set(SwarmKeys(settings.name).hook_session(name_of("claude-code", "s")), b"junk")
    with pytest.raises(RecordError):
        store.get("claude-code", "s")
