"""The policy of an agent: bounds, rules that exist, and its record."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.embed.redaction_rules import RULES
from swarm.errors import DamagedRecordError, InputError
from swarm.sona.ageing import MAX_PERIOD_S
from swarm.wire.agent_policy import AgentPolicy, decode_policy, encode_policy
from swarm.wire.codec import encode

periods = st.none() | st.floats(1.0, MAX_PERIOD_S)


@given(periods, periods, st.lists(st.sampled_from(sorted(RULES))))
def test_a_policy_comes_back_exactly(half_life_s: float | None, ttl_s: float | None, redact: list[str]) -> None:
    policy = AgentPolicy(half_life_s=half_life_s, ttl_s=ttl_s, redact=tuple(redact))
    assert decode_policy(encode_policy(policy)) == policy == AgentPolicy.from_dict(policy.as_dict())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ttl_s": 0.5}, "ttl_s must be in 1..3.1536e"),
        ({"half_life_s": "30d"}, "half_life_s must be"),
        ({"redact": ["emails"]}, "redact may hold email, iban"),
        ({"redact": "email"}, "redact must be names of rules"),
        ({"color": 1}, "policy may hold half_life_s, ttl_s, redact, got color"),
    ],
)
def test_what_is_out_of_bounds_is_refused_and_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        AgentPolicy.from_dict(values)
    with pytest.raises(DamagedRecordError, match=re.escape(message)):
        decode_policy(encode("policy", values))
