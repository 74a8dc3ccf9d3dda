"""The files of the page, read once, and how they are served: with a tag each, under a strict policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    # Nothing from elsewhere, nothing inline: a text that somebody reported cannot become a script here.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # It is asked each time whether the file is still that one: a newer gateway must not meet an older page.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file of the page."""

    body: bytes
    media_type: str
    tag: str


def load_assets() -> Mapping[str, Asset]:
    """All files of the page by their path below it."""
    return dict(_walk(files("swarm_gateway.dashboard") / "page", ""))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif media_type := _TYPES.get(entry.name.rpartition(".")[2]):
            body = entry.read_bytes()
            tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
            found.append((prefix + entry.name, Asset(body=body, media_type=media_type, tag=tag)))
    return found


router = APIRouter(tags=["dashboard"], include_in_schema=False)
_ASSETS = load_assets()


@router.get("/")
def page(request: Request) -> Response:
    """The dashboard. It holds no data: those it asks for, with a token where one is needed."""
    return answer(request, _ASSETS["index.html"])


@router.get("/dashboard/{path:path}")
def asset(path: str, request: Request) -> Response:
    """A file of the page."""
    found = _ASSETS.get(path)
    if found is None:
        raise HTTPException(404, f"the dashboard has no file {path!r:.80}")
    return answer(request, found)


def answer(request: Request, asset: Asset) -> Response:
    """The file, or 304 to who has it."""
    headers = {**_HEADERS, "ETag": asset.tag}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)
