"""Redis behind TLS and a password, both in the URL: for the store and for Celery."""

from __future__ import annotations

import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from support import PrivateRedis, find_redis_server
from swarm_support import EMBEDDER, make_swarm
from workers_support import kill_workers

from swarm.errors import StoreUnavailableError
from swarm.services.receipts import ReceiptState
from swarm.settings import Settings
from swarm.store.acl import redis_users
from swarm_workers.app import create_app
from swarm_workers.broker import broker_errors, impatient_connection
from swarm_workers.pools import PoolManager

PASSWORD = "s3cret/with:signs@and?more#"
SWARM = f"tls{uuid.uuid4().hex[:8]}"


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for this machine that is its own authority, and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def knows_tls(program: str) -> bool:
    """Whether a server was built with TLS: then it knows the option, and ends at the next one."""
    arguments = [program, "--port", "0", "--tls-port", "0", "--dir", "/nowhere"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=10.0, check=False)
    return "tls-port" not in ended.stdout + ended.stderr


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with TLS, for the worker user of the swarm, but for the authority to trust."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    program = find_redis_server()
    if not knows_tls(program):
        pytest.skip(f"{program} was built without TLS; install redis-server or valkey-server")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder, "server")
    make_certificate(folder, "other")
    port = free_port()
    server = PrivateRedis(
        program,
        tls_port=str(port),
        tls_cert_file=str(certificate),
        tls_key_file=str(key),
        tls_ca_cert_file=str(certificate),
        tls_auth_clients="no",
    )
    try:
        server.start()
        with redis.Redis.from_url(server.url) as root:
            for user in redis_users(SWARM, (), (7, 0)):
                root.execute_command(*user.line(PASSWORD).split())
            root.acl_setuser("default", enabled=False)
        yield f"rediss://{SWARM}~operator:{quote(PASSWORD, safe='')}@localhost:{port}/0?ssl_ca_certs={folder}/"
    finally:
        server.close()


def settings_of(url: str, state: Path) -> Settings:
    return Settings(name=SWARM, redis_url=url, state_dir=state, embedder=EMBEDDER, consolidate_delay=0.0)


def test_an_outcome_becomes_searchable_through_tls(tls_url: str, tmp_path: Path) -> None:
    settings = settings_of(f"{tls_url}server.crt", tmp_path / "state")
    swarm = make_swarm(settings)
    try:
        with PoolManager(settings) as manager:
            pool = manager.start("local", 1)
            receipt = swarm.wait(swarm.store_pattern("parse a date", "datetime"), 60.0)
            assert receipt.state is ReceiptState.SEARCHABLE
            manager.drain("local")
    finally:
        kill_workers(settings)
        swarm.client.close()
    assert "s3cret" not in Path(pool.log).read_text()


def test_a_server_that_nobody_vouches_for_is_refused(tls_url: str, tmp_path: Path) -> None:
    settings = settings_of(f"{tls_url}other.crt", tmp_path / "state")
    with pytest.raises(StoreUnavailableError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        make_swarm(settings).status()
    assert "s3cret" not in str(caught.value)
    # Celery's connection must be as wary.
    with (
        pytest.raises(StoreUnavailableError, match="CERTIFICATE_VERIFY_FAILED") as caught,
        broker_errors("send a nudge"),
        impatient_connection(create_app(settings), 5.0) as connection,
    ):
        connection.ensure_connection(max_retries=1)
    assert "s3cret" not in str(caught.value)


def test_a_plain_connection_to_the_tls_port_is_an_error_and_no_hang(tls_url: str, tmp_path: Path) -> None:
    url = tls_url.replace("rediss://", "redis://").partition("?")[0]
    with pytest.raises(StoreUnavailableError) as caught:
        make_swarm(settings_of(url, tmp_path / "state").model_copy(update={"socket_timeout": 2.0})).status()
    assert "s3cret" not in str(caught.value)
