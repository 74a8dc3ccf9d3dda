"""Redis users of one swarm: what each may touch, as lines of `ACL SETUSER`.

    operator   every key of the swarm; what the command line does
    worker     every key of the swarm, and Celery's channels
    reader     every key of the swarm, by commands that only read
    agent      its own keys, and what an agent reads of the others

Keys are granted by pattern. A name holds none of the signs that a pattern gives a meaning (star, question mark,
bracket, backslash), and what follows it in a key (`}` or `/`) is in no name: no swarm's or agent's pattern matches a
key of another's, even where one name begins with the other. Scripts help nobody: Redis checks each command of a script,
and each key, as if the user had sent it.

Redis 6.2 cannot grant a key for reading alone: an agent can overwrite there what it must read of the others. From Redis
7 on it cannot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from swarm.errors import InputError
from swarm.wire.keys import SwarmKeys

MIN_PASSWORD = 16
READ_ONLY_KEYS = (7, 0)
"""Redis grants keys for reading alone from this version on."""

_CONNECTION = "auth hello ping select echo reset client|setname client|id time"
_NO_SET_INFO = ((7, 0), (7, 2))
"""Redis from the first to before the second of these refuses a grant of CLIENT SETINFO, which it does not know."""
_READ = (
    "get mget exists pttl hget hmget hgetall hkeys hlen hexists hstrlen xrange xrevrange xlen "
    "zrange zrangebyscore zrangebylex zrevrange zrevrangebyscore zcard zcount zscore zlexcount "
    "llen lrange smembers sismember scard hscan zscan sscan xinfo|stream type"
)
_WRITE = (
    "set del unlink incr incrby expire pexpire hset hsetnx hdel hincrby hincrbyfloat "
    "xadd xtrim xdel zadd zrem zremrangebyscore sadd srem rpush lpush lpop rpop lrem"
)
_TRANSACTIONS = "multi exec discard watch unwatch evalsha script|load script|exists"
_BROKER = "brpop publish subscribe unsubscribe psubscribe punsubscribe"
_LOOKING_AFTER = "info xsetid"

_AGENT_READS = ("meta", "agents", "bank", "banklog", "routing", "models", "budgets", "events")
"""What an agent reads of the swarm: who is there, what is known, which routes there are, what happened."""
_AGENT_SHARES = (
    *("decision:*", "decided", "decisions", "session:*", "reserve:*", "spend"),
    *("collections", "documents:*", "document:*", "doclog:*"),
)
"""What the router writes in the name of every agent, and the documents that agents remember together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUser:
    """A user: its name, and what it may touch, as words of `ACL SETUSER`."""

    name: str
    grants: tuple[str, ...]

    def line(self, password: str) -> str:
        """The command that makes, or remakes, this user. It holds a digest of the password and not the password.

        Raises
        ------
        InputError
            If the password has less than 16 characters: Redis keeps one SHA-256 of it, which is quick to try.
        """
        if len(password) < MIN_PASSWORD:
            raise InputError(f"a password of a Redis user must have {MIN_PASSWORD} characters or more")
        digest = hashlib.sha256(password.encode()).hexdigest()
        return " ".join(("ACL", "SETUSER", self.name, "reset", "on", f"#{digest}", *self.grants))


def redis_users(
    swarm: str, agents: tuple[str, ...] = (), version: tuple[int, ...] = (6, 2), database: int = 0
) -> list[RedisUser]:
    """The users of a swarm on a server of this version: operator, worker, reader, and one for each agent.

    Their names are SWARM~operator and SWARM~agent~NAME: `~` is in no name, so that no two swarms have one user.
    """
    keys = SwarmKeys(swarm)
    everything = [f"~{pattern}" for pattern in keys.patterns]
    connection = _connection(version)
    data = f"{connection} {_READ} {_WRITE} {_TRANSACTIONS}"
    # A subscription to a pattern, as kombu's, needs that very pattern; publishing needs one that matches.
    channels = (f"&{keys.patterns[0]}", f"&{keys.broker_prefix}/{database}.celery.pidbox")
    everybody = {
        "operator": (*everything, *channels, *_commands(f"{data} {_BROKER} {_LOOKING_AFTER}")),
        "worker": (*everything, *channels, *_commands(f"{data} {_BROKER}")),
        "reader": (
            *(_reading(key, version) for key in everything),
            *_commands(f"{connection} {_READ} {_TRANSACTIONS}"),
        ),
    }
    return [
        *(RedisUser(name=f"{swarm}~{role}", grants=("resetchannels", *grants)) for role, grants in everybody.items()),
        *(_agent(keys, agent, version) for agent in agents),
    ]


def _agent(keys: SwarmKeys, agent: str, version: tuple[int, ...]) -> RedisUser:
    own = keys.agent(agent).stream.removesuffix("stream")
    shared = keys.meta.removesuffix("meta")
    reads = [f"~{shared}{kind}" for kind in _AGENT_READS] + [f"~{{{keys.swarm}/*}}:weights"]
    writes = [f"~{own}*", *(f"~{shared}{kind}" for kind in _AGENT_SHARES)]
    grants = (*writes, *(_reading(key, version) for key in reads))
    commands = _commands(f"{_connection(version)} {_READ} {_WRITE} {_TRANSACTIONS}")
    return RedisUser(name=f"{keys.swarm}~agent~{agent}", grants=("resetchannels", *grants, *commands))


def _connection(version: tuple[int, ...]) -> str:
    return _CONNECTION if _NO_SET_INFO[0] <= version < _NO_SET_INFO[1] else f"{_CONNECTION} client|setinfo"


def _reading(key: str, version: tuple[int, ...]) -> str:
    return f"%R{key}" if version >= READ_ONLY_KEYS else key


def _commands(names: str) -> Iterator[str]:
    return (f"+{name}" for name in names.split())
