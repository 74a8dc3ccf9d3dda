"""Tokens: made, shown once, known again, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarm.errors import InputError, RateLimitError, TokenError, UnknownIdError, shown
from swarm.settings import Settings
from swarm.sona.vectors import check_number
from swarm.store.connection import Client
from swarm.store.tokens import TokenStore
from swarm.wire.keys import SwarmKeys
from swarm.wire.token_records import Role, TokenRecord, check_token_id, digest_of, fits, new_token, token_id

MAX_TTL = 10 * 365 * 86_400.0
MAX_TOKENS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who asks: the role, for role agent the agent's name, the id of the token, and when it ends (0: never)."""

    role: Role
    agent: str = ""
    token: str = ""
    expires_s: float = 0.0

    def __str__(self) -> str:
        return f"agent {self.agent}" if self.agent else f"a {self.role.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token, as it may be shown."""

    record: TokenRecord
    used_s: float | None
    """When it was used last, seconds since the epoch; None for never."""
    is_expired: bool

    def as_dict(self) -> dict[str, Any]:
        return {**self.record.as_dict(), "used_s": self.used_s, "is_expired": self.is_expired}


class AccessControl:
    """The tokens of one swarm, and what is left of their allowances."""

    def __init__(self, settings: Settings, client: Client) -> None:
        self._settings = settings
        self._store = TokenStore(client, SwarmKeys(settings.name))

    def create(
        self, role: Role | str, agent: str = "", *, ttl: float | None = None, note: str = ""
    ) -> tuple[str, TokenRecord]:
        """A new token and its record; the token is in no other place, and cannot be shown again.

        Parameters
        ----------
        agent : for role agent: as whom it may act
        ttl : seconds until it expires; None for never

        Raises
        ------
        InputError
            If a value is out of its bounds, or there are `MAX_TOKENS`.
        """
        if not isinstance(role, str) or role not in tuple(Role):
            raise InputError(f"role must be reader, agent or operator, got {shown(role, 40)}")
        token, name = new_token()
        now_s = self._store.now_s()
        lifetime = None if ttl is None else check_number(ttl, "ttl", 1.0, MAX_TTL)
        record = TokenRecord(
            id=name,
            role=Role(role),
            agent=agent,
            digest=digest_of(token, self._settings.name),
            created_s=now_s,
            expires_s=0.0 if lifetime is None else now_s + lifetime,
            note=note,
        )
        if len(self._store.all()) >= MAX_TOKENS:
            raise InputError(f"a swarm has at most {MAX_TOKENS} tokens: revoke some (swarm token list)")
        self._store.put(record)
        return token, record

    def list(self) -> list[TokenView]:
        """All tokens, oldest first."""
        now_s, used = self._store.now_s(), self._store.used_s()
        return [
            TokenView(record=one, used_s=used.get(one.id), is_expired=_is_expired(one, now_s))
            for one in self._store.all()
        ]

    def revoke(self, token: str) -> None:
        """Revoke a token, by its id: it holds nowhere from the next call on.

        Raises
        ------
        UnknownIdError
            If there is none with this id.
        """
        if not self._store.revoke(check_token_id(token)):
            raise UnknownIdError(f"no token {token}: see swarm token list")

    def authenticate(self, token: str) -> Access:
        """Whose token this is.

        Raises
        ------
        TokenError
            If it is none of this swarm's, or has expired. Which of the two is told only to who has the token.
        """
        name = token_id(token)
        record = self._store.find(name)
        if record is None or not fits(record, token, self._settings.name):
            raise TokenError(f"the token is none of swarm {self._settings.name}, or was revoked")
        if _is_expired(record, self._store.now_s()):
            raise TokenError(f"the token has expired: ask the operator of swarm {self._settings.name} for another")
        return Access(role=record.role, agent=record.agent, token=name, expires_s=record.expires_s)

    def spend(self, access: Access, *, is_write: bool) -> None:
        """Count a call against the allowance of an agent, whichever of its tokens it uses, or of a token.

        Raises
        ------
        RateLimitError
            If it is used up; nothing was counted.
        TokenError
            If the token was revoked or has expired meanwhile.
        """
        kind, speed = ("writes", self._settings.rate_writes) if is_write else ("reads", self._settings.rate_reads)
        # An agent's name has no colon in it, so that no two allowances have one name.
        whose = f"agent:{access.agent}:{kind}" if access.agent else f"token:{access.token}:{kind}"
        wait_s = self._store.use(access.token, access.expires_s, whose, speed, self._settings.rate_burst)
        if wait_s is None:
            raise TokenError(
                f"the token is none of swarm {self._settings.name} any more: it was revoked or has expired"
            )
        if wait_s > 0.0:
            raise RateLimitError(
                f"{access} may make {speed:g} {kind} a second (rate_{kind}); retry in {wait_s:.2f} s", wait_s
            )


def _is_expired(record: TokenRecord, now_s: float) -> bool:
    return 0.0 < record.expires_s <= now_s
