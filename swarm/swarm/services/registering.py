"""What is registered of an agent: what is said now, and where nothing is said, what was known."""

from __future__ import annotations

import time

from swarm.embed.identity import EmbedderIdentity
from swarm.errors import InputError
from swarm.sona.config import SonaConfig
from swarm.wire.agent_policy import NO_POLICY, AgentPolicy
from swarm.wire.keys import check_name
from swarm.wire.records import Registration, check_weights_fit

DEFAULT_ROLE = "agent"


def registration_from(
    known: Registration | None,
    embedder: EmbedderIdentity,
    *,
    role: str | None,
    config: SonaConfig | None,
    template: str | None,
    policy: AgentPolicy | None,
) -> Registration:
    """The registration that follows on `known`; None leaves a value as it is.

    Raises
    ------
    InputError
        If a value is of the wrong type, or the configuration does not fit the embedder.
    """
    if config is not None and not isinstance(config, SonaConfig):
        raise InputError(f"config must be a SonaConfig, got {type(config).__name__}")
    if not (policy is None or isinstance(policy, AgentPolicy)):
        raise InputError(f"policy must be an AgentPolicy, got {type(policy).__name__}")
    if template is not None:
        check_name(template, "template")
    wanted = config or (known.config if known else SonaConfig(dim=embedder.dim))
    if wanted.dim != embedder.dim:
        raise InputError(f"config.dim must be {embedder.dim}, the dimension of {embedder}, got {wanted.dim}")
    check_weights_fit(wanted)
    return Registration(
        role=role or (known.role if known else DEFAULT_ROLE),
        config=wanted,
        registered_s=known.registered_s if known else time.time(),
        template=template or (known.template if known else ""),
        policy=policy or (known.policy if known else NO_POLICY),
    )
