"""What this process has seen: hooks and requests. It begins anew with the process; what must not is in Redis."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the buckets of hooks: half a second is what a hook may take."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Instruments:
    """The instruments of one gateway, on a registry of its own. Safe to use from several threads.

    No label holds the name of an agent, an id or a path as it was asked for: what anybody sends must not make series.
    """

    def __init__(self) -> None:
        # When each series began says nothing that anybody asks, and would double the number of series.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus-client leaves it untyped
        self.registry = CollectorRegistry()
        self.hook_seconds = Histogram(
            "swarm_hook_duration_seconds",
            "How long hooks took to answer, by event and by what came of them.",
            ("event", "outcome"),
            buckets=BOUNDS_S,
            registry=self.registry,
        )
        """Of an event (a fixed word, such as begin or UserPromptSubmit) and an outcome (ok, refused, failed, ...)."""
        self.requests = Counter(
            "swarm_http_requests",
            "Requests that were answered, by route, method and class of status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def answered(self, route: str, method: str, status: int) -> None:
        """Count a request: the template of its route, and its status by class, as 2xx."""
        known = method if method in _METHODS else "other"
        self.requests.labels(route, known, f"{status // 100}xx").inc()
