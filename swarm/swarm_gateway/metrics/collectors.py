"""What Prometheus' registry asks at a scrape: what is stored, and how this process stands."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from swarm import __version__
from swarm_gateway.engines import Engines
from swarm_gateway.metrics.families import families_of
from swarm_gateway.metrics.reading import Readings


class StoredCollector(Collector):
    """What is stored of a swarm. While Redis is away nothing is made up: then there is `swarm_up 0` alone."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """All families."""
        reading = self._readings.last()
        yield GaugeMetricFamily("swarm_up", "Whether what is stored could be read.", value=float(reading is not None))
        if reading is not None:
            yield from families_of(reading)

    def describe(self) -> list[Metric]:
        """Nothing: else registering it would read everything."""
        return []


class ProcessCollectorOfGateway(Collector):
    """How the gateway's process stands."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        """All families."""
        info = GaugeMetricFamily("swarm_build_info", "The version of the gateway.", labels=["version"])
        info.add_metric([__version__], 1.0)
        yield info
        engines = self._engines
        yield GaugeMetricFamily("swarm_engines", "Agents in the gateway's memory.", value=len(engines))
        yield GaugeMetricFamily("swarm_breakers_open", "Those that leave Redis alone now.", value=engines.open_breakers)
        yield GaugeMetricFamily("swarm_spooled_outcomes", "Their outcomes that wait for Redis.", value=engines.spooled)
        yield CounterMetricFamily("swarm_engines_let_go", "Agents that made room for others.", value=engines.let_go)

    def describe(self) -> list[Metric]:
        """Nothing, as above."""
        return []
