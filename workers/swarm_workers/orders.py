"""What this host is to run, in private files: a supervisor that comes back, or a host that boots, goes on from them.

They are not in Redis, on purpose. An order names the modules that a worker imports, and what code is run is decided by
who has this user's files, never by who can write to Redis.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from swarm.errors import DamagedRecordError, InputError
from swarm.settings import Settings
from swarm.wire.keys import check_name
from swarm_workers.plan import RolePlan
from swarm_workers.processes import private_directory, worker_environment
from swarm_workers.size import PoolSize

_VERSION = 1
_OF_THE_HOST = ("name", "state_dir", "redis_url")
"""Settings that an order does not hold: those that say where it lies, and one that may have a password in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOrder:
    """A pool that somebody wants on this host, until it is drained or stopped."""

    pool: str
    size: PoolSize
    plan: RolePlan | None
    """None for the background."""
    variables: Mapping[str, str]
    """PYTHONPATH and the settings that it was started with; the rest of the environment is that of who starts it."""

    @property
    def role(self) -> str:
        return self.plan.role if self.plan else ""

    def environment(self, settings: Settings) -> dict[str, str]:
        """The environment of a worker, when a process with these settings starts it."""
        return {**worker_environment(settings, self.plan), **self.variables}


def make_order(settings: Settings, pool: str, size: PoolSize, plan: RolePlan | None) -> PoolOrder:
    """An order with the present settings and Python path."""
    values = settings.model_dump(exclude=set(_OF_THE_HOST))
    variables = {f"SWARM_{name.upper()}": str(value) for name, value in values.items() if value is not None}
    # Workers run in another directory.
    folders = [os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    variables["PYTHONPATH"] = os.pathsep.join(folders)
    return PoolOrder(pool=pool, size=size, plan=plan, variables=variables)


class OrderBook:
    """The orders of one swarm under one state directory."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.state_dir / "pools" / settings.name

    def pools(self) -> list[str]:
        """Names of the pools that are ordered."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def read(self, pool: str) -> PoolOrder | None:
        """The order for a pool; None if there is none.

        Raises
        ------
        DamagedRecordError
            If the file holds something else; the message names it.
        """
        path = self._path(pool)
        try:
            return _order(pool, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise DamagedRecordError(f"{path} is no order for a pool: {type(error).__name__}: {error}") from error

    def write(self, order: PoolOrder) -> None:
        """Write or replace an order, at once: a reader sees the old one or the new one, never a half."""
        private_directory(self._folder)
        path = self._path(order.pool)
        values = {"version": _VERSION, "size": asdict(order.size), "variables": dict(order.variables)}
        values["plan"] = asdict(order.plan) if order.plan else None
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    def remove(self, pool: str) -> bool:
        """Remove an order: what a person ends is not started again. Whether there was one."""
        there = self._path(pool).exists()
        self._path(pool).unlink(missing_ok=True)
        return there

    def _path(self, pool: str) -> Path:
        return self._folder / f"{check_name(pool, 'pool')}.json"


def _order(pool: str, values: dict[str, Any]) -> PoolOrder:
    if values["version"] != _VERSION:
        raise ValueError(f"version {values['version']!r:.20}, this program reads {_VERSION}")
    plan = values["plan"]
    return PoolOrder(
        pool=pool,
        size=PoolSize(**values["size"]),
        plan=None if plan is None else RolePlan(**{**plan, "handlers": tuple(plan["handlers"])}),
        variables={str(name): str(value) for name, value in values["variables"].items()},
    )
