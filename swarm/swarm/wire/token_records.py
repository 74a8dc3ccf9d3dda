"""Tokens as records: who may do what, and a digest by which the token is known again. The token itself is in none.

A token is 256 random bits. No list of likely ones exists, so one SHA-256 is as good as a slow hash: who reads the
digest can only try all of them. The digest is over the names of the swarm and of the token, too: copied to another
swarm, or to another token's record, it fits nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from swarm.errors import InputError, TokenError, shown
from swarm.sona.clusters import is_library
from swarm.sona.vectors import check_number
from swarm.wire.codec import encode
from swarm.wire.keys import check_name
from swarm.wire.records import guarded

_ID_BYTES, _SECRET_BYTES = 8, 32
_ID = re.compile(r"[0-9a-f]{16}")
_TOKEN = re.compile(r"swarm_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_LARGEST_TIME = 1e11
MAX_NOTE = 200


class Role(StrEnum):
    """What a token allows."""

    READER = "reader"
    """To ask what the swarm knows, and how it stands."""
    AGENT = "agent"
    """To ask, and to act as one agent."""
    OPERATOR = "operator"
    """Everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A token as it is kept. Times are seconds since the epoch, by Redis's clock."""

    id: str
    role: Role
    agent: str = ""
    """Whose it is; empty but for the role agent."""
    digest: bytes
    created_s: float
    expires_s: float = 0.0
    """0 for never."""
    note: str = ""
    """What the operator wants to remember of it."""

    def as_dict(self) -> dict[str, Any]:
        """All but the digest, for JSON."""
        values = asdict(self)
        del values["digest"]
        return values


def new_token() -> tuple[str, str]:
    """A token that nobody can guess, and its id, which is no secret.

    >>> token_id(new_token()[0]) == new_token()[1]
    False
    """
    name = secrets.token_hex(_ID_BYTES)
    return f"swarm_{name}_{secrets.token_urlsafe(_SECRET_BYTES)}", name


def token_id(token: object) -> str:
    """The id in a token.

    Raises
    ------
    TokenError
        If it is no token; the message does not show it, because it may be another secret.
    """
    found = _TOKEN.fullmatch(token) if isinstance(token, str) else None
    if found is None:
        raise TokenError("the token is not one of `swarm token create`: swarm_, 16 digits, _ and 43 signs")
    return found[1]


def digest_of(token: str, swarm: str) -> bytes:
    """What is kept of a token of this swarm."""
    return hashlib.sha256(f"{swarm}\0{token_id(token)}\0{token}".encode()).digest()


def fits(record: TokenRecord, token: str, swarm: str) -> bool:
    """Whether it is this token's record; takes the same time wherever they differ."""
    return hmac.compare_digest(record.digest, digest_of(token, swarm))


def check_token_record(record: TokenRecord) -> TokenRecord:
    """`record` if every value is within its bounds."""
    check_token_id(record.id)
    if not isinstance(record.role, Role):
        raise InputError(f"role must be reader, agent or operator, got {shown(record.role, 40)}")
    if record.role is Role.AGENT:
        if is_library(check_name(record.agent, "agent")):
            raise InputError(f"agent must be no library, whose word is believed unchecked, got {record.agent!r}")
    elif not isinstance(record.agent, str) or record.agent:
        raise InputError(f"agent goes with role agent only, got {shown(record.agent)} with {record.role.value}")
    if not isinstance(record.digest, bytes) or len(record.digest) != hashlib.sha256().digest_size:
        raise InputError("digest must be 32 bytes")
    check_number(record.created_s, "created_s", 0.0, _LARGEST_TIME)
    check_number(record.expires_s, "expires_s", 0.0, _LARGEST_TIME)
    if not isinstance(record.note, str) or len(record.note) > MAX_NOTE or not record.note.isprintable():
        raise InputError(f"note must be at most {MAX_NOTE} printable characters, got {shown(record.note, 60)}")
    return record


def check_token_id(name: object) -> str:
    """`name` if it can be the id of a token.

    >>> check_token_id("0123456789abcdef")
    '0123456789abcdef'
    """
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise InputError(
            f"a token's id is 16 hexadecimal digits, got {'a token' if _is_token(name) else shown(name, 40)}"
        )
    return name


def encode_token(record: TokenRecord) -> bytes:
    """A token's record, checked."""
    check_token_record(record)
    return encode("token", asdict(record) | {"role": record.role.value})


def decode_token(data: bytes) -> TokenRecord:
    """The inverse of `encode_token`."""
    return guarded("token", data, _token)


def _token(payload: Mapping[str, Any]) -> TokenRecord:
    if payload.keys() != TokenRecord.__dataclass_fields__.keys():
        raise InputError("the fields are not those of a token")
    return check_token_record(TokenRecord(**{**payload, "role": Role(payload["role"])}))


def _is_token(value: object) -> bool:
    return isinstance(value, str) and value.startswith("swarm_")
