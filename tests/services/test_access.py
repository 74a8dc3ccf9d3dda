"""Tokens: shown once, kept as a digest, known again, expired, revoked, and what is left of their allowances."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from support import wait_until

from swarm.errors import InputError, RateLimitError, TokenError, UnknownIdError
from swarm.services.access import Access, AccessControl
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.store.reply import to_hash
from swarm.store.tokens import TokenStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.token_records import Role, decode_token, encode_token


@pytest.fixture
def control(settings: Settings, client: Client) -> AccessControl:
    return AccessControl(settings, client)


def dump(client: Client, keys: SwarmKeys) -> bytes:
    """All bytes that are kept of the tokens."""
    found = to_hash(client.hgetall(keys.tokens)) | to_hash(client.hgetall(keys.token_use))
    return b"".join(key.encode() + value for key, value in found.items())


def test_a_token_is_known_again_and_kept_nowhere(control: AccessControl, swarm: Swarm) -> None:
    token, record = control.create("agent", "ada", note="for the laptop")
    access = control.authenticate(token)
    assert (access.role, access.agent, access.token) == (Role.AGENT, "ada", record.id)
    stored = dump(swarm.client, swarm.keys)
    assert record.id.encode() in stored
    assert token.encode() not in stored
    assert token.rpartition("_")[2].encode() not in stored
    assert token not in repr(record) + repr(access) + repr(control.list())
    assert "digest" not in control.list()[0].as_dict()


@pytest.mark.parametrize(
    "token", ["", "swarm_", "s3cret-of-something-else", None, 5, b"swarm_", "swarm_" + "0" * 16 + "_" + "a" * 43, "\0"]
)
def test_what_is_no_token_is_refused_without_being_shown(control: AccessControl, token: Any) -> None:
    with pytest.raises(TokenError) as caught:
        control.authenticate(token)
    assert "s3cret" not in str(caught.value)
    assert "a" * 43 not in str(caught.value)


def test_one_wrong_sign_makes_it_another_token(control: AccessControl) -> None:
    token, _ = control.create("reader")
    for position in (-1, len("swarm_") + 3, -20):
        signs = list(token)
        signs[position] = "0" if signs[position] != "0" else "1"
        with pytest.raises(TokenError, match="is none of swarm"):
            control.authenticate("".join(signs))


def test_a_record_that_was_copied_fits_no_other_swarm_and_no_other_token(
    control: AccessControl, settings: Settings, client: Client
) -> None:
    token, record = control.create("reader")
    elsewhere = settings.model_copy(update={"name": f"{settings.name}-b"})
    keys = SwarmKeys(elsewhere.name)
    client.hset(keys.tokens, record.id, encode_token(record))
    try:
        with pytest.raises(TokenError, match="is none of swarm"):
            AccessControl(elsewhere, client).authenticate(token)
    finally:
        client.delete(keys.tokens)
    other, second = control.create("operator")
    client.hset(SwarmKeys(settings.name).tokens, second.id, encode_token(replace(second, digest=record.digest)))
    for guess in (other, token.replace(record.id, second.id)):
        with pytest.raises(TokenError, match="is none of swarm"):
            control.authenticate(guess)


def test_a_token_expires_by_the_clock_of_redis(control: AccessControl) -> None:
    token, record = control.create("agent", "ada", ttl=1.0)
    access = control.authenticate(token)
    control.spend(access, is_write=False)
    wait_until(lambda: control.list()[0].is_expired, 30.0, "the end of the token")
    with pytest.raises(TokenError, match="has expired"):
        control.authenticate(token)
    # One that was let in before is out by its next call, too.
    with pytest.raises(TokenError, match="has expired"):
        control.spend(access, is_write=False)
    assert record.expires_s == pytest.approx(record.created_s + 1.0)


def test_a_revoked_token_holds_no_more_from_the_next_call_on(control: AccessControl, swarm: Swarm) -> None:
    token, record = control.create("operator")
    access = control.authenticate(token)
    control.spend(access, is_write=True)
    control.revoke(record.id)
    with pytest.raises(TokenError, match="was revoked"):
        control.spend(access, is_write=True)
    with pytest.raises(TokenError, match="was revoked"):
        control.authenticate(token)
    with pytest.raises(UnknownIdError, match="no token"):
        control.revoke(record.id)
    assert dump(swarm.client, swarm.keys) == b""


def test_a_token_instead_of_its_id_is_refused_and_not_shown(control: AccessControl) -> None:
    token, _ = control.create("reader")
    with pytest.raises(InputError, match="got a token") as caught:
        control.revoke(token)
    assert token not in str(caught.value)


def test_the_last_use_is_kept(control: AccessControl) -> None:
    token, _ = control.create("reader")
    assert control.list()[0].used_s is None
    before = time.time()
    control.spend(control.authenticate(token), is_write=False)
    used = control.list()[0].used_s
    assert used is not None
    assert before - 1.0 <= used <= time.time() + 1.0


@pytest.mark.parametrize(
    ("role", "agent", "options"),
    [
        ("admin", "", {}),
        ("agent", "", {}),
        ("agent", "a/b", {}),
        ("agent", "library", {}),
        ("agent", "library-of-plans", {}),
        ("reader", "ada", {}),
        ("operator", "ada", {}),
        ("reader", "", {"ttl": 0.0}),
        ("reader", "", {"ttl": float("nan")}),
        ("reader", "", {"ttl": 1e12}),
        ("reader", "", {"ttl": "1d"}),
        ("reader", "", {"note": "x" * 201}),
        ("reader", "", {"note": "a\nb"}),
        ("reader", "", {"note": None}),
    ],
)
def test_a_token_out_of_bounds_is_not_made(control: AccessControl, role: Any, agent: Any, options: Any) -> None:
    with pytest.raises(InputError):
        control.create(role, agent, **options)
    assert control.list() == []


def spend_all(control: AccessControl, tokens: list[Access]) -> None:
    """Write under these in turn; both draw on the agent's one allowance, which four calls at once do not use up."""
    for number in range(50):
        try:
            control.spend(tokens[number % 2], is_write=True)
        except RateLimitError:
            assert number >= 4
            raise


