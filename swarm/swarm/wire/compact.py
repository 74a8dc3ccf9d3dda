"""The compact form of a cluster in the memory of a process: all but its sum, in a third of the bytes.

It is never stored or sent, so it has no version: see `records` for what is.
"""

from __future__ import annotations

import zlib

import msgpack

from swarm.sona.clusters import Cluster, Exemplar, RouteTally, Tally
from swarm.sona.snapshot import cluster_as_dict
from swarm.sona.vectors import Doubles

_LEVEL = 1
_FIELDS = tuple(name for name in Cluster.__dataclass_fields__ if name != "sum_embedding")
_ROUTE = tuple(RouteTally.__dataclass_fields__)


def pack_cluster(cluster: Cluster) -> bytes:
    """The fields of a cluster in their order, without names and without `sum_embedding`; compressed."""
    values = cluster_as_dict(cluster)
    return zlib.compress(msgpack.packb([values[name] for name in _FIELDS], unicode_errors="surrogatepass"), _LEVEL)


def unpack_cluster(data: bytes, sum_embedding: Doubles) -> Cluster:
    """The inverse of `pack_cluster`, with the sum that was kept elsewhere.

    Nothing is checked again: these bytes were made in this process, from a cluster that was.
    """
    values = msgpack.unpackb(zlib.decompress(data), unicode_errors="surrogatepass", use_list=False)
    plain = dict(zip(_FIELDS, values, strict=True))
    plain["agents"] = {name: Tally(n=n, sum_quality=quality) for name, (n, quality) in plain["agents"].items()}
    plain["routes"] = {
        name: RouteTally(**dict(zip(_ROUTE, sums, strict=True))) for name, sums in plain["routes"].items()
    }
    plain["exemplars"] = tuple(
        Exemplar(text=text, quality=quality, agent=agent, trajectory_id=trajectory_id, at_s=at_s)
        for text, quality, agent, trajectory_id, at_s in plain["exemplars"]
    )
    return Cluster(sum_embedding=sum_embedding, **plain)
