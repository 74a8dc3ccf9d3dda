"""The handler of the role `trainer`: embeds the texts of training files, see `swarm_agents.training`.

swarm workers start --role trainer --handlers swarm_workers.embedding
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from swarm.embed.base import Embedder
from swarm.embed.parts import embed_part
from swarm.embed.registry import load_embedder
from swarm.embed.text import check_texts
from swarm.errors import InputError
from swarm.settings import load_settings
from swarm_workers.handlers import Permanent, Task, handler


@lru_cache(maxsize=1)
def _embedder(name: str) -> Embedder:
    return load_embedder(name)


@handler("trainer")
def embed(task: Task) -> dict[str, Any]:
    """The vectors of the texts in the payload, by the embedder that it names."""
    embedder = _embedder(load_settings().embedder)
    wanted = task.payload.get("embedder")
    if wanted != str(embedder.identity):
        raise Permanent(f"embedder must be {str(wanted)[:80]}, this worker has {embedder.identity} (SWARM_EMBEDDER)")
    try:
        texts = check_texts(task.payload.get("texts"))
    except InputError as error:
        raise Permanent(str(error)) from error
    return embed_part(embedder, texts).as_dict()
