"""The state directory is made private, or refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings
from swarm_cli.local.statedir import LOCKS, MAX_SOCKET_PATH, check_state_dir, prepare_state_dir


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_directory_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    prepare_state_dir(Settings(state_dir=path))
    assert mode(path) == 0o700


def test_missing_directory_is_not_made_by_a_look(tmp_path: Path) -> None:
    assert not check_state_dir(Settings(state_dir=tmp_path / "a"))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("content", [[], [LOCKS, "redis.conf"]])
def test_open_directory_of_ours_is_closed(tmp_path: Path, content: list[str]) -> None:
    path = tmp_path / "state"
    path.mkdir()
    for name in content:
        (path / name).mkdir()
    path.chmod(0o755)
    prepare_state_dir(Settings(state_dir=path))
    assert mode(path) == 0o700


@pytest.mark.parametrize(("content", "bits"), [(["letters.txt"], 0o755), ([], 0o1777), ([LOCKS], 0o1777)])
def test_open_directory_of_others_files_is_refused_and_left_alone(
    tmp_path: Path, content: list[str], bits: int
) -> None:
    path = tmp_path / "home"
    path.mkdir()
    for name in content:
        (path / name).mkdir()
    path.chmod(bits)
    with pytest.raises(RuntimeSetupError, match=r"SWARM_STATE_DIR=.* is open to other users"):
        prepare_state_dir(Settings(state_dir=path))
    assert mode(path) == bits


def test_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    # Whoever is not root finds one in every system; root makes one.
    path = Path("/usr")
    if os.geteuid() == 0:
        path = tmp_path / "theirs"
        path.mkdir(mode=0o700)
        os.chown(path, 12_345, -1)
    with pytest.raises(RuntimeSetupError, match="belongs to another user"):
        prepare_state_dir(Settings(state_dir=path))


def test_file_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for bad in (path, path / "below"):
        with pytest.raises(RuntimeSetupError, match="SWARM_STATE_DIR"):
            prepare_state_dir(Settings(state_dir=bad))


def test_path_that_is_too_long_for_a_socket_is_refused_with_its_bound(tmp_path: Path) -> None:
    room = MAX_SOCKET_PATH - len("/redis.sock")
    fits = Path("/" + "x" * (room - 1))
    assert not check_state_dir(Settings(state_dir=fits))
    with pytest.raises(RuntimeSetupError, match=f"108 bytes.*{MAX_SOCKET_PATH}.*SWARM_STATE_DIR"):
        check_state_dir(Settings(state_dir=Path(f"{fits}x")))
    # An external Redis needs no socket.
    assert not check_state_dir(Settings(state_dir=Path(f"{fits}x"), redis_url="redis://localhost"))


@pytest.mark.parametrize("name", ["a%41", "a?b", "a#b", "a\nb"])
def test_path_that_no_url_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuntimeSetupError, match="SWARM_STATE_DIR must be printable"):
        prepare_state_dir(Settings(state_dir=tmp_path / name))
