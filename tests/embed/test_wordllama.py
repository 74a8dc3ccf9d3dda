from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.embed import Embedder, WordLlamaEmbedder
from swarm.embed.packages import package_folder

SHORT = "How do I reset the pin of my card?"
TEXTS = [SHORT, "a", "\0", "🦄 <s>", "x" * 3000, "naïve façade", "def f(x):\n\treturn x\n", "漢字", "\u200b"]

ALONE = """
import logging, os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError(event)
sys.addaudithook(refuse)
from swarm.embed import WordLlamaEmbedder
embedder = WordLlamaEmbedder()
embedder.embed(["one", "two"])
child = os.fork()
if child == 0:
    os._exit(0 if embedder.embed_one("in a child").shape == (256,) else 1)
assert os.waitpid(child, 0)[1] == 0
assert logging.getLogger().handlers == [] and logging.getLogger().level == logging.WARNING
heavy = {"wordllama", "torch", "requests", "huggingface_hub", "sklearn", "redis", "pydantic"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""


def test_identity_is_that_of_the_weights(wordllama: WordLlamaEmbedder) -> None:
    assert str(wordllama.identity) == "wordllama@0.4 (256-d)"


def test_vectors_equal_those_of_the_library(wordllama: WordLlamaEmbedder) -> None:
    # In a process of its own: importing the library changes the root logger.
    script = (
        "import sys, os, json, numpy, wordllama\n"
        "folder = os.path.dirname(wordllama.__file__)\n"
        "model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)\n"
        "texts = json.load(sys.stdin)\n"
        "sys.stdout.buffer.write(model.embed(texts, norm=True).tobytes())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(TEXTS).encode(), capture_output=True, check=True
    )
    theirs = np.frombuffer(ran.stdout, dtype=np.float32).reshape(len(TEXTS), 256)
    np.testing.assert_allclose(wordllama.embed(TEXTS), theirs, atol=1e-6)


def test_one_by_one_equals_batch_bit_for_bit(wordllama: WordLlamaEmbedder) -> None:
    batch = wordllama.embed(TEXTS)
    assert batch.tobytes() == b"".join(wordllama.embed_one(text).tobytes() for text in TEXTS)
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1.0, atol=1e-6)


def test_it_knows_meaning(wordllama: WordLlamaEmbedder) -> None:
    asked, same, other = wordllama.embed(
        ["I forgot my password", "how can I recover my login credentials", "the weather in the mountains is cold"]
    )
    assert asked @ same > asked @ other + 0.15


@given(text=st.text(min_size=1).filter(str.strip))
def test_any_text_has_a_unit_vector(wordllama: WordLlamaEmbedder, text: str) -> None:
    assert abs(float(np.linalg.norm(wordllama.embed_one(text))) - 1.0) < 1e-6


def test_a_huge_text_in_a_batch_does_not_pad_the_others(wordllama: WordLlamaEmbedder) -> None:
    tracemalloc.start()
    wordllama.embed(["a b " * 16_000] + [SHORT] * 63)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 32,000 tokens of float16 are 16 MB; padded, the batch would take 2 GB.
    assert peak_bytes < 64 * 2**20


def test_it_loads_offline_silent_light_and_survives_a_fork() -> None:
    ran = subprocess.run([sys.executable, "-W", "error", "-c", ALONE], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.fixture
def own_copy(tmp_path: Path) -> Path:
    """A package `wordllama` that is found before the installed one; answers its folder."""
    installed, copy = package_folder("wordllama", ""), tmp_path / "wordllama"
    for file in ("weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"):
        (copy / file).parent.mkdir(parents=True)
        (copy / file).write_bytes((installed / file).read_bytes())
    (copy / "__init__.py").touch()
    return copy


def identity_in(folder: Path) -> str:
    """What loading from this copy prints, or its error."""
    script = (
        "from swarm.embed import WordLlamaEmbedder\n"
        "from swarm.errors import EmbedderUnavailableError\n"
        "try:\n"
        "    print(WordLlamaEmbedder().identity)\n"
        "except EmbedderUnavailableError as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder.parent)}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_other_weights_have_another_identity(own_copy: Path) -> None:
    assert identity_in(own_copy) == "wordllama@0.4 (256-d)"
    weights = own_copy / "weights" / "l2_supercat_256.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert re.fullmatch(r"wordllama@[0-9a-f]{12} \(256-d\)", identity_in(own_copy))


@pytest.mark.parametrize(
    "file", ["weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"]
)
def test_damaged_or_missing_files_make_it_unavailable(own_copy: Path, file: str) -> None:
    (own_copy / file).write_bytes((own_copy / file).read_bytes()[:1000])
    assert re.fullmatch(r"cannot load WordLlama \(.+\): pip install 'wordllama>=0.4'", identity_in(own_copy))
    (own_copy / file).unlink()
    assert "No such file" in identity_in(own_copy)


def test_frozen_success_on_banking77(wordllama: WordLlamaEmbedder, frozen_success: Callable[[Embedder], float]) -> None:
    # .696 as the mean of 5 seeds
    assert frozen_success(wordllama) == pytest.approx(0.69, abs=0.03)
