"""A FastAPI application whose one route takes JSON and does nothing: the floor of a hook over HTTP."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Asked(BaseModel):
    """What a hook is asked, too."""

    agent: str
    text: str


@app.post("/")
def empty(body: Asked) -> dict[str, int]:
    """Nothing."""
    return {"characters": len(body.text)}


def main() -> None:
    """Serve it on a free port of this machine; the URL is printed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
