"""The compact form of a cluster gives back the cluster, all but its sum, which is kept elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from swarm_support import some_cluster

from swarm.sona.clusters import Cluster, RouteTally
from swarm.wire.compact import pack_cluster, unpack_cluster
from swarm.wire.records import encode_cluster


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positive": False, "confirmed": False, "label": "", "response": "\ud800 half a pair"},
        {"routes": {"small": RouteTally(n=2.0, sum_quality=1.5, sum_latency_ms=9.0)}, "task_types": {"CodeGen": 2.0}},
        {"agents": {}, "exemplars": ()},
    ],
)
def test_what_is_unpacked_is_what_was_packed(changes: dict[str, object]) -> None:
    cluster: Cluster = replace(some_cluster(3), **changes)  # type: ignore[arg-type]  # fields of a cluster
    found = unpack_cluster(pack_cluster(cluster), cluster.sum_embedding)
    assert replace(found, sum_embedding=cluster.sum_embedding) == cluster
    assert found.sum_embedding is cluster.sum_embedding
    assert hash(found.exemplars) == hash(cluster.exemplars)


def test_it_is_much_smaller_than_the_record() -> None:
    wide = replace(some_cluster(3), sum_embedding=np.ones(256))
    assert len(pack_cluster(wide)) < len(encode_cluster(wide)) / 5
