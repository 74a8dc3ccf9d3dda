"""The compact form of a cluster in the memory of a process: all but its sum, in a third of the bytes.

It is never stored or sent, so it has no version: see `records` for what is.
"""

from __future__ import annotations

import zlib

import msgpack

from swarm.sona.clusters import Cluster
from swarm.sona.snapshot import cluster_as_dict, cluster_from_dict
from swarm.sona.vectors import Doubles

_LEVEL = 1
_FIELDS = tuple(name for name in Cluster.__dataclass_fields__ if name != "sum_embedding")


def pack_cluster(cluster: Cluster) -> bytes:
    """The fields of a cluster in their order, without names and without `sum_embedding`; compressed."""
    values = cluster_as_dict(cluster)
    return zlib.compress(msgpack.packb([values[name] for name in _FIELDS], unicode_errors="surrogatepass"), _LEVEL)


def unpack_cluster(data: bytes, sum_embedding: Doubles) -> Cluster:
    """The inverse of `pack_cluster`, with the sum that was kept elsewhere."""
    values = msgpack.unpackb(zlib.decompress(data), unicode_errors="surrogatepass")
    return cluster_from_dict(dict(zip(_FIELDS, values, strict=True)), sum_embedding)
