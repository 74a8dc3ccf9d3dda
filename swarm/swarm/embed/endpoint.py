"""An embedder behind an OpenAI-compatible `POST /embeddings` (extra `openai`)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from swarm.embed.base import CheckedEmbedder
from swarm.embed.identity import EmbedderIdentity
from swarm.errors import BoundsError, EmbedderUnavailableError, InputError, SwarmError

if TYPE_CHECKING:
    import httpx

REMEDY = "pip install 'httpx>=0.27'"
BATCH_TEXTS = 64
"""Texts of one request: 4 MB at most, since a text has 64 KB."""
_SHOWN = 200


class EndpointEmbedder(CheckedEmbedder):
    """Sends texts in batches; nothing is retried, that is for the caller to decide.

    The API key goes into the request's header and nowhere else: not into a repr, an error or a log. An error
    that quotes the server's answer blanks it.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        dim: int | None = None,
        timeout: float = 10.0,
        version: str = "1",
    ) -> None:
        """Connect lazily if `dim` is given, else ask once for the dimension.

        Parameters
        ----------
        base_url : such as `http://localhost:11434/v1`, without user, query or fragment
        dim : sent as `dimensions`, for models that can shorten their vectors; None for the model's own
        timeout : seconds for each of connecting, sending, and waiting for the answer
        version : the endpoint does not tell when its weights change; who changes them changes this

        Raises
        ------
        InputError
            If an argument cannot be used.
        EmbedderUnavailableError
            If httpx is missing, or the endpoint did not tell its dimension.
        """
        if not 0.0 < timeout <= 600.0:
            raise BoundsError(f"timeout must be above 0 and at most 600 seconds, got {timeout!r:.40}")
        self._secret = _check_key(api_key)
        self._client = _client(_check_url(base_url), self._secret, timeout)
        self._model = model
        self._dimensions = dim
        try:
            found = self._ask_dim() if dim is None else dim
            super().__init__(EmbedderIdentity(id=f"openai:{model}", dim=found, version=version))
        except SwarmError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections to the endpoint; the embedder cannot be used any more."""
        self._client.close()

    def _ask_dim(self) -> int:
        first = self._request(["dimension"])[0]
        if not isinstance(first, list):
            raise self._unavailable(f"an embedding must be a list, got {type(first).__name__}")
        return len(first)

    def _vectors(self, texts: list[str]) -> list[object]:
        rows: list[object] = []
        for start in range(0, len(texts), BATCH_TEXTS):
            rows += self._request(texts[start : start + BATCH_TEXTS])
        return rows

    def _request(self, texts: list[str]) -> list[object]:
        """The embeddings of `texts` in their order, as the server sent them."""
        import httpx  # an extra: `_client` found it installed

        body: dict[str, object] = {"model": self._model, "input": texts, "encoding_format": "float"}
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        try:
            response = self._client.post("embeddings", json=body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
        if response.status_code != httpx.codes.OK:
            raise self._unavailable(f"HTTP {response.status_code}: {response.text}")
        try:
            return _in_order(response.json(), len(texts))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._unavailable(f"not an embeddings answer ({type(error).__name__}): {response.text}") from error

    def _unavailable(self, problem: str) -> EmbedderUnavailableError:
        if self._secret:
            problem = problem.replace(self._secret, "***")
        return EmbedderUnavailableError(f"openai:{self._model} at {self._client.base_url}: {problem[:_SHOWN]}")


def _in_order(answer: object, n: int) -> list[object]:
    """Rows by their `index`, which the format does not promise to be ascending."""
    if not isinstance(answer, dict) or not isinstance(answer["data"], list):
        raise TypeError("data is not a list")
    rows = {item["index"]: item["embedding"] for item in answer["data"]}
    if len(answer["data"]) != n:
        raise ValueError("number of rows")
    return [rows[index] for index in range(n)]


def _check_url(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        usable = False
    # A user or a query may be a secret, so the address is not shown.
    if not usable or "@" in parts.netloc or parts.query or parts.fragment or not base_url.isprintable():
        raise InputError("base_url must be http(s)://host[:port][/path] without user, query or fragment")
    return base_url


def _check_key(api_key: str | None) -> str | None:
    key = (api_key or "").strip()
    if not key.isascii() or not key.isprintable():
        # httpx would quote it in its error.
        raise InputError(f"api_key must be printable ASCII, got {len(key)} characters that are not")
    return key or None


def _client(base_url: str, key: str | None, timeout: float) -> httpx.Client:
    try:
        import httpx
    except ImportError as error:
        raise EmbedderUnavailableError(f"the package httpx is not installed: {REMEDY}") from error
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx.Client(base_url=base_url, headers=headers, timeout=timeout)
    except Exception as error:  # of many kinds, from the proxy and certificate settings in the environment
        # Its text may quote a proxy's password.
        raise EmbedderUnavailableError(f"cannot set up an HTTP client: {type(error).__name__}") from None
