"""The FastAPI application: the routes, and what every request passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from swarm import __version__
from swarm_gateway import failures
from swarm_gateway.boundary import Boundary
from swarm_gateway.dashboard import assets, data
from swarm_gateway.gateway import Gateway
from swarm_gateway.identity import needs_token
from swarm_gateway.openapi import describe, operation_id
from swarm_gateway.routes import (
    agents,
    care,
    events,
    health,
    patterns,
    query,
    receipts,
    routing,
    seeds,
    status,
    tasks,
    trajectories,
)

_MODULES = (
    *(agents, care, events, health, patterns, query, receipts, routing, seeds, status, tasks, trajectories),
    *(assets, data),
)


def create_app(gateway: Gateway) -> FastAPI:
    """The application over `gateway`, which it starts and closes.

    Its documentation page is off: the page that FastAPI ships loads scripts from elsewhere. `/openapi.json` is there.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(gateway.start)
        yield
        await to_thread.run_sync(gateway.close)

    app = FastAPI(
        title="sona-swarm",
        version=__version__,
        summary="What has worked for tasks like this one, for me and for the others.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        responses={"default": {"model": failures.FailureBody, "description": "What went wrong"}},
    )
    app.state.gateway = gateway
    failures.install(app)
    routers = [module.router for module in _MODULES]
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    describe(app, needs_token=needs_token(gateway.settings))
    if origins := [origin.strip() for origin in gateway.settings.http_origins.split(",") if origin.strip()]:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    # Last added is first passed.
    app.add_middleware(Boundary, settings=gateway.settings)
    return app
