from __future__ import annotations

from pathlib import Path

import pytest

from swarm.errors import InputError
from swarm.settings import Settings, load_settings
from swarm.store.connection import connect


def test_a_value_out_of_bounds_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_CONSOLIDATE_BATCH", "0")
    with pytest.raises(InputError, match=r"SWARM_CONSOLIDATE_BATCH: .*greater than or equal to 1"):
        load_settings()


@pytest.mark.parametrize("name", ["", "a b", "{a}", "a/b", "-a", "a" * 64])
def test_a_name_that_cannot_stand_in_a_key_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="SWARM_NAME"):
        load_settings(name=name)


def test_a_relative_state_directory_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(state_dir=Path("state"))
    assert settings.state_dir == tmp_path / "state"
    assert settings.broker_url == f"unix://{tmp_path}/state/redis.sock"


def test_the_url_with_its_password_is_in_no_repr() -> None:
    settings = Settings(redis_url="redis://:s3cret@127.0.0.1:1/0")
    assert "s3cret" not in repr(settings)
    assert settings.broker_url == "redis://:s3cret@127.0.0.1:1/0"


@pytest.mark.parametrize("url", ["http://:s3cret@x", "redis://:s3cret@host:port", "s3cret"])
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InputError, match="redis_url must be") as caught:
        connect(Settings(redis_url=url))
    assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"
