"""What Redis acknowledged and lost is sent again, by whoever sent it or by the next process; nothing counts twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from support import PrivateRedis, wait_until
from swarm_support import EMBEDDER, make_swarm, some_outcome, start_program

from swarm.errors import QueueFullError, StoreUnavailableError, UnknownIdError
from swarm.services.background import Background
from swarm.services.resend import Resender
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.wire.task_records import TaskRecord, encode_task


@pytest.fixture
def settings(settings: Settings, own_redis: PrivateRedis) -> Settings:
    return settings.model_copy(
        update={
            "redis_url": own_redis.url,
            "embedder": EMBEDDER,
            "consolidate_delay": 0.0,
            "socket_timeout": 2.0,
            "resend_window": 60.0,
        }
    )


@pytest.fixture
def client(settings: Settings) -> Client:
    """Its Redis goes with the test."""
    return connect(settings)


@pytest.fixture
def swarm(settings: Settings, client: Client) -> Iterator[Swarm]:
    with closing(make_swarm(settings, client)) as swarm:
        swarm.register("ada", "coder")
        yield swarm


def _send(swarm: Swarm, first: int, last: int) -> None:
    for number in range(first, last):
        swarm.record(some_outcome(number, "ada"), f"ada-{number}")
        swarm.submit(f"task {number}", role="coder", idempotency_key=f"task-{number}")


def _counts(swarm: Swarm) -> tuple[int, int]:
    (tasks,) = swarm.tasks.counts()
    return swarm.agents.state("ada").accepted, tasks.submitted


def _has(swarm: Swarm, outcomes: int, tasks: int) -> Callable[[], bool]:
    def has() -> bool:
        try:
            return _counts(swarm) == (outcomes, tasks)
        except (StoreUnavailableError, ValueError):
            return False

    return has


def test_what_redis_lost_is_sent_again_by_its_sender(swarm: Swarm, own_redis: PrivateRedis, settings: Settings) -> None:
    _send(swarm, 0, 10)
    written = own_redis.written()
    _send(swarm, 10, 30)
    own_redis.kill()
    own_redis.lose(written)
    own_redis.start()
    # Somebody else sees that it is lost; the sender has not used its connection since.
    with closing(make_swarm(settings)) as other, pytest.raises(UnknownIdError):
        other.receipt("ada", "ada-20")
    wait_until(_has(swarm, 30, 30), 20.0, "all outcomes and tasks to be there again")
    assert swarm.sent.failures == 0
    Background(settings, connect(settings)).drain(time.time())
    status = swarm.status()
    assert status.lost == 0
    assert status.agents[0].consolidated == 30


def test_what_a_killed_sender_sent_is_sent_again_by_the_next_process(
    swarm: Swarm, own_redis: PrivateRedis, settings: Settings
) -> None:
    _send(swarm, 0, 1)
    written = own_redis.written()
    with start_program("post_and_die", settings, "ada", 1, 20) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sent\n"
        process.kill()
    own_redis.kill()
    own_redis.lose(written)
    own_redis.start()
    wait_until(_has(swarm, 20, 20), 20.0, "the dead process's outcomes and tasks to be there")


def test_sending_again_what_was_not_lost_has_no_effect(
    swarm: Swarm, own_redis: PrivateRedis, settings: Settings
) -> None:
    _send(swarm, 0, 10)
    own_redis.kill()
    own_redis.start()
    wait_until(lambda: swarm.sent.resent >= 20, 20.0, "everything to be sent again")
    assert _counts(swarm) == (10, 10)


def test_what_redis_has_kept_for_a_window_is_let_go(settings: Settings, client: Client) -> None:
    with closing(make_swarm(settings.model_copy(update={"resend_window": 0.5}), client)) as swarm:
        swarm.register("ada", "coder")
        _send(swarm, 0, 3)
        folder = settings.state_dir / "sent" / settings.name
        assert any(folder.iterdir())
        wait_until(lambda: not any(folder.iterdir()), 20.0, "the files to go")


def test_without_a_window_nothing_is_kept(settings: Settings, client: Client) -> None:
    with closing(make_swarm(settings.model_copy(update={"resend_window": 0.0}), client)) as swarm:
        swarm.register("ada", "coder")
        _send(swarm, 0, 3)
    assert not (settings.state_dir / "sent").exists()


def test_a_folder_that_cannot_be_used_does_not_refuse_what_redis_took(swarm: Swarm, settings: Settings) -> None:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    (settings.state_dir / "sent").write_text("in the way")
    _send(swarm, 0, 2)
    assert _counts(swarm) == (2, 2)
    assert swarm.sent.failures == 4


def test_a_forked_process_keeps_its_own_files(swarm: Swarm, settings: Settings) -> None:
    _send(swarm, 0, 1)
    if (child := os.fork()) == 0:
        own = make_swarm(settings, connect(settings))
        own.sent, forked = swarm.sent, own
        forked.record(some_outcome(1, "ada"), "ada-1")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list((settings.state_dir / "sent" / settings.name).iterdir())) == 2


def test_who_is_done_with_it_leaves_its_files_behind_without_a_word(swarm: Swarm, settings: Settings) -> None:
    others = threading.enumerate()
    sender = Resender(settings)
    sender.sent_task("coder:" + 32 * "0", encode_task(TaskRecord(role="coder", text="x")))
    [thread] = [thread for thread in threading.enumerate() if thread.name == "resend" and thread not in others]
    swarm.sent.look_at_what_was_left()
    assert swarm.sent.resent == 0
    del sender
    swarm.sent.look_at_what_was_left()
    assert swarm.sent.resent == 1
    thread.join(30.0)
    assert not thread.is_alive()


def test_a_full_queue_is_asked_again_when_it_said(settings: Settings, client: Client) -> None:
    narrow = settings.model_copy(update={"max_waiting_tasks": 2})
    with closing(make_swarm(settings, client)) as swarm, closing(make_swarm(narrow, client)) as other:
        ids = [swarm.submit("x", role="coder").id for _ in range(3)]
        swarm.close()
        swarm.tasks.cancel(ids[2])
        client.delete(swarm.keys.task(ids[2]))
        with pytest.raises(QueueFullError) as refused:
            other.sent.look_at_what_was_left()
        assert refused.value.retry_after_s > 0.0
        swarm.tasks.cancel(ids[0])
        other.sent.look_at_what_was_left()
        assert swarm.tasks.find(ids[2]).state == "waiting"


def test_the_first_thing_that_is_sent_does_not_wait_long_for_a_frozen_redis(
    settings: Settings, own_redis: PrivateRedis
) -> None:
    slow = settings.model_copy(update={"socket_timeout": 30.0, "hook_timeout": 0.1})
    with closing(make_swarm(slow)) as swarm:
        own_redis.signal(signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            swarm.sent.begin()
        assert time.monotonic() - started < 25.0
