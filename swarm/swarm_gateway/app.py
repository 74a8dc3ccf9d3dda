"""The FastAPI application: the routes, and what every request passes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from swarm import __version__
from swarm_gateway import failures
from swarm_gateway.boundary import Boundary
from swarm_gateway.dashboard import assets, data
from swarm_gateway.gateway import Gateway
from swarm_gateway.hooks.service import HookService
from swarm_gateway.identity import needs_token
from swarm_gateway.mcp.presence import find_mcp
from swarm_gateway.metrics import route as metrics
from swarm_gateway.observed import Observed
from swarm_gateway.openapi import describe, operation_id
from swarm_gateway.routes import (
    agents,
    care,
    events,
    health,
    hooks,
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
    *(agents, care, events, health, hooks, metrics, patterns),
    *(query, receipts, routing, seeds, status, tasks, trajectories),
    *(assets, data),
)


def create_app(gateway: Gateway) -> FastAPI:
    """The application over `gateway`, which it starts and closes.

    Its documentation page is off: the page that FastAPI ships loads scripts from elsewhere. `/openapi.json` is there.
    """

    hook_service, mcp = HookService(gateway), find_mcp(gateway)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(gateway.start)
        hook_service.start()
        async with nullcontext() if mcp is None else mcp.running():
            yield
        await to_thread.run_sync(hook_service.close)
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
    app.state.hooks = hook_service
    failures.install(app)
    routers = [module.router for module in _MODULES]
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    describe(app, needs_token=needs_token(gateway.settings))
    if mcp is not None:
        app.router.routes.append(mcp.route())
    if origins := gateway.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    # Last added is first passed.
    app.add_middleware(Boundary, settings=gateway.settings)
    app.add_middleware(Observed, instruments=gateway.instruments)
    return app
