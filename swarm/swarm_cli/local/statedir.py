"""The state directory: private files of one user, checked before anything trusts them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from swarm.errors import RuntimeSetupError
from swarm.settings import Settings

MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes that the system takes for the path of a Unix socket."""
LOCKS = "locks"
"""Folder of lock files; whoever writes here takes one first, so it also marks the directory as ours."""


def prepare_state_dir(settings: Settings) -> Path:
    """Create the state directory, readable by nobody else, or check the one that is there.

    Raises
    ------
    RuntimeSetupError
        If it cannot be made private; the message names SWARM_STATE_DIR.
    """
    path = settings.state_dir
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RuntimeSetupError(
            f"cannot create the state directory {path} ({error.strerror}): set SWARM_STATE_DIR to another place"
        ) from error
    check_state_dir(settings)
    return path


def check_state_dir(settings: Settings) -> bool:
    """Whether the state directory exists; if so, it is this user's alone.

    One of ours that others can read is closed to them.

    Raises
    ------
    RuntimeSetupError
        If it belongs to somebody else, or is open to others and holds files that are not ours.
    """
    path = settings.state_dir
    _check_socket_path(settings)
    try:
        links, found = path.lstat(), path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RuntimeSetupError(f"cannot look into SWARM_STATE_DIR={path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise RuntimeSetupError(f"SWARM_STATE_DIR={path} is not a directory")
    if {links.st_uid, found.st_uid} != {os.geteuid()}:
        raise RuntimeSetupError(f"SWARM_STATE_DIR={path} belongs to another user: set it to a directory of your own")
    if found.st_mode & 0o077:
        _close_to_others(path, found.st_mode)
    return True


def _close_to_others(path: Path, mode: int) -> None:
    # Never chmod what was not made for this: SWARM_STATE_DIR=/tmp as root would take /tmp from everybody.
    entries = os.listdir(path)
    if mode & stat.S_ISVTX or (entries and LOCKS not in entries):
        raise RuntimeSetupError(
            f"SWARM_STATE_DIR={path} is open to other users (mode {stat.S_IMODE(mode):04o}) and holds other files: "
            "set it to a directory of its own"
        )
    path.chmod(0o700)


def _check_socket_path(settings: Settings) -> None:
    path = str(settings.socket_path)
    size = len(os.fsencode(path))
    if not settings.redis_url and size > MAX_SOCKET_PATH:
        raise RuntimeSetupError(
            f"the socket's path {path} has {size} bytes, the system takes {MAX_SOCKET_PATH}: "
            "set SWARM_STATE_DIR to a shorter path"
        )
    # The path becomes a URL, a line of Redis's configuration and a part of other paths.
    if not path.isprintable() or any(sign in path for sign in "%?#"):
        raise RuntimeSetupError(f"SWARM_STATE_DIR must be printable and without %, ? and #, got {path!r}")
