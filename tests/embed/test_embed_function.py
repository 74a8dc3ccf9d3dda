from __future__ import annotations

import pytest

from swarm.embed import CallableEmbedder, EmbedderIdentity
from swarm.errors import CapacityError, EmbedderUnavailableError

IDENTITY = EmbedderIdentity(id="mine", dim=16, version="1")


def test_function_gets_a_list_of_the_texts() -> None:
    seen: list[object] = []

    def lengths(texts: list[str]) -> list[list[float]]:
        seen.append(texts)
        return [[float(len(text))] * 16 for text in texts]

    assert CallableEmbedder(lengths, IDENTITY).embed(("ab", "c")).shape == (2, 16)
    assert seen == [["ab", "c"]]


def test_error_of_the_function_is_named_and_chained() -> None:
    def broken(texts: list[str]) -> object:
        raise KeyError("model file")

    with pytest.raises(EmbedderUnavailableError, match=r"mine@1 \(16-d\) raised KeyError: 'model file'") as caught:
        CallableEmbedder(broken, IDENTITY).embed_one("a")
    assert isinstance(caught.value.__cause__, KeyError)


def test_our_own_error_passes_through() -> None:
    def full(texts: list[str]) -> object:
        raise CapacityError("quota")

    with pytest.raises(CapacityError, match="quota"):
        CallableEmbedder(full, IDENTITY).embed_one("a")