def test_an_allowance_is_spent_and_comes_back(settings: Settings, client: Client) -> None:
    slow = settings.model_copy(update={"rate_writes": 5.0, "rate_reads": 0.01, "rate_burst": 0.8})
    control = AccessControl(slow, client)
    tokens = [control.authenticate(control.create("agent", "ada")[0]) for _ in range(2)]
    other = control.authenticate(control.create("agent", "bob")[0])
    with pytest.raises(
        RateLimitError, match=r"agent ada may make 5 writes a second \(rate_writes\); retry in"
    ) as caught:
        spend_all(control, tokens)
    assert 0.0 < caught.value.retry_after_s <= 0.2
    control.spend(other, is_write=True)
    control.spend(tokens[0], is_write=False)
    with pytest.raises(RateLimitError, match=r"0\.01 reads a second"):
        control.spend(tokens[0], is_write=False)

    def again() -> bool:
        try:
            control.spend(tokens[0], is_write=True)
        except RateLimitError:
            return False
        return True

    wait_until(again, 30.0, "the allowance to come back")


def test_an_allowance_that_is_full_again_is_forgotten(settings: Settings, client: Client) -> None:
    store, control = TokenStore(client, SwarmKeys(settings.name)), AccessControl(settings, client)
    _, record = control.create("reader")
    assert store.use(record.id, 0.0, "token:x:reads", 100.0, 1.0) == 0.0
    key = SwarmKeys(settings.name).rate("token:x:reads")
    assert 0 < client.pttl(key) <= 2_000


def test_a_record_is_the_same_after_encoding(control: AccessControl) -> None:
    _, record = control.create("agent", "ada", ttl=60.0, note="ä")
    assert decode_token(encode_token(record)) == record
