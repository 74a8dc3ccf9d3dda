"""The schema of a swarm: which keys it has and what they mean, as a number in `meta`.

A program reads swarms of its own schema. One of a newer schema is refused before anything is written to it; one of an
older schema is migrated forward, see `store.migrations`.
"""

from __future__ import annotations

from swarm.errors import DamagedRecordError, NewerRecordError, RecordError

SCHEMA = 2
"""What this program writes."""
SCHEMA_FIELD = "schema"
RESTORING_FIELD = "restoring"
"""Stands in `meta` while a restore writes."""


def parse_schema(swarm: str, found: bytes | None) -> int:
    """The number from what is stored; 0 if nothing is: the swarm is new, or older than schemas.

    Raises
    ------
    DamagedRecordError
        If what stands there is no number.

    >>> parse_schema("default", b"1"), parse_schema("default", None)
    (1, 0)
    """
    if found is None:
        return 0
    if not found.isdigit() or len(found) > 9:
        raise DamagedRecordError(f"swarm {swarm}: schema {found!r:.40} is not a number")
    return int(found)


def refuse_unreadable(swarm: str, schema: bytes | None, restoring: bytes | None) -> None:
    """Refuse a swarm that is newer than this program, or that a restore left half written.

    Raises
    ------
    NewerRecordError
        If it is newer.
    RecordError
        If its restore has not come to its end.
    """
    found = parse_schema(swarm, schema)
    if found > SCHEMA:
        raise NewerRecordError(
            f"swarm {swarm} has schema {found}, this program knows schemas up to {SCHEMA}: upgrade it (nothing was "
            "written)"
        )
    if restoring is not None:
        raise RecordError(
            f"swarm {swarm} is being restored, or its restore was interrupted: "
            f"`swarm restore FILE --as {swarm} --replace` completes it"
        )
