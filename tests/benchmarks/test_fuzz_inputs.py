"""Generated bad inputs: a few hundred of each kind find nothing, and what they are to find is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support import PrivateRedis

from benchmarks.fuzz_inputs import Fuzz, main, report
from benchmarks.fuzz_pool import Entry
from benchmarks.fuzz_records import good_records
from swarm.errors import InputError
from swarm.settings import Settings

EXAMPLES = hypothesis_settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AT_ONCE = 10


@pytest.fixture
def fuzz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fuzz]:
    """On a Redis of its own: every change there is one of a fuzzed call."""
    server = PrivateRedis(appendonly="no")
    try:
        server.start()
        settings = Settings(
            name="fuzz", redis_url=server.url, state_dir=tmp_path, embedder="hashed:32", rate_reads=1e6, rate_writes=1e6
        )
        for name in ("name", "redis_url", "state_dir", "embedder"):
            monkeypatch.setenv(f"SWARM_{name.upper()}", str(getattr(settings, name)))
        made = Fuzz(settings, 0)
        yield made
        made.agent.close(timeout_s=0.0)
        made.client.close()
    finally:
        server.close()


@pytest.mark.filterwarnings("ignore")  # products of huge numbers may warn; what counts is the error
@EXAMPLES
@given(seed=st.integers(0, 2**64 - 1))
def test_bad_inputs_find_nothing(fuzz: Fuzz, seed: int) -> None:
    fuzz.rng.seed(seed)
    fuzz.run(AT_ONCE)
    assert fuzz.tally.faults == {}
    assert fuzz.watch.foreign_is_untouched()


def test_what_is_wrong_is_found(fuzz: Fuzz) -> None:
    def crash() -> None:
        raise KeyError("not one of ours")

    def store() -> None:
        fuzz.client.hset(fuzz.swarm.keys.models, "a", "b")
        raise InputError("refused, and stored nevertheless")

    def touch() -> None:
        fuzz.client.set("loose", "touched")
        fuzz.client.set("nobody's", "key")

    for call in (crash, store, touch):
        fuzz.entries = [Entry(name=call.__name__, call=call)]
        fuzz._weights = [1.0]
        fuzz._call()
    fuzz._look_around(3)
    assert {name.partition(" ")[0] for name in fuzz.tally.faults} == {"crashes:", "stored:", "foreign:"}
    assert fuzz.tally.counts == {"crashes": 1, "stored": 1, "foreign": 2}
    found = report(fuzz.tally, 3, 0, 1.0)
    assert found["bench"] == "fuzz_inputs"


def test_a_call_that_hangs_is_ended_and_found(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fuzz_inputs.HANG_S", 0.2)

    def hang() -> None:
        while True:
            pass

    fuzz.entries, fuzz._weights = [Entry(name="hang", call=hang)], [1.0]
    fuzz._call()
    assert fuzz.tally.counts == {"hangs": 1}


def test_every_record_that_is_spoilt_was_good_before() -> None:
    for data, decode in good_records().values():
        decode(data)


def test_the_command_line_refuses_what_it_cannot_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--inputs", "0"])
    assert "--inputs must be in 1..10000000, got 0" in capsys.readouterr().err
