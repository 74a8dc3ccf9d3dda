from __future__ import annotations

import subprocess
import sys

import swarm.embed


def test_public_names_are_sorted_and_there() -> None:
    names = swarm.embed.__all__
    # Constants, then classes, then functions, each in alphabetical order: as ruff sorts them.
    assert names == sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))
    assert all(hasattr(swarm.embed, name) for name in names)


def test_importing_the_package_loads_no_model_library() -> None:
    script = (
        "import sys, swarm.embed\n"
        "heavy = {'wordllama', 'tokenizers', 'safetensors', 'torch', 'httpx', 'redis', 'pydantic', 'sklearn'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or None)\n"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
