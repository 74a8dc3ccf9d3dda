"""`diagnose`: everything that must be well for a swarm to learn on this machine, looked at in order."""

from __future__ import annotations

from swarm.errors import SwarmError
from swarm.services.status import read_status
from swarm.settings import Settings
from swarm.store.connection import Client, connect
from swarm.wire.keys import SwarmKeys
from swarm_cli.local.checks_gateway import check_gateway
from swarm_cli.local.checks_host import check_directory, check_disk, check_embedder, check_python
from swarm_cli.local.checks_redis import redis_findings, unreachable
from swarm_cli.local.checks_swarm import check_outcomes, check_supervisors, check_workers
from swarm_cli.local.finding import Finding
from swarm_cli.local.redis_facts import read_facts
from swarm_workers.pools import PoolManager


def diagnose(settings: Settings) -> list[Finding]:
    """Look at everything; nothing is changed.

    What cannot be seen while Redis is away is left out: one cause gives one finding.
    """
    host = [check_python(), check_directory(settings)]
    with connect(settings) as client:
        try:
            facts = read_facts(client)
        except SwarmError as error:
            return [*host, check_disk(settings, 0), unreachable(settings, str(error)), check_embedder(settings, None)]
        # The disk of an external server cannot be seen from here.
        disk = check_disk(settings, 0 if settings.redis_url else facts.file_bytes)
        return [*host, disk, *redis_findings(settings, facts), *_swarm_findings(settings, client)]


def _swarm_findings(settings: Settings, client: Client) -> list[Finding]:
    try:
        status = read_status(client, SwarmKeys(settings.name))
        with PoolManager(settings, client) as manager:
            pools, supervisors = manager.list(), manager.supervisors()
    except SwarmError as error:
        # A record that cannot be read, or a Redis that went away meanwhile.
        remedy = "if it stays, restore Redis's file or name a new swarm"
        return [Finding(check="Swarm", ok=False, detail=str(error), remedy=remedy), check_embedder(settings, None)]
    workers = [check_workers(pools), check_supervisors(pools, supervisors)]
    rest = [check_gateway(settings), check_outcomes(status), check_embedder(settings, status.embedder)]
    return [*workers, *rest]
