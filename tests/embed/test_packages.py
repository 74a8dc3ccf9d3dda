from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from swarm.embed.packages import fingerprint, package_folder
from swarm.errors import EmbedderUnavailableError


def test_missing_package_is_an_error_with_the_remedy() -> None:
    with pytest.raises(EmbedderUnavailableError, match="no_such_package_here is not installed: pip install it"):
        package_folder("no_such_package_here", "pip install it")


def test_folder_is_found_without_importing_the_package() -> None:
    assert (package_folder("turtledemo", "") / "__init__.py").is_file()
    assert "turtledemo" not in sys.modules


def test_fingerprint_is_the_hash_of_the_files_in_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"one")
    second.write_bytes(b"two")
    assert fingerprint((first, second), "") == hashlib.sha256(b"onetwo").hexdigest()
    assert fingerprint((second, first), "") != fingerprint((first, second), "")


def test_missing_file_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnavailableError, match=r"cannot read weights \(No such file.*\): reinstall"):
        fingerprint((tmp_path / "weights",), "reinstall")
