"""A template: learning settings on top of a preset, a role, and a policy; and the domain that may narrow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any

from swarm.errors import InputError, shown
from swarm.services.periods import parse_period
from swarm.sona.config import PRESETS, SonaConfig
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.keys import check_name

_SETTINGS = tuple(one.name for one in fields(SonaConfig) if one.name != "dim")
_PERIODS = {"half_life": "half_life_s", "ttl": "ttl_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a field of knowledge asks of every agent in it."""

    name: str
    description: str
    role: str
    policy: AgentPolicy

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "policy": self.policy.as_dict()}

    @classmethod
    def parse(cls, name: str, values: Mapping[str, Any]) -> Domain:
        """A domain from what its TOML file holds; errors as in `Template.parse`."""
        _check_keys(values, ("description", "role", "retention", "redaction"), f"domain {name}")
        return cls(
            name=check_name(name, "domain"),
            description=_text(values, "description"),
            role=check_name(_text(values, "role"), "role"),
            policy=_policy(values),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What an agent is made from. `config` holds what differs from the preset; the dimension is the embedder's."""

    name: str
    description: str
    preset: str
    role: str
    config: Mapping[str, Any] = field(default_factory=dict)
    policy: AgentPolicy = NO_POLICY

    @classmethod
    def parse(cls, name: str, values: Mapping[str, Any]) -> Template:
        """A template from what its TOML file holds, checked as a whole.

        Raises
        ------
        InputError
            If a key is unknown, or a value out of its bounds.
        """
        _check_keys(values, ("description", "preset", "role", "config", "retention", "redaction"), f"template {name}")
        made = cls(
            name=check_name(name, "template"),
            description=_text(values, "description"),
            preset=_text(values, "preset", "default"),
            role=check_name(_text(values, "role"), "role"),
            config=dict(_table(values, "config")),
            policy=_policy(values),
        )
        _check_keys(made.config, _SETTINGS, "[config]")
        made.settings(SonaConfig().dim)
        return made

    def settings(self, dim: int) -> SonaConfig:
        """The learning settings for embeddings of `dim` numbers."""
        if self.preset not in PRESETS:
            raise InputError(f"preset must be one of {', '.join(PRESETS)}, got {shown(self.preset, 60)}")
        return SonaConfig.preset(self.preset, dim=dim).updated(**self.config)

    def within(self, domain: Domain) -> Template:
        """This template for a domain: its role, its periods where it has some, and its rules of redaction as well."""
        mine, theirs = self.policy, domain.policy
        policy = AgentPolicy(
            half_life_s=mine.half_life_s if theirs.half_life_s is None else theirs.half_life_s,
            ttl_s=mine.ttl_s if theirs.ttl_s is None else theirs.ttl_s,
            redact=(*mine.redact, *theirs.redact),
        )
        return replace(self, name=f"{self.name}.{domain.name}", role=domain.role, policy=policy)

    def changed(self, changes: Mapping[str, Any]) -> Template:
        """This template with other values: settings, `half_life` and `ttl` as periods, `redact` as names of rules."""
        _check_keys(changes, (*_SETTINGS, *_PERIODS, "redact"), "set")
        policy = asdict(self.policy)
        for key, field_name in _PERIODS.items():
            if key in changes:
                policy[field_name] = parse_period(changes[key], key)
        policy["redact"] = changes.get("redact", self.policy.redact)
        config = {**self.config, **{key: value for key, value in changes.items() if key in _SETTINGS}}
        return replace(self, config=config, policy=AgentPolicy(**policy))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "policy": self.policy.as_dict()}


def _policy(values: Mapping[str, Any]) -> AgentPolicy:
    retention, redaction = _table(values, "retention"), _table(values, "redaction")
    _check_keys(retention, tuple(_PERIODS), "[retention]")
    _check_keys(redaction, ("rules",), "[redaction]")
    periods = {_PERIODS[key]: parse_period(value, key) for key, value in retention.items()}
    return AgentPolicy(**periods, redact=redaction.get("rules", ()))


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    if unknown := sorted(shown(key, 60) for key in values.keys() - set(known)):
        meant = get_close_matches(unknown[0], known, 1, 0.3) or [name for name in known if unknown[0] in name]
        hint = f" (did you mean {meant[0]}?)" if meant else ""
        raise InputError(f"{where} may hold {', '.join(known)}, got {', '.join(unknown)}{hint}")


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{key} must be a table, [{key}], got {shown(found, 60)}")
    return found


def _text(values: Mapping[str, Any], key: str, default: str | None = None) -> str:
    found = values.get(key, default)
    if not isinstance(found, str):
        raise InputError(f"{key} must be text, got {shown(found, 60)}")
    return found
