"""An embedder from any function that turns texts into vectors."""

from __future__ import annotations

from collections.abc import Callable

from swarm.embed.base import CheckedEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.errors import EmbedderUnavailableError, SwarmError


class CallableEmbedder(CheckedEmbedder):
    """Calls `function` with a list of texts; it answers anything that NumPy reads as shape (n, d).

    The function must give the same vector for the same text; who changes it changes the version.

    >>> identity = EmbedderIdentity(id="letters", dim=26, version="1")
    >>> letters = CallableEmbedder(
    ...     lambda texts: [[text.count(chr(97 + i)) for i in range(26)] for text in texts], identity)
    >>> float(letters.embed_one("aaa")[0])
    1.0
    """

    def __init__(self, function: Callable[[list[str]], object], identity: EmbedderIdentity) -> None:
        """Nothing is called yet."""
        super().__init__(identity)
        self._function = function

    def _vectors(self, texts: list[str]) -> object:
        try:
            return self._function(texts)
        except SwarmError:
            raise
        except Exception as error:  # whatever the caller's own code raises
            raise EmbedderUnavailableError(f"{self._identity} raised {type(error).__name__}: {error}") from error
