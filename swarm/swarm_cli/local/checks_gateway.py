"""What `swarm doctor` asks the gateway of this machine: does it run, does it answer, and does anything wait in it?"""

from __future__ import annotations

import http.client
import json
import socket
import time
from typing import Any

from swarm.settings import Settings
from swarm_cli.local.finding import Finding, judged
from swarm_cli.local.gateway import GatewayProcess, find_gateway, gateway_log, is_ordered
from swarm_cli.output import count

_TIMEOUT = 3.0


def check_gateway(settings: Settings) -> Finding:
    """The gateway: where it is to run it answers, from Redis, and nothing waits in its agents' spools."""
    found = find_gateway(settings)
    if found is None:
        remedy = f"swarm up starts it; {gateway_log(settings)} says why it ended"
        detail = "it is to run, and does not" if is_ordered(settings) else "none here, and none was asked for"
        return judged("Gateway", not is_ordered(settings), detail, remedy)
    began = time.perf_counter()
    try:
        health = ask(found, "/health")
    except (OSError, ValueError, http.client.HTTPException) as error:
        remedy = f"kill process {found.pid}: it is started again; {gateway_log(settings)} may say why"
        return Finding(check="Gateway", ok=False, detail=f"{found.url} does not answer: {error}", remedy=remedy)
    took_ms = 1_000.0 * (time.perf_counter() - began)
    detail = f"{found.url}, answers in {took_ms:.0f} ms, {count(health['engines'], 'agent')} in memory"
    if health["spooled"]:
        detail += f", {count(health['spooled'], 'outcome')} in spools"
    return judged("Gateway", health["status"] == "ok", detail, f"it cannot reach Redis: {health['redis']}")


def ask(gateway: GatewayProcess, path: str) -> dict[str, Any]:
    """What the gateway answers to GET `path`, over its Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_TIMEOUT)
        link.connect(gateway.socket)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = link
        connection.request("GET", path)
        values = json.loads(connection.getresponse().read())
    if not isinstance(values, dict):
        raise ValueError(f"{path} answered no object")
    return values
