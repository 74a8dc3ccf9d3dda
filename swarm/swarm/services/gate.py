"""The gate: whether a call under a token may be made, by role, by name, by rate and by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from typing import Any

from swarm.errors import CapacityError, ForbiddenError, InputError, shown
from swarm.services.access import Access, AccessControl
from swarm.services.policy import POLICY, Rule
from swarm.settings import Settings
from swarm.sona.vectors import check_number
from swarm.wire.token_records import Role

MAX_ITEMS = 10_000
"""Values in what one call brings, those inside of others counted too."""
MAX_DEPTH = 32
MAX_WAIT = 3_600.0
"""Seconds that one call under a token may wait."""
_NUMBER_BYTES = 8


class Gate:
    """What every call passes. Without a token (`access` is None) everything may pass: whoever has Redis, has all."""

    def __init__(self, settings: Settings, control: AccessControl, access: Access | None) -> None:
        self._max_bytes = settings.rate_max_bytes
        self._control = control
        self.access = access

    @property
    def agent(self) -> str:
        """The one agent that is asking; empty for who may act as any."""
        return "" if self.access is None or self.access.role is not Role.AGENT else self.access.agent

    def enter(self, operation: str, *values: object) -> None:
        """Let a call pass that brings `values`, and count it.

        Raises
        ------
        ForbiddenError
            If the token's role does not allow it.
        CapacityError
            If what it brings is too large, or (`RateLimitError`) too many calls were made.
        TokenError
            If the token was revoked or has expired.
        """
        if self.access is None:
            return
        self._control.spend(self.access, is_write=self.allowed(self.access, operation).is_write)
        check_size(values, self._max_bytes)

    def allowed(self, access: Access, operation: str) -> Rule:
        """The rule by which the role of `access` allows an operation.

        Raises
        ------
        ForbiddenError
            If it does not.
        """
        rule = POLICY.get(operation)
        if rule is None or access.role not in rule.roles:
            raise ForbiddenError(f"{access} may not {operation}{_needed(operation)}")
        return rule

    def own(self, operation: str, agent: object) -> None:
        """Refuse an agent that asks as, or about, another."""
        if self.agent and not (isinstance(agent, str) and agent == self.agent):
            raise self.refusal(operation, f"as or for {shown(agent)}")

    def refusal(self, operation: str, what: str) -> ForbiddenError:
        return ForbiddenError(f"agent {self.agent} may {operation} as and for itself only, not {what}")

    def patience(self, timeout: float, parameter: str) -> float:
        """How long a call may wait, in seconds: `MAX_WAIT` at most under a token."""
        return timeout if self.access is None else check_number(timeout, parameter, 0.0, MAX_WAIT)

    def name_session(self, options: dict[str, Any]) -> None:
        """Give an agent's session a name that no other agent's has: it would steer theirs."""
        if self.agent and isinstance(session := options.get("session"), str) and session:
            options["session"] = f"{self.agent}/{session}"

    def require_operator(self, what: str) -> None:
        """Refuse everybody but an operator."""
        if self.access is None:
            return
        if self.access.role is not Role.OPERATOR:
            raise ForbiddenError(f"{self.access} may not {what}: it needs an operator's token")
        self._control.spend(self.access, is_write=True)


def check_size(values: object, max_bytes: int) -> int:
    """Bytes of text, numbers and the like in `values`, however they are nested; they are at most `max_bytes`.

    Raises
    ------
    InputError
        If they are nested more than `MAX_DEPTH` deep.
    CapacityError
        If they are more than `max_bytes`, or more than `MAX_ITEMS` values.
    """
    size_bytes, items, waiting = 0, 0, [(values, 0)]
    while waiting:
        value, depth = waiting.pop()
        inner = _inner(value)
        if depth > MAX_DEPTH:
            raise InputError(f"what a call brings may be nested {MAX_DEPTH} deep at most")
        items += 1 + len(inner)
        size_bytes += _size(value)
        if size_bytes > max_bytes or items > MAX_ITEMS:
            raise CapacityError(
                f"what a call brings may have {max_bytes} bytes (rate_max_bytes) and {MAX_ITEMS} values at most"
            )
        waiting += [(one, depth + 1) for one in inner]
    return size_bytes


def _inner(value: object) -> Sequence[object]:
    if isinstance(value, str | bytes | bytearray | int | float):
        return ()
    if isinstance(value, Mapping):
        return (*value.keys(), *value.values())
    if isinstance(value, Sequence | Set):
        return tuple(value)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(getattr(value, field.name) for field in fields(value))
    return ()


def _size(value: object) -> int:
    """Bytes, rather too many than too few."""
    if isinstance(value, str):
        return 4 * len(value) if not value.isascii() else len(value)
    if isinstance(value, bytes | bytearray):
        return len(value)
    return int(getattr(value, "nbytes", _NUMBER_BYTES))


def _needed(operation: str) -> str:
    roles = POLICY[operation].roles if operation in POLICY else frozenset()
    if not roles:
        return ": it is for this machine's processes only"
    return f": it needs a token of role {' or '.join(sorted(role.value for role in roles))}"
