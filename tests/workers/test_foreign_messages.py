"""What is put into a worker's queue by others is refused and harmless: no code is ever deserialised."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path

import pytest
from support import wait_until
from swarm_support import EMBEDDER, make_swarm

from swarm.errors import RuntimeSetupError
from swarm.services.receipts import ReceiptState
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys
from swarm_workers.app import CONSOLIDATE
from swarm_workers.handlers import find_handler
from swarm_workers.pools import PoolManager


def pickled(path: Path) -> bytes:
    """Bytes that create a file when they are unpickled, written by hand: nothing here knows how to pickle."""
    return b"cos\nsystem\n(S'touch " + str(path).encode() + b"'\ntR."


def message(body: bytes, content_type: str, task: str = CONSOLIDATE) -> str:
    """A message as kombu keeps it in Redis."""
    name = uuid.uuid4().hex
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "binary",
            "content-type": content_type,
            "headers": {"task": task, "id": name, "lang": "py", "argsrepr": "()", "kwargsrepr": "{}"},
            "properties": {
                "correlation_id": name,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "q"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": uuid.uuid4().hex,
            },
        }
    )


def test_a_pickled_message_in_the_queue_is_refused_and_harmless(
    settings: Settings, client: Client, manager: PoolManager, tmp_path: Path
) -> None:
    trap, keys = tmp_path / "trap", SwarmKeys(settings.name)
    quick = settings.model_copy(update={"embedder": EMBEDDER, "consolidate_delay": 0.0})
    with PoolManager(quick) as pools:
        state = pools.start("local", 1)
        log = Path(state.log)
        for content_type in ("application/x-python-serialize", "application/x-yaml", "application/json", "text/plain"):
            client.lpush(keys.broker_queue, message(pickled(trap), content_type))
        # The same by remote control, which every worker listens to.
        client.publish(
            f"{keys.broker_prefix}/0.celery.pidbox", message(pickled(trap), "application/x-python-serialize")
        )
        # And a task that nobody registered, of a form that is accepted.
        client.lpush(keys.broker_queue, message(b"\x93\x90\x80\x80", "application/x-msgpack", "os.system"))
        wait_until(lambda: client.llen(keys.broker_queue) == 0, 60.0, "the worker to take the messages")
        # It goes on working.
        swarm = make_swarm(quick, client)
        receipt = swarm.wait(swarm.store_pattern("parse a date", "datetime"), 60.0)
        assert receipt.state is ReceiptState.SEARCHABLE
        assert pools.list()[0].pid == state.pid
    refusals = [line for line in log.read_text().splitlines() if "Refusing to deserialize" in line]
    assert len(refusals) >= 4
    assert "Received unregistered task of type 'os.system'" in log.read_text()
    assert not trap.exists()


@pytest.mark.parametrize("module", ["os", "json", "swarm_workers.handlers"])
def test_a_module_without_handlers_does_no_tasks_even_if_it_is_named(module: str) -> None:
    with pytest.raises(RuntimeSetupError, match="no handler for role"):
        find_handler("coder", [module])
