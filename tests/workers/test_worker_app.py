"""The Celery app's settings, and what they make kombu do on a real Redis."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from swarm.errors import InputError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.connection import Client
from swarm.wire.keys import SwarmKeys
from swarm_workers import tasks
from swarm_workers.app import TIME_LIMIT, VISIBILITY_TIMEOUT, create_app
from swarm_workers.broker import key_prefix, kombu_url, queue_key
from swarm_workers.dispatch import Dispatcher

SECRET = "s3cret+/%"
QUOTED = "s3cret%2B%2F%25"


def test_only_msgpack_is_sent_and_accepted(settings: Settings) -> None:
    conf = create_app(settings).conf
    assert (conf.task_serializer, conf.result_serializer) == ("msgpack", "msgpack")
    assert conf.accept_content == conf.result_accept_content == ["msgpack"]


def test_no_message_is_lost_or_repeated_by_the_settings(settings: Settings) -> None:
    conf = create_app(settings).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.task_retry_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.worker_enable_remote_control
    assert conf.broker_connection_retry_on_startup
    assert conf.broker_connection_max_retries is None
    assert conf.worker_soft_shutdown_timeout > 0
    assert conf.result_backend is None


def test_no_task_can_run_longer_than_its_message_stays_invisible(settings: Settings) -> None:
    conf = create_app(settings).conf
    assert 0 < conf.task_soft_time_limit < conf.task_time_limit == TIME_LIMIT < VISIBILITY_TIMEOUT
    assert conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT
    assert conf.result_backend_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT
    assert conf.visibility_timeout == VISIBILITY_TIMEOUT


def test_every_task_has_limits_and_counted_retries(settings: Settings) -> None:
    app = create_app(settings)
    tasks.register(app)
    ours = {name: task for name, task in app.tasks.items() if name.startswith("swarm.")}
    assert sorted(ours) == ["swarm.consolidate", "swarm.expire", "swarm.merge"]
    for task in ours.values():
        assert 0 < task.soft_time_limit < task.time_limit <= TIME_LIMIT
        assert task.max_retries > 0
        assert task.default_retry_delay <= 1.0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h:6379/3", "redis://h:6379/3"),
        ("redis://h", "redis://h/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        (f"redis://user:{QUOTED}@h:1/2", f"redis://user:{QUOTED}@h:1/2"),
        (f"redis://h:1?db=2&password={QUOTED}", f"redis://:{QUOTED}@h:1/2"),
        ("redis://h:1/0?protocol=3&socket_timeout=5", "redis://h:1/0"),
        ("rediss://h:1/0", "rediss://h:1/0?ssl_cert_reqs=required"),
        ("rediss://h:1/0?ssl_cert_reqs=none", "rediss://h:1/0?ssl_cert_reqs=none"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
        (f"unix://:{QUOTED}@/run/r.sock?db=4", f"redis+socket://:{QUOTED}@/run/r.sock?virtual_host=4"),
    ],
)
def test_urls_become_what_kombu_wants(url: str, expected: str) -> None:
    assert kombu_url(url) == expected


def test_a_url_of_another_kind_is_refused_without_showing_it() -> None:
    with pytest.raises(InputError, match="redis://") as caught:
        kombu_url(f"amqp://user:{SECRET}@h")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", [f"redis://u:{QUOTED}@127.0.0.1:1/0", f"unix://u:{QUOTED}@/run/none.sock"])
def test_the_password_reaches_the_server_and_no_text(settings: Settings, url: str) -> None:
    app = create_app(settings.model_copy(update={"redis_url": url}))
    connection = app.connection_for_write()
    shown = [connection.as_uri(), repr(connection), repr(app), str(app.conf.humanize(with_defaults=False))]
    assert not [text for text in shown if SECRET in text or QUOTED in text]
    with pytest.raises(StoreUnavailableError) as caught:
        Dispatcher(app, 0.2)("merge", "")
    assert SECRET not in str(caught.value)
    assert QUOTED not in str(caught.value)
    password = connection.password or connection.hostname
    assert SECRET in password or QUOTED in password


def test_a_tls_connection_checks_the_certificate_unless_told_otherwise(settings: Settings) -> None:
    def options(url: str) -> dict[str, object]:
        connection = create_app(settings.model_copy(update={"redis_url": url})).connection_for_write()
        return dict(connection.ssl)

    assert options("rediss://h:1/0")["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    assert options("rediss://h:1/0?ssl_cert_reqs=none")["ssl_cert_reqs"] == ssl.CERT_NONE
    assert options("rediss://h:1/0?ssl_ca_certs=/ca.pem")["ssl_ca_certs"] == "/ca.pem"


def test_a_nudge_lies_in_the_queue_of_the_swarm_as_msgpack(settings: Settings, client: Client) -> None:
    dispatch = Dispatcher(create_app(settings), 1.0)
    dispatch("consolidate", "coder-1")
    dispatch("merge", "")
    dispatch.close()
    assert client.llen(queue_key(settings)) == 2
    message = str(client.lindex(queue_key(settings), -1))
    assert "swarm.consolidate" in message
    assert "application/x-msgpack" in message


def test_the_keys_of_kombu_share_the_hash_tag_of_the_swarm(settings: Settings) -> None:
    keys = SwarmKeys(settings.name)
    tag = f"{{{settings.name}}}"
    assert key_prefix(settings).startswith(tag)
    assert keys.workers.startswith(tag)
    assert key_prefix(settings).startswith(keys.patterns[0].rstrip("*"))


def test_sending_without_a_broker_fails_soon_and_clearly(tmp_path: Path) -> None:
    dispatch = Dispatcher(create_app(Settings(name="t-none", redis_url=f"unix://{tmp_path}/none.sock")), 0.2)
    with pytest.raises(StoreUnavailableError, match=r"swarm\.merge"):
        dispatch("merge", "")
