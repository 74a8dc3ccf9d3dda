"""Pools that grow, shrink, end and come back by what waits for them, with real workers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import psutil
import pytest
from supervisor_support import PLAN, Watched
from swarm_support import EMBEDDER
from workers_support import put_outcomes

from swarm.errors import BoundsError
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm_workers.orders import OrderBook, make_order
from swarm_workers.plan import RolePlan
from swarm_workers.pools import PoolSize

Watch = Callable[..., Watched]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"embedder": EMBEDDER, "sweep_interval": 0.1, "lease_ttl": 5.0, "consolidate_delay": 0.1}
    )


def test_a_pool_grows_with_what_waits_shrinks_when_it_is_quiet_ends_when_idle_and_comes_back(
    watch: Watch, settings: Settings
) -> None:
    watched = watch(grow_s=0.2, quiet_s=1.0)
    first = watched.manager.start("coder", PoolSize(min=0, max=3, idle_s=2.0), plan=PLAN)
    assert (first.concurrency, first.min_size, first.max_size) == (1, 0, 3)
    gates = [settings.state_dir / f"gate-{number}" for number in range(6)]
    tasks = [watched.swarm.submit("x", role="coder", payload={"gate": str(gate)}).id for gate in gates]
    watched.wait(lambda: watched.state().active == 3, "three at once")
    assert watched.state().concurrency == 3
    watched.wait(lambda: (care := watched.state().care) and care.wanted == 3 and "waiting" in care.why, "the reason")

    for gate in gates[1:]:
        gate.touch()
    watched.wait(lambda: watched.state().concurrency == 1, "the pool to shrink to what is busy")
    assert watched.state().active == 1
    gates[0].touch()
    assert [watched.result(task) for task in tasks] == [1] * 6

    watched.wait(lambda: watched.state().status == "asleep", "the pool to end")
    assert not psutil.pid_exists(first.pid)
    again = watched.swarm.submit("x", role="coder").id
    assert watched.result(again) == 1
    assert watched.state().pid != first.pid


def sleeping(watched: Watched, settings: Settings, pool: str, plan: RolePlan | None) -> None:
    """A pool that is ordered, and for which nothing waits."""
    OrderBook(settings).write(make_order(settings, pool, PoolSize(min=0, max=2, idle_s=60.0), plan))
    watched.supervisor.tick()
    assert (watched.state(pool).status, watched.state(pool).pid) == ("asleep", 0)


def test_a_background_pool_that_sleeps_is_woken_by_outcomes(watch: Watch, settings: Settings, client: Client) -> None:
    watched = watch()
    sleeping(watched, settings, "main", None)
    put_outcomes(settings, client, "coder-1", 10)
    watched.wait(lambda: watched.swarm.agents.state("coder-1").consolidated == 10, "the outcomes to be learned")


def test_a_sleeping_pool_is_scaled_and_stopped(watch: Watch, settings: Settings) -> None:
    watched = watch()
    sleeping(watched, settings, "coder", PLAN)
    assert watched.manager.restart("coder").status == "asleep"
    assert watched.manager.stop("coder") is True
    assert watched.manager.list() == []

    sleeping(watched, settings, "coder", PLAN)
    scaled = watched.manager.scale("coder", 2)
    assert (scaled.status, scaled.concurrency) == ("running", 2)
    watched.supervisor.tick()
    assert watched.state().pid == scaled.pid


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min": 3, "max": 2}, r"min must be an integer in 0\.\.2, got 3"),
        ({"min": 0, "max": 0}, r"max must be an integer in 1\.\.256, got 0"),
        ({"min": 0, "max": 257}, r"max must be an integer in 1\.\.256, got 257"),
        ({"min": -1, "max": 2}, "min must be"),
        ({"min": True, "max": 2}, "min must be"),
        ({"min": 0, "max": 1, "idle_s": 0.0}, r"idle must be in 1\.\.604800, got 0"),
        ({"min": 0, "max": 1, "idle_s": np.nan}, "idle must be"),
    ],
)
def test_bounds_are_checked(bounds: dict[str, float], message: str) -> None:
    with pytest.raises(BoundsError, match=message):
        PoolSize(**bounds)  # type: ignore[arg-type]  # that is the matter
