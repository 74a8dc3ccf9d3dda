from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from swarm.embed import HashedEmbedder, WordLlamaEmbedder, load_embedder
from swarm.errors import BoundsError, EmbedderUnavailableError, InputError

MODULE = """
import sys
from swarm.embed import EmbedderIdentity, HashedEmbedder
__version__ = "7.1"
def letters(texts):
    return [[text.count(chr(97 + i)) + 1 for i in range(26)] for text in texts]
hashed = HashedEmbedder(64)
class Namespace:
    function = staticmethod(letters)
class Sloppy:
    identity = EmbedderIdentity(id="sloppy", dim=16, version="1")
    def embed(self, texts):
        return [[2.0] * 16 for _ in texts]
    def embed_one(self, text):
        return [2.0] * 16
sloppy = Sloppy()
number = 3
def flat(texts):
    return [1.0] * 26
def broken(texts):
    raise OSError("model file is gone")
"""


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine uses, the tests' own addresses are reached without it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "users_embedders.py").write_text(MODULE)
    (tmp_path / "users_broken.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_embedders"
    sys.modules.pop("users_embedders", None)


def test_default_and_hashed_are_loaded_by_name() -> None:
    assert isinstance(load_embedder("wordllama"), WordLlamaEmbedder)
    assert isinstance(load_embedder("hashed"), HashedEmbedder)
    assert load_embedder("hashed").identity.dim == 384
    assert load_embedder("hashed:512").identity.dim == 512


@pytest.mark.parametrize("spec", ["hashed:15", "hashed:0", "hashed:999999"])
def test_dimension_out_of_bounds_is_refused(spec: str) -> None:
    with pytest.raises(BoundsError, match=r"16\.\.8192"):
        load_embedder(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        " wordllama",
        "WordLlama",
        "wordllama:256",
        "minilm:384",
        "hashed:",
        "hashed:-1",
        "hashed:x",
        "hashed:٥١٢",
        "hashed:384:1",
        "openai",
        "openai:",
        "python:",
        "python:module",
        "python::x",
        "python:.module:x",
        "python:a:b:c",
        "word2vec",
        "x" * 10_000,
        None,
        3,
    ],
)
def test_unknown_spec_lists_the_choices(spec: str) -> None:
    with pytest.raises(InputError, match=r"embedder must be one of wordllama, hashed, .*python:MODULE:ATTR") as caught:
        load_embedder(spec)
    assert len(str(caught.value)) < 300


def test_embedder_of_the_users_module_keeps_its_identity(module: str) -> None:
    embedder = load_embedder(f"python:{module}:hashed")
    assert embedder.identity == HashedEmbedder(64).identity
    np.testing.assert_array_equal(embedder.embed_one("reset my pin"), HashedEmbedder(64).embed_one("reset my pin"))


def test_vectors_of_the_users_embedder_are_checked_like_all_others(module: str) -> None:
    vector = load_embedder(f"python:{module}:sloppy").embed_one("text")
    np.testing.assert_allclose(vector, np.full(16, 0.25))
    assert vector.dtype == np.float32


@pytest.mark.parametrize("attribute", ["letters", "Namespace.function"])
def test_function_of_the_users_module_gets_an_identity_from_the_spec(module: str, attribute: str) -> None:
    embedder = load_embedder(f"python:{module}:{attribute}")
    assert str(embedder.identity) == f"python:{module}:{attribute}@7.1 (26-d)"
    assert embedder.embed(["abc", "b"]).shape == (2, 26)


@pytest.mark.parametrize(
    ("attribute", "problem"),
    [("Sloppy", "is a class"), ("number", "neither an Embedder nor a function: int"), ("missing", "cannot be found")],
)
def test_what_is_no_embedder_is_refused(module: str, attribute: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        load_embedder(f"python:{module}:{attribute}")


def test_missing_module_is_refused() -> None:
    with pytest.raises(InputError, match=r"python:no\.such:thing cannot be found: No module named 'no'"):
        load_embedder("python:no.such:thing")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("python:users_broken:x", "cannot be imported: RuntimeError: no licence"),
        ("python:users_embedders:broken", "raised OSError: model file is gone"),
        ("python:users_embedders:flat", r"answered an array of shape \(26,\)"),
    ],
)
def test_code_of_the_user_that_fails_is_an_error_that_says_how(module: str, spec: str, problem: str) -> None:
    with pytest.raises(EmbedderUnavailableError, match=problem):
        load_embedder(spec)


def test_endpoint_without_an_address_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWARM_EMBEDDING_URL", raising=False)
    with pytest.raises(EmbedderUnavailableError, match="set SWARM_EMBEDDING_URL"):
        load_embedder("openai:mini")


@pytest.mark.parametrize(
    ("spec", "identity"),
    [
        ("openai:mini:32", "openai:mini@1 (32-d)"),
        ("openai:nomic:v1.5:64", "openai:nomic:v1.5@1 (64-d)"),
        ("openai:BAAI/bge-m3:1024", "openai:BAAI/bge-m3@1 (1024-d)"),
    ],
)
def test_endpoint_takes_model_and_dimension_from_the_spec(
    monkeypatch: pytest.MonkeyPatch, spec: str, identity: str
) -> None:
    # With a dimension, nothing is asked before the first text.
    monkeypatch.setenv("SWARM_EMBEDDING_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("SWARM_EMBEDDING_KEY", "sk-very-secret")
    embedder = load_embedder(spec)
    assert str(embedder.identity) == identity
    assert "secret" not in repr(embedder)
    with pytest.raises(EmbedderUnavailableError, match="ConnectError"):
        embedder.embed_one("hello")


def test_endpoint_that_is_away_is_an_error_and_not_another_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_EMBEDDING_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(
        EmbedderUnavailableError, match=r"openai:nomic:v1\.5 at http://127\.0\.0\.1:1/v1/: ConnectError"
    ):
        load_embedder("openai:nomic:v1.5")
