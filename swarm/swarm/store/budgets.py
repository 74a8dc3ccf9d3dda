"""Budgets: what the swarm, or one agent, may spend on routes in a period; reserved at the decision, settled after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from swarm.errors import DamagedRecordError
from swarm.store.connection import Client, redis_errors
from swarm.store.reply import to_hash, to_text
from swarm.store.route_scripts import RESERVE, SETTLE
from swarm.wire.keys import SwarmKeys, check_name
from swarm.wire.route_records import Budget, decode_budget, encode_budget

SWARM = "swarm"
"""The scope of the whole swarm."""


def agent_scope(agent: str) -> str:
    """The scope of one agent.

    >>> agent_scope("coder-1")
    'agent:coder-1'
    """
    return f"agent:{check_name(agent, 'agent')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """A budget with what was spent or is reserved in the present period, in USD."""

    budget: Budget
    spent: float

    @property
    def left(self) -> float:
        """What one task may cost now."""
        left = max(0.0, self.budget.amount - self.spent)
        return left if self.budget.per_task is None else min(left, self.budget.per_task)


class BudgetStore:
    """The budgets of one swarm. Periods begin at multiples of their length, by Redis's clock."""

    def __init__(self, client: Client, keys: SwarmKeys, reserve_ttl_s: float) -> None:
        self._client = client
        self._keys = keys
        self._ttl_ms = int(1000 * reserve_ttl_s)
        self._reserve = client.register_script(RESERVE)
        self._settle = client.register_script(SETTLE)

    def put(self, scope: str, budget: Budget) -> None:
        """Set a budget; what was spent in the period stays spent."""
        with redis_errors(f"set the budget of {scope}"):
            self._client.hset(self._keys.budgets, scope, encode_budget(budget))

    def remove(self, scope: str) -> bool:
        """Lift a budget; False if there was none."""
        with redis_errors(f"remove the budget of {scope}"):
            return bool(self._client.hdel(self._keys.budgets, scope))

    def spending(self) -> dict[str, Spending]:
        """All budgets by scope."""
        with redis_errors("read the budgets"):
            pipeline = self._client.pipeline(transaction=True)
            pipeline.hgetall(self._keys.budgets)
            pipeline.hgetall(self._keys.spend)
            pipeline.time()
            budgets, spend, (now, _) = pipeline.execute()
        spent = to_hash(spend)
        found = {}
        for scope, data in sorted(to_hash(budgets).items()):
            budget = decode_budget(data)
            window = math.floor(int(now) / budget.period_s)
            found[scope] = Spending(budget=budget, spent=_spent(spent.get(scope), window, scope))
        return found

    def reserve(self, decision_id: str, amount: float, scopes: Sequence[str]) -> str | None:
        """Reserve an amount in all budgets that apply, or in none; the scope that has too little left, or None."""
        keys = self._keys
        with redis_errors("reserve in the budgets"):
            done, scope = self._reserve(
                keys=[keys.budgets, keys.spend, keys.reserve(decision_id)],
                args=[repr(float(amount)), self._ttl_ms, *scopes],
            )
        return None if done else to_text(scope)

    def settle(self, decision_id: str, amount: float) -> bool:
        """Put the actual cost in place of what was reserved, once; False if nothing was reserved any more."""
        keys = self._keys
        with redis_errors("settle a decision"):
            return bool(self._settle(keys=[keys.spend, keys.reserve(decision_id)], args=[repr(float(amount))]))


def _spent(stored: bytes | None, window: int, scope: str) -> float:
    if stored is None:
        return 0.0
    try:
        seen, spent = stored.decode().split(":")
        return float(spent) if int(seen) == window else 0.0
    except ValueError as error:
        raise DamagedRecordError(f"spending of {scope}: {error}") from error
