"""Metrics as Prometheus would read them."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


def families(text: str) -> dict[str, Metric]:
    """What is served, by name; it must be in the format."""
    found = list(text_string_to_metric_families(text))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


class Scrape:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.families = families(text)
        samples = [sample for family in self.families.values() for sample in family.samples]
        self.samples = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
        assert len(self.samples) == len(samples)

    def __call__(self, name: str, **labels: str) -> float:
        """The value of a series."""
        return self.samples[name, tuple(sorted(labels.items()))]

    def sum(self, name: str) -> float:
        """Of all series of a name."""
        return sum(value for (sample, _), value in self.samples.items() if sample == name)

    def counters(self) -> dict[tuple[str, Labels], float]:
        """All that may never fall while the swarm lives, so without what is of the process."""
        process = ("swarm_http_", "swarm_hook_", "swarm_engines_", "process_")
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            if family.type in ("counter", "histogram") and not family.name.startswith(process)
            for sample in family.samples
        }
