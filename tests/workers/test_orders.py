"""What a host is to run, in files that only this user reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import DamagedRecordError, InputError
from swarm.settings import Settings
from swarm_workers.orders import OrderBook, make_order
from swarm_workers.plan import RolePlan
from swarm_workers.size import PoolSize

PLAN = RolePlan(role="coder", handlers=("a", "b.c"), agent="ada", factory="m:f")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(name="s", redis_url="redis://:hunter2@host", state_dir=tmp_path / "state", sweep_interval=0.25)


def test_an_order_comes_back_as_it_was_written_and_holds_no_password(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "code:/absolute")
    book, size = OrderBook(settings), PoolSize(min=0, max=4, idle_s=60.0)
    for order in (make_order(settings, "coder", size, PLAN), make_order(settings, "main", PoolSize.fixed(2), None)):
        book.write(order)
        assert book.read(order.pool) == order
    assert book.pools() == ["coder", "main"]
    [path, _] = sorted((settings.state_dir / "pools" / "s").iterdir())
    assert "hunter2" not in path.read_text()
    assert all(one.stat().st_mode & 0o077 == 0 for one in (path, path.parent, path.parent.parent))

    monkeypatch.setenv("SWARM_WORKER_ROLE", "another")
    found = book.read("coder")
    assert found is not None
    environment = found.environment(settings.model_copy(update={"sweep_interval": 9.0}))
    assert environment["PYTHONPATH"] == f"{tmp_path / 'code'}:/absolute"
    assert (environment["SWARM_SWEEP_INTERVAL"], environment["SWARM_WORKER_ROLE"]) == ("0.25", "coder")
    assert environment["SWARM_REDIS_URL"] == "redis://:hunter2@host"


def test_an_order_is_removed_once(settings: Settings) -> None:
    book = OrderBook(settings)
    book.write(make_order(settings, "main", PoolSize.fixed(1), None))
    assert [book.remove("main"), book.remove("main")] == [True, False]
    assert book.read("main") is None
    assert book.pools() == []


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"version": 2, "size": {}, "plan": null, "variables": {}}',
     '{"version": 1, "size": {"min": 3, "max": 2}, "plan": null, "variables": {}}',
     '{"version": 1, "size": {"min": 1, "max": 2}, "plan": {"role": "r", "handlers": ["os; rm"]}, "variables": {}}',
     '{"version": 1, "size": {"min": 1, "max": 2}, "plan": {"role": "r", "x": 1}, "variables": {}}'],
)  # fmt: skip
def test_a_file_that_is_no_order_is_named(settings: Settings, text: str) -> None:
    book = OrderBook(settings)
    book.write(make_order(settings, "main", PoolSize.fixed(1), None))
    (settings.state_dir / "pools" / "s" / "main.json").write_text(text)
    with pytest.raises(DamagedRecordError, match=r"main\.json is no order for a pool"):
        book.read("main")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a~1", "x" * 64])
def test_the_name_of_a_pool_stays_within_the_folder(settings: Settings, name: str) -> None:
    with pytest.raises(InputError, match="pool must be"):
        OrderBook(settings).read(name)
