"""What `swarm hooks doctor` looks at: are the hooks in place, and are they answered?"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from swarm.errors import SwarmError
from swarm.settings import Settings
from swarm_cli import hook_shim
from swarm_cli.hooks.entries import Client
from swarm_cli.hooks.installer import Installer
from swarm_cli.hooks.places import Scope
from swarm_cli.local.ask_gateway import ask_gateway
from swarm_cli.local.finding import Finding, judged
from swarm_cli.output import size

SLOW_S = 0.25
_TIMEOUT_S = 2.0
_PROBE = {"hook_event_name": "SwarmDoctor", "session_id": "swarm-doctor"}
"""An event that every gateway counts and none records."""


def check_entries(client: Client, files: Mapping[Scope, Installer], expected: Mapping[Scope, Any]) -> Finding:
    """Our entries: in exactly one settings file, and those that this version would write."""
    parts, stale, having, ok = [], [], [], True
    for scope, installer in files.items():
        try:
            if found := installer.installed():
                having.append(scope)
                is_current = found == expected[scope]
                parts.append(f"{scope}: {'in place' if is_current else 'not what `install` would write now'}")
                if not is_current:
                    stale.append(scope)
        except SwarmError as error:
            parts.append(f"{scope}: {error}")
            ok = False
    if len(having) > 1:
        parts.append(f"everything is told {len(having)} times")
        undo = f"swarm hooks uninstall {client}"
        surplus = [undo if scope == "user" else f"{undo} --{scope}" for scope in having]
        return Finding(check="Hooks", ok=False, detail="; ".join(parts), remedy=" or ".join(surplus))
    detail = "; ".join(parts) or "no settings file has them"
    # In the file where they are: in a second one everything would be told twice.
    remedy = f"swarm hooks install {client}"
    remedies = [remedy if scope == "user" else f"{remedy} --{scope}" for scope in stale] or [remedy]
    return judged("Hooks", bool(parts) and ok and not stale, detail, "; ".join(remedies))


def check_gateway(settings: Settings) -> tuple[Finding, Mapping[str, Any]]:
    """The gateway's socket: answered, and how quickly; and what it counted."""
    began = time.perf_counter()
    answer = ask_gateway(settings, "GET", "/v1/hooks", timeout_s=_TIMEOUT_S)
    took_ms = (time.perf_counter() - began) * 1e3
    if answer is None or answer[0] != 200:
        said = "does not answer" if answer is None else f"answers with status {answer[0]}"
        detail = f"{settings.gateway_socket} {said}; hooks are silent, and by the command kept for later"
        return Finding(check="Gateway", ok=False, detail=detail, remedy="swarm up, or swarm serve"), {}
    return Finding(check="Gateway", ok=True, detail=f"answers in {took_ms:.1f} ms"), answer[1]


def check_command(settings: Settings, client: Client, command: Sequence[str]) -> Finding:
    """The command that a hook runs, as a process of its own."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command, input=json.dumps(_PROBE).encode(), capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        remedy = f"swarm hooks install {client}: it writes the command anew"
        return Finding(check="Command", ok=False, detail=f"{type(error).__name__}: {error}"[:200], remedy=remedy)
    took_s = time.perf_counter() - began
    ok = done.returncode == 0 and done.stdout == b"{}" and took_s <= SLOW_S
    remedy = "without a gateway it answers nothing; a slow one has a busy machine"
    return judged("Command", ok, f"code {done.returncode} after {took_s * 1e3:.0f} ms", remedy)


def check_counts(counted: Mapping[str, Any]) -> Finding:
    """What became of hooks since the gateway began."""
    sums: dict[str, int] = {}
    for row in counted.get("hooks", ()):
        sums[row["outcome"]] = sums.get(row["outcome"], 0) + row["hooks"]
    parts = [f"{n:,} {outcome}" for outcome, n in sorted(sums.items())] or ["none so far"]
    if counted.get("spool_bytes"):
        parts.append(f"{size(counted['spool_bytes'])} wait to be read")
    if errors := counted.get("last_errors"):
        parts.append(f"last error: {errors[-1]}")
    ok = not (counted["breaker"]["open"] or counted["redis"]["open"] or sums.get("dropped"))
    if not ok:
        is_open = counted["breaker"]["open"]
        parts.append("the breaker is open" if is_open else "Redis does not answer, or hooks were dropped")
    return judged("Answers", ok, "; ".join(parts), "swarm doctor says what is slow or away")


def check_spool(settings: Settings) -> Finding:
    """Events that wait for a gateway."""
    path = f"{settings.gateway_socket}{hook_shim.SUFFIX}"
    waiting = os.path.getsize(path) if os.path.exists(path) else 0
    detail = f"{size(waiting)} of {size(hook_shim.MAX_SPOOL_BYTES)} wait for a gateway"
    ok = waiting < hook_shim.MAX_SPOOL_BYTES // 2
    return judged("Kept", ok, detail, "start the gateway: what waits is read, once (swarm up)")
