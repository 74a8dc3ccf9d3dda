"""Labelled texts: what is read, what is kept apart, and an error that says where for everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.labelled import NO_LABEL, load_labelled_texts, with_split_of
from swarm.errors import InputError

Folder = Callable[..., Path]

ROWS = [
    {"text": "where is my card", "label": "card", "split": "train", "domain": "bank"},
    {"text": "my card is late", "label": "card", "split": "test", "domain": "bank"},
    {"text": "change my pin", "label": "pin", "split": "train", "domain": "bank"},
    {"text": "new pin please", "label": "pin", "split": "val", "domain": "bank"},
    {"text": "book a flight", "label": "flight", "split": "train", "domain": "travel"},
    {"text": "sing a song", "label": "oos", "split": "train", "domain": "oos"},
    {"text": "who are you", "label": "oos", "split": "test", "domain": "oos"},
]


def vectors(n: int, dim: int = 384) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    """n seeded rows of no particular length."""
    return np.random.default_rng(n).standard_normal((n, dim)).astype(np.float16)


@pytest.mark.parametrize("plain", [True, False])
def test_rows_become_labels_splits_and_domains_with_out_of_scope_rows_apart(folder: Folder, plain: bool) -> None:
    data = load_labelled_texts(folder(plain=plain, data=ROWS), "hashed:64")
    assert data.name == "made_up"
    assert data.embedder == "hashed:64"
    assert data.label_names == ("card", "flight", "pin")
    assert data.labels.tolist() == [0, 0, 2, 2, 1, NO_LABEL, NO_LABEL]
    assert data.train.tolist() == [True, False, True, False, True, False, False]
    assert data.val.tolist() == [False, False, False, True, False, False, False]
    assert data.test.tolist() == [False, True, False, False, False, False, False]
    assert data.out_of_scope.tolist() == [False] * 5 + [True] * 2
    assert data.splits.tolist() == [0, 2, 0, 1, 0, 0, 2]
    assert data.domain_names == ("bank", "travel")
    assert data.domains is not None
    assert data.domains.tolist() == [0, 0, 0, 0, 1, NO_LABEL, NO_LABEL]
    assert data.embedding.shape == (7, 64)
    assert data.tools is None
    assert not any(array.flags.writeable for array in (data.labels, data.splits, data.domains, data.embedding))


def test_the_folders_vectors_are_taken_by_default_and_scaled_to_unit_length(folder: Folder) -> None:
    given = vectors(7)
    data = load_labelled_texts(folder(data=ROWS, emb={"embedding": given}))
    assert data.embedder == "minilm"
    expected = given.astype(np.float64) / np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    assert data.embedding.dtype == np.float32
    np.testing.assert_allclose(data.embedding, expected, atol=1e-6)


def test_another_embedder_is_not_given_the_folders_vectors(folder: Folder) -> None:
    data = load_labelled_texts(folder(data=ROWS, emb={"embedding": vectors(7)}), "hashed")
    assert data.embedder == "hashed"
    assert data.embedding[0] @ data.embedding[1] > 0.3  # they share the words "my card is"


def test_tools_and_requests_for_several_tools_point_to_labels(folder: Folder) -> None:
    tools = [{"id": "pin", "text": "changes a pin"}, {"id": "unused", "text": "nobody asks for it"}]
    multi = [{"text": "new card and pin", "labels": ["pin", "card"]}]
    data = load_labelled_texts(folder(data=ROWS, tools=tools, multi_tool=multi), "hashed:64", needs_tools=True)
    assert data.label_names == ("card", "flight", "pin", "unused")
    assert data.tools is not None
    assert data.tools.labels.tolist() == [2, 3]
    assert data.tools.texts == ("changes a pin", "nobody asks for it")
    assert data.tools.embedding.shape == (2, 64)
    assert [request.labels for request in data.multi] == [(0, 2)]


def test_a_set_without_a_split_gets_one_by_seed_and_twins_stay_together(folder: Folder) -> None:
    rows = [{"text": f"request {i % 50}", "label": "ab"[i % 2]} for i in range(100)]
    data = load_labelled_texts(folder(data=rows), "hashed:64")
    assert not data.has_own_split
    for seed in range(3):
        drawn = with_split_of(data, seed)
        assert drawn.test.sum() == 20
        assert (drawn.splits[:50] == drawn.splits[50:]).all()
        assert sorted(np.unique(drawn.labels[drawn.test])) == [0, 1]
        assert (with_split_of(data, seed).splits == drawn.splits).all()
    assert (with_split_of(data, 1).splits != with_split_of(data, 2).splits).any()


def test_a_split_of_its_own_is_never_drawn_anew(folder: Folder) -> None:
    data = load_labelled_texts(folder(data=ROWS), "hashed:64")
    assert with_split_of(data, 3) is data


def test_without_a_folder_it_is_the_standard_library() -> None:
    data = load_labelled_texts(None, "hashed:64")
    assert data.name == "standard_library"
    assert "json" in data.label_names
    assert 0.15 < data.test.mean() < 0.25
    assert not data.out_of_scope.any()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"label": "a", "split": "train"}, "text is missing"),
        ({"text": " ", "label": "a", "split": "train"}, "text must hold more than white space"),
        ({"text": "x", "label": 3, "split": "train"}, "label must be text (str), got int"),
        ({"text": "x", "label": "a", "split": "dev"}, "split must be one of train, val, test, got 'dev'"),
        ({"text": "x", "label": "a"}, "split is missing, but other rows have one"),
        ({"text": "x", "label": "a", "split": "train"}, "domain is missing"),
        ([1], "must be a JSON object, got list"),
    ],
)
def test_a_bad_row_is_an_error_that_names_file_and_line(folder: Folder, row: object, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        load_labelled_texts(folder(data=[*ROWS, row]), "hashed:64")
    assert "data.jsonl.gz, line 8: " + reason in str(caught.value)


@pytest.mark.parametrize(
    ("emb", "reason"),
    [
        ({"embedding": vectors(6)}, r"shape \(7, 384\), one row for each text, got float16 of shape \(6, 384\)"),
        ({"embedding": vectors(7, 32)}, r"got float16 of shape \(7, 32\)"),
        ({"vectors": vectors(7)}, "must hold an array 'embedding', got vectors"),
        ({"embedding": np.zeros((7, 384), dtype=np.float16)}, r"embedding\[0\] must be finite and not zero"),
        ({"embedding": np.full((7, 384), np.nan, dtype=np.float16)}, r"embedding\[0\] must be finite"),
    ],
)
def test_vectors_that_do_not_fit_are_an_error_that_names_the_file(
    folder: Folder, emb: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=r"emb\.npz: .*" + reason):
        load_labelled_texts(folder(data=ROWS, emb=emb))


def test_a_damaged_file_of_vectors_or_rows_is_an_error_that_names_it(folder: Folder) -> None:
    path = folder(data=ROWS, emb={"embedding": vectors(7)})
    whole = (path / "emb.npz").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (path / "emb.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"emb\.npz: cannot be read"):
            load_labelled_texts(path)
    packed = (path / "data.jsonl.gz").read_bytes()
    (path / "data.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"data\.jsonl\.gz: cannot be read after line"):
        load_labelled_texts(path)


def test_what_a_benchmark_needs_and_the_data_lack_is_said(folder: Folder, tmp_path: Path) -> None:
    plain = [{key: row[key] for key in ("text", "label", "split")} for row in ROWS]
    with pytest.raises(InputError, match="domain is missing, and this benchmark needs domains"):
        load_labelled_texts(folder(data=plain), "hashed:64", needs_domains=True)
    with pytest.raises(InputError, match=r"there is no tools\.jsonl\.gz"):
        load_labelled_texts(folder(data=plain), "hashed:64", needs_tools=True)
    with pytest.raises(InputError, match="no data of its own, give --data DIR"):
        load_labelled_texts(None, "hashed:64", needs_tools=True)
    with pytest.raises(InputError, match="there is nothing at"):
        load_labelled_texts(tmp_path / "absent", "hashed:64")
    with pytest.raises(InputError, match="at least 2 labels with rows to learn from are needed, got 1"):
        load_labelled_texts(folder("few", data=plain[:2]), "hashed:64")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"tools": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}, "id must be unique"),
        ({"multi_tool": [{"text": "x", "labels": ["card", "none"]}]}, "must be labels of the data, got 'none'"),
        ({"multi_tool": [{"text": "x", "labels": []}]}, "must be labels of the data, got none"),
    ],
)
def test_tools_that_do_not_fit_are_an_error(folder: Folder, files: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_labelled_texts(folder(data=ROWS, **files), "hashed:64")


def test_computed_vectors_are_kept_and_a_damaged_cache_is_made_anew(folder: Folder, cache: Path) -> None:
    path = folder(data=ROWS)
    first = load_labelled_texts(path, "hashed:64").embedding
    [kept] = cache.glob("*.npy")
    # Other vectors of the same shape: only who reads the cache gets them.
    np.save(kept, -first)
    assert (load_labelled_texts(path, "hashed:64").embedding == -first).all()
    load_labelled_texts(path, "hashed:32")
    assert len(list(cache.glob("*.npy"))) == 2
    for content in (b"", b"torn", kept.read_bytes()[:200]):
        kept.write_bytes(content)
        assert (load_labelled_texts(path, "hashed:64").embedding == first).all()
    assert list(cache.glob("*.part")) == []
