"""A training learns what it should, once, and counts every line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from swarm_support import DIM, present, some_outcome
from training_support import some_lines, what_is_known, write_lines

from swarm.embed.function import CallableEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.errors import InputError, StaleWriterError
from swarm.services.background import Background
from swarm.services.consolidate import learn_brought
from swarm.services.forget import Forgetter
from swarm.services.receipts import ReceiptState
from swarm.services.swarm import Swarm
from swarm.services.training import FileTraining
from swarm.settings import Settings
from swarm.store.commit import Brought
from swarm.store.connection import Client
from swarm_agents.training import BatchReport, profile_for, score_quality, train, train_examples
from swarm_agents.training.rejects import Reject, Rejects

LINES = some_lines(400)


def test_a_file_is_learned_searchable_and_judged_on_lines_that_were_held_out(swarm: Swarm, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES)
    told: list[BatchReport] = []
    report = train(swarm, "coder-1", path, hold_out=0.2, round_size=100, role="coder", on_batch=told.append)
    assert (report.lines, report.trained + report.held_out) == (400, 400)
    assert (report.profile, report.epochs, report.batch_size) == ("tiny", 10, 8)
    assert 40 < report.held_out < 120
    assert (report.before["known"], report.after["actions"]) == (0.0, 6.0)
    assert report.after["ranked"] <= report.after["judged"] == report.held_out
    assert report.after["top1"] > 0.95
    assert report.after["likelihood"] > 0.5
    assert [batch.generation for batch in told] == [1, 2, 3, 4]
    assert [batch.lines for batch in told][-1] == told[0].total == 400
    assert sum(batch.trained for batch in told) == report.trained
    assert sum(batch.promoted for batch in told) == report.promoted > 0
    updates = [version.update for version in swarm.history("coder-1")]
    assert (updates.count("promoted"), updates.count("refused")) == (report.promoted, report.weights_refused)
    state = swarm.agents.state("coder-1")
    assert (state.pending, state.consolidated) == (0, report.trained)
    assert present(swarm.agents.registration("coder-1")).role == "coder"
    held_out = {n for n in range(1, 401) if not swarm.outcomes("coder-1").find_receipt(f"{report.file}/{n}")}
    assert len(held_out) == report.held_out
    some_line = min(set(range(1, 401)) - held_out)
    assert swarm.receipt("coder-1", f"{report.file}/{some_line}").state is ReceiptState.SEARCHABLE


def test_the_same_file_again_changes_nothing(swarm: Swarm, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES[:150])
    first = train(swarm, "coder-1", path)
    known = what_is_known(swarm, "coder-1")
    again = train(swarm, "coder-1", write_lines(tmp_path / "copy.jsonl", LINES[:150]))
    assert what_is_known(swarm, "coder-1") == known
    assert (again.resumed_at, again.trained, again.after) == (150, first.trained, first.after)
    assert (first.was_learned, again.was_learned) == (False, True)
    why = "was learned with min_quality 0, hold_out 0.05, got min_quality 0.5, hold_out 0.1: another agent, or"
    with pytest.raises(InputError, match=re.escape(why)):
        train(swarm, "coder-1", path, min_quality=0.5, hold_out=0.1)
    swarm.forget(agent="coder-1")
    anew = train(swarm, "coder-1", path, min_quality=0.5, hold_out=0.1)
    assert (anew.refused, anew.trained) == (0, anew.lines - anew.filtered - anew.held_out)


def test_every_line_that_is_not_learned_is_counted_by_why(swarm: Swarm, tmp_path: Path) -> None:
    lines: list[Any] = [
        *LINES[:20],
        "{",
        "",
        *LINES[:5],
        {"embedding": [1.0], "quality": 1},
        {**LINES[20], "hidden_states": [1]},
    ]
    path = write_lines(tmp_path / "data.jsonl", lines)
    report = train(swarm, "coder-1", path, hold_out=0.0, dedup=True, min_quality=0.5)
    good = [line for line in LINES[:21] if line["quality"] >= 0.5]
    failures = sum(line["quality"] < 0.5 for line in [*LINES[:20], *LINES[:5], LINES[20]])
    assert (report.trained, report.filtered, report.rejected) == (len(good), failures, 3)
    assert report.duplicates == sum(line["quality"] >= 0.5 for line in LINES[:5])
    assert report.left_out == {"hidden_states": 1}
    assert report.trained + report.filtered + report.rejected + report.duplicates == report.lines == len(lines)
    written = [json.loads(line) for line in Path(report.rejected_file).read_text().splitlines()]
    assert [(one["line"], one["text"]) for one in written] == [(21, "{"), (22, ""), (28, json.dumps(lines[27]))]
    assert [(one["line"], one["reason"]) for one in written] == list(report.rejections)
    assert written[2]["reason"] == f"embedding must be {DIM} numbers, got 1"


def test_a_file_without_a_line_that_can_be_used_registers_nobody(swarm: Swarm, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", [{"prompt": "a", "completion": "b"}, "{", *["bad"] * 9])
    why = f"data: {path}: no line of 11 can be learned: line 1: has prompt, completion; wants task or text or embedding"
    with pytest.raises(InputError, match=re.escape(why)) as refused:
        train(swarm, "coder-1", path)
    assert str(refused.value).count("line ") == 4
    with pytest.raises(InputError, match="no line of 0 can be learned: it is empty"):
        train(swarm, "coder-1", write_lines(tmp_path / "empty.jsonl", []))
    with pytest.raises(InputError, match="data: examples: no line of 1 can be learned"):
        train_examples(swarm, "coder-1", [{"text": "a"}])
    assert swarm.agents.names() == []


def test_at_least_as_many_lines_are_learned_as_held_out(swarm: Swarm, tmp_path: Path) -> None:
    assert train_examples(swarm, "coder-0", LINES[:1], hold_out=0.5).trained == 1
    judged = 0
    for number in range(1, 9):
        # Lines that cannot be used are no lines to learn from.
        some = [*LINES[:number], *({"bad": n} for n in range(9))]
        report = train_examples(swarm, f"coder-{number}", some, hold_out=0.5)
        assert report.trained >= number / 2
        assert report.trained + report.held_out == number
        judged += report.held_out
    assert judged > 0
    equal = train_examples(swarm, "coder-9", [LINES[0], LINES[0], LINES[1]], hold_out=0.5)
    assert equal.trained >= 2


def test_of_many_fields_that_are_left_out_some_are_counted(swarm: Swarm, tmp_path: Path) -> None:
    lines = [{**line, **{f"field-{number}-{n:03d}": 1 for n in range(60)}} for number, line in enumerate(LINES[:4])]
    report = train(swarm, "coder-1", write_lines(tmp_path / "data.jsonl", lines), hold_out=0.0, round_size=2)
    assert (report.trained, report.rounds, len(report.left_out)) == (4, 2, 100)


def test_a_strict_training_stops_at_the_line(swarm: Swarm, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", [*LINES[:3], "{", *LINES[3:6]])
    with pytest.raises(InputError, match=rf"data: {path}: line 4: not JSON"):
        train(swarm, "coder-1", path, strict=True)
    assert not Path(f"{path}.rejected.jsonl").exists()


def test_texts_are_embedded_and_one_that_has_no_vector_spoils_no_other(
    settings: Settings, client: Client, tmp_path: Path
) -> None:
    def letters(texts: list[str]) -> list[list[int]]:
        return [[text.count(chr(97 + i)) for i in range(26)] for text in texts]

    embedder = CallableEmbedder(letters, EmbedderIdentity(id="letters", dim=26, version="1"))
    swarm = Swarm(settings, client=client, embedder=embedder)
    tasks = ["compress a file", "compress two files", "123", "compress files"]
    path = write_lines(tmp_path / "data.jsonl", [{"task": task, "output": "gzip", "reward": 1} for task in tasks])
    report = train(swarm, "coder-1", path, hold_out=0.0)
    assert (report.trained, report.rejected, report.rejections[0][0]) == (3, 1, 3)
    [best] = swarm.query("compress a file", k=1)
    assert (best.response, best.sources[0].agent) == ("gzip", "coder-1")
    with pytest.raises(InputError, match="line 3: text holds nothing that letters"):
        train(swarm, "coder-2", path, hold_out=0.0, strict=True)


def test_examples_in_memory_are_learned_like_lines(swarm: Swarm) -> None:
    report = train_examples(swarm, "coder-1", LINES[:50], hold_out=0.0)
    assert report.trained == 50
    assert train_examples(swarm, "coder-1", iter(LINES[:50]), hold_out=0.0).resumed_at == 50
    with pytest.raises(InputError, match="example 1 must be what JSON can hold"):
        train_examples(swarm, "coder-1", [{"text": object()}])


def test_what_the_agent_reports_meanwhile_is_consolidated_between_the_rounds(
    swarm: Swarm, background: Background, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES[:90])

    def report(batch: BatchReport) -> None:
        swarm.record(some_outcome(batch.lines, "coder-1"), f"own-{batch.lines}")

    found = train(swarm, "coder-1", path, hold_out=0.0, round_size=30, on_batch=report)
    # Those of the last round wait for the workers.
    state = swarm.agents.state("coder-1")
    assert (found.trained, state.consolidated, state.pending) == (90, 92, 1)
    background.drain(0.0)
    assert swarm.agents.state("coder-1").consolidated == 93


def test_a_commit_with_outcomes_passes_over_none_that_wait(swarm: Swarm) -> None:
    swarm.register("coder-1")
    swarm.record(some_outcome(1), "own")
    lease = present(swarm.agents.lease("coder-1", 5.0))
    before = swarm.client.dump(swarm.keys.agent("coder-1").state)
    brought = Brought(outcomes=[], file="f", progress=b"", receipt_ttl_ms=1000)
    config = present(swarm.agents.registration("coder-1")).config
    with pytest.raises(StaleWriterError, match="1 outcomes are to be consolidated first"):
        learn_brought("coder-1", config, [], brought, swarm.agents, swarm.replica, lease)
    assert swarm.client.dump(swarm.keys.agent("coder-1").state) == before


def test_a_run_whose_progress_redis_has_lost_reads_those_lines_again(
    swarm: Swarm, client: Client, settings: Settings, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES[:90])
    stored = []

    def lose(batch: BatchReport) -> None:
        key = swarm.keys.agent("coder-1").trainings
        stored.append(client.hget(key, batch.file))
        if len(stored) == 2:
            # As an older backup would have it: the receipts know what was learned.
            client.hset(key, batch.file, stored[0])

    report = train(swarm, "coder-1", path, hold_out=0.0, round_size=30, on_batch=lose)
    assert (report.lines, report.trained, report.refused) == (90, 60, 30)
    assert swarm.agents.state("coder-1").consolidated == 90


def test_what_was_forgotten_is_not_learned_again(
    swarm: Swarm, client: Client, settings: Settings, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES[:20])
    first = train(swarm, "coder-1", path, hold_out=0.0)
    Forgetter(settings, client).trajectory(f"{first.file}/7")
    client.hdel(swarm.keys.agent("coder-1").trainings, first.file)
    for key in client.scan_iter(match=swarm.keys.agent("coder-1").receipt("*")):
        client.delete(key)
    again = train(swarm, "coder-1", path, hold_out=0.0)
    assert (again.trained, again.refused) == (19, 1)


def test_an_agent_that_is_forgotten_has_no_training(
    swarm: Swarm, client: Client, settings: Settings, tmp_path: Path
) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES[:20])
    first = train(swarm, "coder-1", path, hold_out=0.0)
    assert FileTraining(settings, client, "coder-1", first.file, 1, 1).progress() is not None
    Forgetter(settings, client).agent("coder-1")
    assert not client.exists(swarm.keys.agent("coder-1").trainings)


def test_profiles_and_scores_are_in_their_bounds() -> None:
    assert [profile_for(n).epochs for n in (0, 5_000, 20_000, 60_000, 10**6)] == [10, 5, 3, 2, 1]
    assert score_quality("b a", "a b") == pytest.approx((1.0 + 0.5) / 2)
    assert score_quality("a a a", "a") == pytest.approx(0.5)
    assert score_quality("...", "...") == 1.0
    with pytest.raises(InputError, match="output must hold more than white space"):
        score_quality("", "a")


def test_the_mark_that_some_editors_put_before_a_file_is_passed_over(swarm: Swarm, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", LINES[:3])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    report = train(swarm, "coder-1", path, hold_out=0.0)
    assert (report.trained, report.rejected) == (3, 0)


def test_two_that_learn_one_file_leave_one_side_file_with_all_of_it(tmp_path: Path) -> None:
    first = [Reject(number, "not JSON", f"bad {number}") for number in range(9)]
    (tmp_path / "side").write_text("of another file, and longer than what comes\n" * 99)
    with Rejects(tmp_path / "side", 0) as ahead:
        ahead.add(first[:3])
        begun = ahead.size
        ahead.add(first[3:6])
        # One that looked before those were committed goes on with what is committed then.
        with Rejects(tmp_path / "side", begun) as behind:
            behind.add(first[3:5])
        ahead.add(first[6:])
        ahead.finish()
    lines = (tmp_path / "side").read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == list(range(9))


def test_a_side_file_that_cannot_be_written_is_one_line(swarm: Swarm, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "data.jsonl", ["bad", *LINES[:3]])
    with pytest.raises(InputError, match="rejected: /dev/full cannot be written: No space left on device"):
        train(swarm, "coder-1", path, rejected="/dev/full", hold_out=0.0)
    assert train(swarm, "coder-1", path, rejected="/dev/null", hold_out=0.0).trained == 3
    good = write_lines(tmp_path / "good.jsonl", LINES[:3])
    assert train(swarm, "coder-1", good, rejected="/dev/null", hold_out=0.0).rejected == 0
    assert Path("/dev/null").is_char_device()
