"""Settings of a process, from `SWARM_*` environment variables, checked once at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_state_path
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from swarm.errors import InputError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"


class Settings(BaseSettings):
    """What a process must know to take part in a swarm. Times are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(env_prefix="SWARM_", frozen=True, extra="ignore")

    name: str = Field(default="default", pattern=NAME_PATTERN)
    """The swarm: the prefix of every key."""
    redis_url: str | None = Field(default=None, repr=False)
    """An external Redis; without it the embedded one under `state_dir` is used."""
    state_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Field(
        default_factory=lambda: user_state_path("sona-swarm")
    )
    """Private files of this user: the embedded Redis, logs, pid files, spools."""
    embedder: str = "wordllama"
    fsync: Literal["everysec", "always"] = "everysec"
    """When the embedded Redis flushes its append-only file."""

    consolidate_batch: int = Field(default=100, ge=1, le=10_000)
    """An agent is due for consolidation with so many outcomes waiting ..."""
    consolidate_delay: float = Field(default=2.0, ge=0.0, le=86_400.0)
    """... or when the oldest of them has waited so long."""
    sweep_interval: float = Field(default=0.5, ge=0.05, le=60.0)
    lease_ttl: float = Field(default=20.0, ge=1.0, le=600.0)
    receipt_ttl: float = Field(default=7 * 86_400.0, ge=60.0)
    """How long a receipt, and with it an idempotency key, is remembered."""
    open_ttl: float = Field(default=86_400.0, ge=60.0, le=30 * 86_400.0)
    """A task that was begun so long ago, and that nobody has ended, is let go."""
    max_pending: int = Field(default=50_000, ge=1)
    """Outcomes of one agent that may wait; the next one is refused."""
    max_waiting_tasks: int = Field(default=100_000, ge=1)
    """Tasks that may wait for one role; the next one is refused ..."""
    max_waiting_of_submitter: int = Field(default=10_000, ge=1)
    """... and so many of them of one submitter."""
    max_documents: int = Field(default=100_000, ge=1)
    """Documents of one collection, see `services.documents`; the next one is refused."""
    resend_window: float = Field(default=5.0, ge=0.0, le=600.0)
    """What was sent is kept at least so long, to be sent again should Redis lose it; 0 keeps nothing."""
    rate_reads: float = Field(default=50.0, ge=0.01, le=1e6)
    """Calls a second that only read, under the tokens of one agent, or under one token that is no agent's ..."""
    rate_writes: float = Field(default=20.0, ge=0.01, le=1e6)
    """... and calls a second that change something."""
    rate_burst: float = Field(default=5.0, ge=0.1, le=3_600.0)
    """So many seconds' worth of either may be spent at once."""
    rate_max_bytes: int = Field(default=2**20, ge=1_024, le=8 * 2**20)
    """Size of what one call under a token may bring with it."""
    spool_max_bytes: int = Field(default=64 * 2**20, ge=2**20)
    socket_timeout: float = Field(default=5.0, ge=0.1, le=60.0)
    hook_timeout: float = Field(default=0.5, ge=0.05, le=60.0)
    """The same for agents: a hook rather goes on without Redis than holds its task up."""

    gateway_url: str | None = Field(default=None, repr=False)
    """The gateway that clients go to; without it they go to Redis themselves."""
    http_host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    """Where the gateway listens. Off loopback every caller needs a token ..."""
    http_port: int = Field(default=8787, ge=0, le=65_535)
    """... and 0 takes any free port."""
    http_require_token: bool = False
    """On loopback, too: for a host that several people use."""
    http_origins: str = ""
    """Origins beside its own from which pages may call the gateway, with commas between them."""
    hook_deadline: float = Field(default=0.12, ge=0.01, le=60.0)
    """A coding agent's hook is answered within this: empty if need be, and what it told is recorded behind it."""
    hook_tokens: int = Field(default=600, ge=0, le=2_500)
    """About so many tokens of what is known are put before a prompt; 0 for none."""
    hook_price: float = Field(default=3.0, ge=0.0, le=1e4)
    """USD that a million tokens of a sub-agent are counted as."""
    max_engines: int = Field(default=256, ge=1, le=100_000)
    """Agents that the gateway keeps in memory; the one not used for longest is let go."""

    log: Literal["text", "json"] = "text"
    """How workers, supervisor and gateway log: a line for people, or a JSON object a line."""
    log_content: bool = False
    """Whether logs may hold what tasks and handlers say ..."""
    trace_content: bool = False
    """... and whether traces may hold the text of queries."""

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of `http_origins`, one by one."""
        return tuple(origin.strip() for origin in self.http_origins.split(",") if origin.strip())

    @property
    def gateway_socket(self) -> Path:
        """Unix socket of the gateway."""
        return self.state_dir / f"{self.name}.gateway.sock"

    @property
    def socket_path(self) -> Path:
        """Unix socket of the embedded Redis."""
        return self.state_dir / "redis.sock"

    @property
    def broker_url(self) -> str:
        """Where Redis is: the external one, else the embedded one's socket."""
        return self.redis_url or f"unix://{self.socket_path}"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, with `overrides` that are not None on top.

    Raises
    ------
    InputError
        If a value is out of its bounds; the message names the variable and the bound, never a secret.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic checks the values itself
    except ValidationError as error:
        lines = [
            f"SWARM_{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors()
        ]
        raise InputError("settings: " + "; ".join(lines)) from None
