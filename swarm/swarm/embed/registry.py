"""An embedder by its name, as `SWARM_EMBEDDER` and `--embedder` give it. What is asked for is loaded, or an error."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable

import numpy as np

from swarm.embed.base import Embedder
from swarm.embed.endpoint import EndpointEmbedder
from swarm.embed.function import CallableEmbedder
from swarm.embed.hashed import DEFAULT_DIM, HashedEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.embed.minilm import MiniLMEmbedder
from swarm.embed.wordllama import WordLlamaEmbedder
from swarm.errors import EmbedderUnavailableError, InputError, shown

CHOICES = "wordllama, hashed, hashed:DIM, minilm, openai:MODEL, openai:MODEL:DIM, python:MODULE:ATTRIBUTE"
_ATTRIBUTE = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")


def load_embedder(spec: str) -> Embedder:
    """The embedder that `spec` names.

    `wordllama`, `hashed`, `hashed:512` (its dimension), `minilm`; `openai:MODEL` or `openai:MODEL:DIM` at
    `SWARM_EMBEDDING_URL` with the key `SWARM_EMBEDDING_KEY`, if it needs one; `python:MODULE:ATTRIBUTE`, an
    `Embedder` or a function from texts to vectors in a module of yours.

    Raises
    ------
    InputError
        If the spec names none of them; the message lists the choices.
    EmbedderUnavailableError
        If what it names cannot be loaded or reached. Nothing else is taken in its place.

    >>> print(load_embedder("hashed:512").identity)
    hashed@1 (512-d)
    """
    if not isinstance(spec, str):
        raise InputError(f"embedder must be one of {CHOICES}, got {type(spec).__name__}")
    kind, _, rest = spec.partition(":")
    if spec == "wordllama":
        return WordLlamaEmbedder()
    if spec == "minilm":
        return MiniLMEmbedder()
    if kind == "hashed" and re.fullmatch(r"hashed(:[0-9]{1,6})?", spec):
        return HashedEmbedder(int(rest) if rest else DEFAULT_DIM)
    if kind == "openai" and rest:
        return _endpoint(rest)
    if kind == "python" and _ATTRIBUTE.fullmatch(rest):
        return _from_module(spec, *rest.split(":"))
    raise InputError(f"embedder must be one of {CHOICES}, got {shown(spec)}")


def _endpoint(rest: str) -> Embedder:
    url = os.environ.get("SWARM_EMBEDDING_URL")
    if not url:
        raise EmbedderUnavailableError(
            "set SWARM_EMBEDDING_URL to the endpoint's address, such as http://localhost:11434/v1"
        )
    # A model's own name may hold colons, so only digits at the end are a dimension.
    parts = re.fullmatch(r"(.+?)(?::([0-9]{1,6}))?", rest)
    model, dim = (parts[1], parts[2]) if parts else (rest, None)
    return EndpointEmbedder(url, model, os.environ.get("SWARM_EMBEDDING_KEY"), int(dim) if dim else None)


def _from_module(spec: str, module: str, attribute: str) -> Embedder:
    found = _look_up(spec, module, attribute)
    if isinstance(found, type):
        raise InputError(f"{spec} is a class: name an instance of it, or a function")
    if isinstance(found, Embedder) and isinstance(found.identity, EmbedderIdentity):
        # Wrapped, so that its vectors are checked like all others.
        return CallableEmbedder(found.embed, found.identity)
    if callable(found):
        version = str(getattr(importlib.import_module(module), "__version__", "1"))
        return CallableEmbedder(found, EmbedderIdentity(id=spec, dim=_dim_of(spec, found), version=version))
    raise InputError(f"{spec} is neither an Embedder nor a function: {type(found).__name__}")


def _dim_of(spec: str, function: Callable[[list[str]], object]) -> int:
    """The dimension of a function's vectors, by one call."""
    try:
        shape = np.array(function(["dimension"])).shape
    except Exception as error:  # whatever the user's function raises, or NumPy about its answer
        raise EmbedderUnavailableError(f"{spec} raised {type(error).__name__}: {error}") from error
    if len(shape) != 2 or shape[0] != 1:
        raise EmbedderUnavailableError(f"{spec} answered an array of shape {shape} for one text, expected (1, d)")
    return int(shape[1])


def _look_up(spec: str, module: str, attribute: str) -> object:
    try:
        found: object = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"{spec} cannot be found: {error}; its module must be on PYTHONPATH") from error
    except Exception as error:  # whatever the user's module raises when it is imported
        raise EmbedderUnavailableError(f"{spec} cannot be imported: {type(error).__name__}: {error}") from error
    return found
