"""A training that is killed goes on where it was, and comes to the very same."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swarm_support import make_swarm, start_program
from training_support import some_lines, what_is_known, what_is_ranked, write_lines

from swarm.errors import UnknownIdError
from swarm.services.background import Background
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.store.erase import erase_swarm
from swarm_agents.training import train

LINES = some_lines(800)
ROUND = 100


@contextmanager
def trainer(settings: Settings, agent: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    with start_program("train_file", settings, agent, path, ROUND) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def busy_workers(settings: Settings, agent: str) -> Iterator[None]:
    """What workers do, all the time: consolidate whatever waits, and merge."""
    over = threading.Event()

    def work() -> None:
        background = Background(settings, connect(settings))
        while not over.wait(0.005):
            with suppress(UnknownIdError):
                background.consolidate(agent, "worker", 0.0)
            background.merge("worker", 0.0)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join(20.0)


def test_one_that_is_killed_three_times_comes_to_the_same_as_one_that_is_not(
    settings: Settings, swarm: Swarm, client: Client, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "data.jsonl", [*LINES[:350], "{not JSON", *LINES[350:]])
    # A lease of a killed process is waited for.
    settings = settings.model_copy(update={"lease_ttl": 1.0})
    other = make_swarm(settings.model_copy(update={"name": f"{settings.name}-b"}), client)
    try:
        unbroken = train(other, "coder-1", path, round_size=ROUND)
        rejected = Path(unbroken.rejected_file).read_bytes()
        rng = random.Random(4)
        with busy_workers(settings, "coder-1"):
            for _ in range(3):
                with trainer(settings, "coder-1", path) as process:
                    assert process.stdout is not None
                    for _ in range(rng.randint(1, 2)):
                        assert process.stdout.readline().strip().isdigit()
                    # Somewhere in the round that comes next: reading, learning, committing or merging.
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(rng.random() * 0.05)
            broken = train(swarm, "coder-1", path, round_size=ROUND)
        assert broken.resumed_at > 0
        assert what_is_known(swarm, "coder-1") == what_is_known(other, "coder-1")
        assert what_is_ranked(swarm, LINES[:50]) == what_is_ranked(other, LINES[:50])
        assert (broken.trained, broken.after) == (unbroken.trained, unbroken.after)
        assert Path(broken.rejected_file).read_bytes() == rejected
    finally:
        erase_swarm(client, other.keys)
