"""The policy of one agent: how its evidence ages, and what is taken out of its texts. Part of its registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from swarm.embed.redaction import check_rules
from swarm.errors import DamagedRecordError, InputError
from swarm.sona.ageing import check_period
from swarm.wire.codec import decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPolicy:
    """What holds for one agent beside what holds for its swarm. Periods are seconds, None where there is none.

    >>> AgentPolicy(redact=("phone", "email")).redact
    ('email', 'phone')
    """

    half_life_s: float | None = None
    """Its evidence halves with this, or with the swarm's half-life if that is shorter ..."""
    ttl_s: float | None = None
    """... and likewise expires."""
    redact: tuple[str, ...] = ()
    """Rules of `swarm.embed.redaction_rules`: what they find of its texts is never embedded, stored or sent."""

    def __post_init__(self) -> None:
        for name in ("half_life_s", "ttl_s"):
            check_period(getattr(self, name), name)
        object.__setattr__(self, "redact", check_rules(self.redact))

    def with_that_of(self, other: AgentPolicy) -> AgentPolicy:
        """What satisfies both: the shorter periods, and the rules of either.

        >>> AgentPolicy(ttl_s=9.0, redact=("email",)).with_that_of(AgentPolicy(ttl_s=7.0))
        AgentPolicy(half_life_s=None, ttl_s=7.0, redact=('email',))
        """
        half_lives = [one.half_life_s for one in (self, other) if one.half_life_s is not None]
        ttls = [one.ttl_s for one in (self, other) if one.ttl_s is not None]
        return AgentPolicy(
            half_life_s=min(half_lives, default=None),
            ttl_s=min(ttls, default=None),
            redact=(*self.redact, *other.redact),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for records and JSON; `from_dict` is the inverse."""
        return {**asdict(self), "redact": list(self.redact)}

    @classmethod
    def from_dict(cls, values: object) -> AgentPolicy:
        """A policy from plain values.

        Raises
        ------
        InputError
            If a name is unknown, or a value out of its bounds.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"policy must be a mapping, got {type(values).__name__}")
        if unknown := sorted(f"{name!s:.60}" for name in values.keys() - cls.__dataclass_fields__.keys()):
            raise InputError(f"policy may hold {', '.join(cls.__dataclass_fields__)}, got {', '.join(unknown)}")
        return cls(**values)


NO_POLICY = AgentPolicy()


def encode_policy(policy: AgentPolicy) -> bytes:
    """A policy by itself."""
    return encode("policy", policy.as_dict())


def decode_policy(data: bytes) -> AgentPolicy:
    """The inverse of `encode_policy`."""
    payload = decode("policy", data)
    try:
        return AgentPolicy.from_dict(payload)
    except InputError as error:
        raise DamagedRecordError(f"policy record: {error}") from error
