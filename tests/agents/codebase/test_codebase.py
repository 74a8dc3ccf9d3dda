"""A tree is indexed, asked about and judged: in a real Redis, with the outcomes of a real agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarm.embed import HashedEmbedder
from swarm.errors import BoundsError, EmbedderMismatchError, InputError, StaleWriterError, UnknownIdError
from swarm.services.background import Background
from swarm.services.restore import restore
from swarm.services.swarm import Swarm
from swarm.settings import Settings
from swarm.store.codebase import CodeStore
from swarm.store.connection import Client
from swarm.store.erase import erase_swarm
from swarm.wire.agent_policy import AgentPolicy
from swarm.wire.code_records import decode_file
from swarm_agents.codebase import Codebase
from swarm_agents.codebase.entries import record_of
from swarm_agents.codebase.index import index_codebase
from swarm_agents.codebase.matrix import CodeMatrix

FILES = {
    "dates.py": '''\
"""About dates."""


def parse_iso_date(text):
    """Read a date such as 2024-02-29 from text."""
    year, month, day = text.split("-")
    return int(year), int(month), int(day)


def format_date(date):
    """Write a date down."""
    return "-".join(map(str, date))
''',
    "store/cache.py": '''\
class LruCache:
    """Keeps what was used lately, and evicts the oldest entry."""

    def evict(self):
        """Throw the oldest entry away."""
        self.entries.pop(0)

    def get(self, key):
        return self.entries[key]
''',
    "web/app.ts": "export function renderPage(title: string): string {\n  return `<h1>${title}</h1>`;\n}\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def codebase(swarm: Swarm, tree: Path) -> Codebase:
    made = Codebase("code", swarm)
    made.index(tree)
    return made


def names(codebase: Codebase, text: str, k: int = 5) -> list[str]:
    return [hit.name for hit in codebase.query(text, k)]


def test_what_is_asked_for_is_found_with_its_place(codebase: Codebase, swarm: Swarm) -> None:
    [hit, *_] = codebase.query("throw the oldest entry of the cache away")
    assert hit.name == "store/cache.py::LruCache.evict"
    assert (hit.path, hit.first, hit.last, hit.kind, hit.language) == ("store/cache.py", 4, 6, "method", "python")
    assert hit.snippet.splitlines()[0] == "    def evict(self):"
    assert 0.0 < hit.score <= 1.0
    assert names(codebase, "render a page with a title")[0] == "web/app.ts::renderPage"
    assert swarm.roles() == {"code": "codebase"}


def test_a_second_run_touches_what_has_changed_and_nothing_else(
    codebase: Codebase, tree: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(tree / "web" / "app.ts", ns=(1, 1))
    (tree / "dates.py").write_text(FILES["dates.py"] + "\n\ndef tomorrow(date):\n    return date + 1\n")
    (tree / "store" / "cache.py").unlink()
    (tree / "new.py").write_text("def brand_new():\n    return 1\n")
    report = codebase.index(tree)
    assert (report.files, report.indexed, report.unchanged, report.removed) == (3, 2, 1, 1)
    assert "dates.py::tomorrow" in names(codebase, "tomorrow")
    assert not any("cache" in name for name in names(codebase, "throw the oldest entry away", k=50))
    # Its content is as it was: by its new time it is known not to have changed, and not read again.
    monkeypatch.setattr("swarm_agents.codebase.index.content_of", lambda found: pytest.fail(f"{found.path} is read"))
    assert codebase.index(tree).indexed == 0


def test_a_run_that_was_killed_goes_on(swarm: Swarm, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = CodeStore.write
    written: list[object] = []

    def killed(self: CodeStore, *args: object, **options: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(args)
        write(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("swarm_agents.codebase.index._BATCH", 1)
    with monkeypatch.context() as patched:
        patched.setattr(CodeStore, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            index_codebase(swarm, "code", tree)
    codebase, told = Codebase("code", swarm), list[tuple[int, int]]()
    assert not codebase.is_complete()
    report = codebase.index(tree, on_progress=lambda done, total: told.append((done, total)))
    assert (report.files, report.indexed, report.unchanged) == (3, 2, 1)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert codebase.is_complete()


def test_several_processes_index_what_one_does(swarm: Swarm, tree: Path) -> None:
    for number in range(64):
        (tree / f"m{number}.py").write_text(f"def number_{number}():\n    return {number}\n")
    reports = [index_codebase(swarm, name, tree, processes=n) for name, n in (("one", 1), ("two", 2))]
    assert (reports[0].indexed, reports[0].chunks) == (reports[1].indexed, reports[1].chunks)
    stores = [CodeStore(swarm.client, swarm.keys, name) for name in ("one", "two")]
    assert stores[0].files() == stores[1].files()
    one, two = ([record.postings.tolist() for record in store.records(["m7.py", "dates.py"])] for store in stores)
    assert one == two


def test_bounds_are_errors_or_counted(swarm: Swarm, tree: Path, codebase: Codebase) -> None:
    assert codebase.index(tree, max_files=2).skipped == {"beyond max_files (2)": 1}
    assert codebase.index(tree, extensions=[".TS"]).files == 1
    (tree / ".env").write_text("KEY=1")
    for options, message in (
        ({"max_files": 0}, "max_files must be in 1..50000, got 0"),
        ({"processes": 65}, "processes must be in 1..64, got 65"),
        ({"extensions": []}, "extensions must be a list of at least one"),
        ({"extensions": ["zzz"]}, r"extensions must be of a file below .*tree, got 'zzz'$"),
        ({"extensions": ["env"]}, r"got 'env'; 1 left out, such as \.env \(looks like a secret\)"),
        ({"extensions": ["p/y"]}, "extensions must be letters and digits"),
    ):
        with pytest.raises(InputError, match=message):
            codebase.index(tree, **options)
    with pytest.raises(BoundsError, match=r"k must be in 1..50, got 51"):
        codebase.query("x", 51)
    with pytest.raises(UnknownIdError, match="agent nobody has indexed nothing"):
        Codebase("nobody", swarm).query("x")


def test_another_folder_takes_the_place_of_the_index_only_if_that_is_said(codebase: Codebase, tree: Path) -> None:
    with pytest.raises(InputError, match=r"has indexed .*tree: take another name"):
        codebase.index(tree / "store")
    other = tree.parent / "other"
    (other / "web").mkdir(parents=True)
    for name in ("dates.py", "web/app.ts"):
        # Of the same time and size as there, but one of them with another content.
        (other / name).write_text(FILES[name].replace("format_date", "render_date"))
        at = (tree / name).stat().st_mtime_ns
        os.utime(other / name, ns=(at, at))
    report = codebase.index(other, replace=True)
    assert (report.files, report.indexed, report.unchanged, report.removed) == (2, 1, 1, 1)
    assert "dates.py::render_date" in names(codebase, "write a date down")
    report = codebase.index(tree / "store", replace=True)
    assert (report.files, report.removed) == (1, 2)
    assert names(codebase, "evict")[0] == "cache.py::LruCache.evict"


def test_good_feedback_puts_an_answer_first_and_bad_feedback_takes_it_away(
    codebase: Codebase, swarm: Swarm, background: Background
) -> None:
    question, plain = "how do I get rid of stale things", names(codebase, "read a date")
    before = names(codebase, question)
    wanted = next(hit for hit in codebase.query(question) if hit.name != before[0])
    said = codebase.feedback(wanted.id, is_good=True)
    assert (said.name, said.is_new, said.receipt.state.value) == (wanted.name, True, "accepted")
    background.drain(0.0)
    [first, *_] = codebase.query(question)
    assert (first.name, first.outcomes) == (wanted.name, 1.0)
    # Another process sees the same, and the bank says it to everybody.
    assert names(Codebase("code", swarm), question)[0] == wanted.name
    assert swarm.query(question, k=1)[0].response == wanted.name
    bad = codebase.feedback(codebase.query("read a date")[0].id, is_good=False)
    background.drain(0.0)
    assert names(codebase, "read a date")[0] != bad.name == plain[0]


def test_the_first_word_about_an_answer_counts_once(codebase: Codebase, swarm: Swarm, background: Background) -> None:
    hit = codebase.query("write a date down")[0]
    first = codebase.feedback(hit.id, is_good=True)
    again = codebase.feedback(hit.id, is_good=False)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.receipt.stream_id == first.receipt.stream_id
    background.drain(0.0)
    assert swarm.agents.state("code").processed == 1
    [judged] = CodeStore(swarm.client, swarm.keys, "code").judged()
    assert judged.quality == 1.0


def test_feedback_on_one_question_weighs_the_signs_for_others_at_once(codebase: Codebase) -> None:
    before = {hit.name: hit.score for hit in codebase.query("evict")}
    hit = codebase.query("write a date down")[0]
    codebase.feedback(hit.id, is_good=True)
    after = {hit.name: hit.score for hit in codebase.query("evict")}
    assert after.keys() == before.keys()
    assert after != before


def test_what_an_agents_redaction_takes_out_of_a_question_is_not_kept(codebase: Codebase, swarm: Swarm) -> None:
    swarm.register("code", policy=AgentPolicy(redact=("email",)))
    [hit, *_] = codebase.query("where did ada@example.org write a date down")
    question = hit.id.partition("/")[2].partition("-")[0]
    asked = CodeStore(swarm.client, swarm.keys, "code").asked(question)
    assert asked is not None
    assert asked.text == "where did [email] write a date down"
    assert codebase.feedback(hit.id, is_good=True).question == asked.text


def test_function_words_of_a_question_match_no_names() -> None:
    source = b"def after_task(task):\n    return task\n\n\ndef retry(task):\n    return task\n"
    record, count = record_of("hooks.py", source, embedder := HashedEmbedder(64))
    matrix = CodeMatrix({"hooks.py": decode_file(record)})
    after, retry = range(count)
    for question, best in (
        ("how is a retry made after another", retry),
        ("Where is retry defined?", retry),
        ("where is after_task", after),
        ("after", after),
    ):
        in_names = matrix.signs(question, embedder.embed([question])[0])[:, 0]
        assert in_names[best] > 0.0
        assert in_names[1 - best] == 0.0


def test_of_one_name_two_are_shown_before_others(swarm: Swarm, tree: Path) -> None:
    kinds = ("Http", "AsyncHttp", "Local", "Redis")
    classes = [f"class {kind}:\n    def forget_dates(self):\n        return self.forget()\n" for kind in kinds]
    (tree / "clients.py").write_text("\n\n".join(classes))
    codebase = Codebase("code", swarm)
    codebase.index(tree)
    found = names(codebase, "forget dates", k=50)
    wrappers = [name for name in found if name.endswith(".forget_dates")]
    assert len(wrappers) == len(kinds)
    assert found[:2] == wrappers[:2]
    assert found[-2:] == wrappers[2:]
    # Any of those that were shown can be judged, the last too.
    assert codebase.feedback(codebase.query("forget dates", k=50)[-1].id, is_good=False).name == found[-1]


def test_an_answer_that_nobody_gave_is_unknown(codebase: Codebase, swarm: Swarm) -> None:
    hit = codebase.query("write a date down")[0]
    question = hit.id.rpartition("-")[0]
    for wrong in (f"{question}-000000", "code/0123456789-abcdef"):
        with pytest.raises(UnknownIdError, match="ask again"):
            codebase.feedback(wrong, is_good=True)
    with pytest.raises(UnknownIdError, match="ask again"):
        Codebase("ghost", swarm).feedback("ghost/0123456789-abcdef", is_good=True)
    assert swarm.roles() == {"code": "codebase"}
    with pytest.raises(InputError, match="id must be AGENT/QUESTION-ANSWER"):
        codebase.feedback("nonsense", is_good=True)
    with pytest.raises(InputError, match="id is of agent other, not of code"):
        codebase.feedback(f"other/{hit.id.partition('/')[2]}", is_good=True)
    assert CodeStore(swarm.client, swarm.keys, "code").judged() == []


def test_questions_and_judgements_are_bounded(
    codebase: Codebase, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.store.codebase.MAX_ASKED", 3)
    monkeypatch.setattr("swarm.store.codebase.MAX_JUDGED", 3)
    hits = [codebase.query(f"write date number {number} down")[0] for number in range(4)]
    with pytest.raises(UnknownIdError):
        codebase.feedback(hits[0].id, is_good=True)
    codebase.feedback(hits[3].id, is_good=True)
    for number in range(3):
        codebase.feedback(codebase.query(f"another date number {number}")[0].id, is_good=False)
    left = CodeStore(swarm.client, swarm.keys, "code").judged()
    assert [one.quality for one in left] == [0.0, 0.0]
    assert swarm.client.pttl(swarm.keys.agent("code").code_asked) > 0


def test_vectors_of_another_embedder_are_refused_and_an_index_of_it_begins_anew(
    codebase: Codebase, settings: Settings, client: Client
) -> None:
    other = Swarm(settings.model_copy(update={"embedder": "hashed:64"}), client=client, embedder=HashedEmbedder(64))
    with pytest.raises(EmbedderMismatchError, match="holds vectors of hashed"):
        Codebase("code", other).query("evict")


def test_what_an_agent_indexed_is_forgotten_with_it(codebase: Codebase, swarm: Swarm, client: Client) -> None:
    codebase.feedback(codebase.query("throw the oldest entry away")[0].id, is_good=True)
    own = swarm.keys.agent("code")
    kept = [own.code, own.code_files, own.code_state, own.code_asked, own.code_judged]
    assert client.exists(*kept) == len(kept)
    swarm.forget(agent="code")
    assert client.exists(*kept) == 0
    with pytest.raises(UnknownIdError):
        codebase.query("evict")


def test_with_its_trajectory_a_question_is_forgotten_and_what_was_said_to_it(codebase: Codebase, swarm: Swarm) -> None:
    store = CodeStore(swarm.client, swarm.keys, "code")
    said = [codebase.feedback(codebase.query(text)[0].id, is_good=True) for text in ("evict", "write a date down")]
    swarm.forget(trajectory=said[0].receipt.idempotency_key, agent="code")
    questions = [one.id.partition("/")[2].partition("-")[0] for one in said]
    assert [store.asked(question) is None for question in questions] == [True, False]
    assert len(store.judged()) == 1


def test_a_backup_holds_what_was_indexed_and_said(
    codebase: Codebase, swarm: Swarm, settings: Settings, client: Client, tmp_path: Path
) -> None:
    codebase.feedback(codebase.query("write a date down")[0].id, is_good=True)
    found = [(hit.name, hit.score) for hit in codebase.query("evict")]
    swarm.backup(tmp_path / "swarm.backup")
    erase_swarm(client, swarm.keys)
    restore(tmp_path / "swarm.backup", settings)
    assert [(hit.name, hit.score) for hit in Codebase("code", swarm).query("evict")] == found


def test_a_run_ends_where_another_folder_has_taken_its_place(swarm: Swarm, tree: Path) -> None:
    store = CodeStore(swarm.client, swarm.keys, "code")
    Codebase("code", swarm).index(tree)
    mine, _ = store.state()
    files = store.files()
    assert mine is not None
    (tree.parent / "other").mkdir()
    (tree.parent / "other" / "one.py").write_text(FILES["dates.py"])
    Codebase("code", swarm).index(tree.parent / "other", replace=True)
    with pytest.raises(StaleWriterError, match="agent code: its index is of another folder by now"):
        store.write(mine, {}, files, gone=[])
    swarm.forget(agent="code")
    with pytest.raises(StaleWriterError, match="or was forgotten"):
        store.write(mine, {}, files, gone=[])
    assert store.files() == {}
