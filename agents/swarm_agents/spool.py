"""The spool: outcomes wait here while Redis is away, and are replayed once, in order.

A SQLite file: durable at commit, safe under kill -9, and usable by several processes of one agent. A row goes
only after Redis has the outcome; if the process dies between the two, the idempotency key makes the second
replay have no effect.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import CapacityError, StoreUnavailableError
from swarm.settings import Settings
from swarm.store.private import make_private

_BUSY_TIMEOUT_S = 10.0
# The sum is kept, not computed: reading the records for it would make each append slower than the one before.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS outcome (
  position INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, trajectory TEXT NOT NULL, record BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS size (bytes INTEGER NOT NULL);
INSERT INTO size SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM size);
CREATE TRIGGER IF NOT EXISTS appended AFTER INSERT ON outcome
  BEGIN UPDATE size SET bytes = bytes + length(new.record); END;
CREATE TRIGGER IF NOT EXISTS removed AFTER DELETE ON outcome
  BEGIN UPDATE size SET bytes = bytes - length(old.record); END;
CREATE TABLE IF NOT EXISTS life (value TEXT NOT NULL);
INSERT INTO life SELECT '' WHERE NOT EXISTS (SELECT 1 FROM life);
CREATE TABLE IF NOT EXISTS policy (record BLOB NOT NULL);
INSERT INTO policy SELECT x'' WHERE NOT EXISTS (SELECT 1 FROM policy);
COMMIT;
"""
# Files of an older version lack the column.
_ADD_LIFE = "ALTER TABLE outcome ADD COLUMN life TEXT NOT NULL DEFAULT ''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """One waiting outcome; `position` gives the order, `life` is that of its agent, "" if it was not known."""

    position: int
    idempotency_key: str
    trajectory_id: str
    record: bytes
    life: str


def spool_folder(settings: Settings) -> Path:
    """Where the spool files of a swarm's agents are on this host, `AGENT.sqlite`."""
    return settings.state_dir / "spool" / settings.name


class Spool:
    """The spool file of one agent. `max_bytes` bounds the records in it."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        with self._errors():
            make_private(path.parent)
            self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            _use_wal(self._db)
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            _add_life(self._db)

    @property
    def life(self) -> str:
        """The life of the agent that was noted last, by whichever process; "" before the first."""
        with self._errors(), self._lock:
            return str(self._db.execute("SELECT value FROM life").fetchone()[0])

    @life.setter
    def life(self, life: str) -> None:
        with self._errors(), self._lock:
            self._db.execute("UPDATE life SET value = ?", (life,))

    @property
    def policy(self) -> bytes:
        """The record of the agent's policy that was noted last, likewise; b"" before the first."""
        with self._errors(), self._lock:
            return bytes(self._db.execute("SELECT record FROM policy").fetchone()[0])

    @policy.setter
    def policy(self, record: bytes) -> None:
        with self._errors(), self._lock:
            self._db.execute("UPDATE policy SET record = ?", (record,))

    def append(self, idempotency_key: str, trajectory_id: str, record: bytes, life: str = "") -> bool:
        """Put an outcome at the end; False if its key waits here already. Durable when this returns.

        Raises
        ------
        CapacityError
            If the spool would grow beyond `max_bytes`; nothing was taken.
        """
        with self._errors(), self._lock:
            size = self._db.execute("SELECT bytes FROM size").fetchone()[0]
            if size + len(record) > self._max_bytes and not self._has(idempotency_key):
                raise CapacityError(
                    f"spool {self._path.name}: {size} bytes wait, the bound is {self._max_bytes} (spool_max_bytes); "
                    "retry when Redis is back"
                )
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO outcome (key, trajectory, record, life) VALUES (?, ?, ?, ?)",
                (idempotency_key, trajectory_id, record, life),
            )
            return cursor.rowcount == 1

    def oldest(self, count: int) -> list[Spooled]:
        """The first `count` outcomes in order."""
        with self._errors(), self._lock:
            rows = self._db.execute(
                "SELECT position, key, trajectory, record, life FROM outcome ORDER BY position LIMIT ?", (count,)
            ).fetchall()
        return [
            Spooled(position=row[0], idempotency_key=row[1], trajectory_id=row[2], record=row[3], life=row[4])
            for row in rows
        ]

    def remove_until(self, position: int) -> None:
        """Forget the outcomes up to this one: Redis has them."""
        with self._errors(), self._lock:
            self._db.execute("DELETE FROM outcome WHERE position <= ?", (position,))

    def holds(self, idempotency_key: str) -> bool:
        """Whether an outcome with this key waits here."""
        with self._errors(), self._lock:
            return self._has(idempotency_key)

    def __len__(self) -> int:
        with self._errors(), self._lock:
            return int(self._db.execute("SELECT count(*) FROM outcome").fetchone()[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _has(self, idempotency_key: str) -> bool:
        return self._db.execute("SELECT 1 FROM outcome WHERE key = ?", (idempotency_key,)).fetchone() is not None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"spool {self._path}: {type(error).__name__}: {error}") from error


def waiting_agents(folder: Path) -> list[str]:
    """Names of the agents that have outcomes waiting in a folder of spool files."""
    return [path.stem for path in sorted(folder.glob("*.sqlite")) if _has_waiting(path)]


def _has_waiting(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.1)) as db:
            return db.execute("SELECT 1 FROM outcome LIMIT 1").fetchone() is not None
    except sqlite3.Error:
        # Being made or written just now, or damaged: its agent says so when it comes.
        return False


def _use_wal(db: sqlite3.Connection) -> None:
    # SQLite does not wait for this lock, whatever the timeout: of two processes that begin at once one fails.
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _add_life(db: sqlite3.Connection) -> None:
    # Together with the look, so that of two processes that begin at once one adds it.
    db.execute("BEGIN IMMEDIATE")
    try:
        if "life" not in {row[1] for row in db.execute("PRAGMA table_info(outcome)")}:
            db.execute(_ADD_LIFE)
    finally:
        db.execute("COMMIT")
