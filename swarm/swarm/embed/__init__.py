"""Text to vectors: embedders with an identity, checked texts, and the task type of a vector.

Importing this loads NumPy and nothing of any model; a model is loaded when its embedder is made.
"""

from swarm.embed.base import CheckedEmbedder, Embedder
from swarm.embed.endpoint import EndpointEmbedder
from swarm.embed.function import CallableEmbedder
from swarm.embed.hashed import HashedEmbedder
from swarm.embed.identity import EmbedderIdentity, require_same
from swarm.embed.minilm import MiniLMEmbedder
from swarm.embed.registry import load_embedder
from swarm.embed.task_type import TASK_TYPES, TaskTypes
from swarm.embed.text import MAX_TEXT_BYTES, check_text, check_texts
from swarm.embed.wordllama import WordLlamaEmbedder

__all__ = [
    "MAX_TEXT_BYTES",
    "TASK_TYPES",
    "CallableEmbedder",
    "CheckedEmbedder",
    "Embedder",
    "EmbedderIdentity",
    "EndpointEmbedder",
    "HashedEmbedder",
    "MiniLMEmbedder",
    "TaskTypes",
    "WordLlamaEmbedder",
    "check_text",
    "check_texts",
    "load_embedder",
    "require_same",
]
