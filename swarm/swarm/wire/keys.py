"""Every Redis key, declared once: type, writer, reader, lifetime.

What one transaction touches shares one hash tag, so that Redis Cluster keeps it in one slot: `{NAME}` for
the swarm, `{NAME/AGENT}` for an agent. Every key begins with the swarm's name.

Swarm, tag `{NAME}`
  meta      hash    embedder (bound by the first agent, for ever); registered (registrations counted, with `agents`);
                    merges (counted), experts (whose adapters bend everybody's queries), aged (to when the bank has
                    aged) and expired (counted), by the merge; schema (by the first use, and by migrations), retention
                    (by `swarm retention`), restoring (while a restore writes)
  pins      hash    id of a pattern that was pinned -> its place; written by `swarm pin`, for ever
  tombstones hash   what was forgotten -> when and by whom, no content; written by `swarm forget`, for ever
  agents    hash    agent -> its registration (role, preset); written by agents, for ever
  bank      hash    pattern id -> pattern; written by the merge, read by replicas, for ever
  banklog   stream  which patterns changed; written with `bank` in one transaction, trimmed to BANKLOG_LENGTH
  merged    hash    agent -> generation and cursor that `bank` contains; written with `bank`
  lease     string  who may merge; written by workers, expires
  fence     string  fencing token counter of `lease`, for ever
  workers   hash    worker -> its last heartbeat; written by the consumer loop, removed when long silent
  pools     hash    worker -> what was asked for (host, pid, concurrency, bounds); by `swarm workers` and supervisors
  supervisors hash  host -> last heartbeat of its supervisor, and what it says of its pools; removed when it ends
  reliability hash  agent:n, agent:right -> of so many executions, right in so many; added to with `execution`, for ever
  execution string  per execution -> the verdict on it; written once with `reliability`, expires
  routing   hash    version and record: the statistics of routes of all agents; written by the merge, read by routers
  models    hash    route -> what was declared of it; written by `swarm route declare`, for ever
  decision  string  per decision of the router -> all it hung on; expires
  decided   hash    route NUL reason -> decisions, written with `decision`, for ever
  decisions stream  ids of the latest decisions; written by routers, trimmed to DECISIONS_LENGTH
  session   string  per session -> its route and those that failed in it; written by routers, expires
  budgets   hash    scope (the swarm, an agent) -> what may be spent in a period; by `swarm route budget`, for ever
  spend     hash    scope -> present period and what was spent in it; written with `reserve`
  reserve   string  per decision -> what it holds in `spend` until it is settled; expires
  nudge     string  per agent, one for the merge: a task is on its way; two for the turns to sweep; per agent that its
                    open tasks were looked through lately; expire
  tasks     hash    role NUL state -> tasks; what was submitted, too; written by every script on tasks, for ever
  livetasks hash    task id -> its state, while it has not ended; written by the scripts on tasks
  taskrecords hash  task id -> what was submitted, while it has not ended; written with `livetasks`
  running   zset    task id by the end of its lease; written by claim and renew
  later     zset    task id by the time to try it again; written by fail
  deadlines zset    task id by its deadline; written by submit, removed when it ends
  claims    hash    token -> the task that runs under it; written by claim, removed when it stops running
  deadtasks zset    task id by the time of its death; removed by replay and drop, and by the sweep after the lifetime
                    of a receipt
  task      hash    per task that has ended -> state, record, result; expires, but for dead ones
  turns     zset    per role: submitter by the virtual time of its next turn; written by submit and claim
  waiting   zset    per role: submitter NUL (9 - priority) NUL sequence NUL task id, all of score 0
  queued    zset    per role: id of a waiting task by the time of its submission
  pace      hash    per role: virtual time, sequence, mean seconds between ends, last end; for ever
  unreported zset   per role: report key of a task that ended in no worker's hands, by the time from which its agent may
                    be told; written by the scripts on tasks, removed by the role's pool, or after a receipt's lifetime
  assigned  hash    per role: agent -> tasks that name it and have not ended; written by the scripts on tasks
  counters  hash    what nothing else says: role NUL replayed -> tasks, by the scripts on tasks; stage NUL bound -> runs
                    that took no longer, stage NUL sum -> microseconds, by workers; for ever
  job       hash    per job of several agents: what was decided (to whom each step is given, deadline, a digest of what
                    the job is); written by whoever runs it, the first decision holds; expires
  collections hash  collection ":writes" -> how often its documents changed, ":space" -> whose vectors it holds, while
                    it holds some; written with `document`, for ever
  documents zset    per collection: id of a document by the time it was first put, us since the epoch; written with
                    `document`, those that expired are taken out by who notices
  document  hash    per collection and id -> record, updated (us), ttl (ms, or 0), agent; written by who remembers (the
                    memory stores of other frameworks), expires if it has a ttl
  doclog    stream  per collection: which documents changed; written with `document`, trimmed to DOCLOG_LENGTH
  celery:wakeup  channel  per role: one more task waits; published by the scripts on tasks, heard by idle pools
  tokens    hash    token id -> its record, with a digest and never the token; written by `swarm token`, until revoked
  tokenuse  hash    token id -> when it was used last, ms since the epoch; written by the guard, removed with `tokens`
  rate      hash    per agent or token, and kind of call -> what is left of its allowance; written by the guard, expires
  hooksession string per session of a coding agent -> its tasks under way, no text; written by the gateway, expires
  hooksessions zset those sessions by the time of their last event; written with `hooksession`, removed when they end
  celery    various kombu's queue, bindings and unacknowledged messages; for nudges only, may be lost

Agent, tag `{NAME/AGENT}`
  stream    stream  outcomes in order; written by agents, read by consolidation, trimmed behind the cursor
  state     hash    generation, cursor, accepted, processed, dead, rewound, weights_generation, reset_generation,
                    skipped, promotions, refusals, verdict; by append and commit. silenced, by
                    `swarm agents quarantine`. life (how often the name was forgotten), forgotten_s (when last), past_*
                    (counts of former lives) and refused (outcomes of what was forgotten), by forget and append.
                    expired_open (open tasks that were let go), by workers and agents; for ever
  clusters  hash    cluster id -> cluster of the current generation; written by the commit
  weights   string  weights of the current generation; written by the commit, read by the agent
  learner   string  task, standing and credit after the current generation; written by the commit, read by the next
  sample    string  outcomes that the agent rehearses, and those that judge; written by the commit, read by the next
  routes    string  statistics of the routes that the agent used; written by the commit, read by the merge
  log       stream  one entry per generation (cursor, counts, figures, where its content comes from); by the commit
  undo      hash    generation -> what its commit replaced; written and trimmed by the commit, read by rollback
  forgotten hash    stream id, or "<=" and one: outcomes that `rewind` took back -> how far; by rewind and commit
  tombs     hash    "t:" and a trajectory, "a:" and an action -> when it was forgotten; written by forget, read by
                    append, for ever
  open      hash    trajectory id -> open trajectory; written by the pre-task hook, removed by append, and
                    by workers and agents when it is older than `open_ttl`
  dead      hash    stream id -> why an entry could not be used; written by the commit
  lease     string  who may consolidate; written by workers, expires
  fence     string  fencing token counter of `lease`, for ever
  receipt   string  per idempotency key -> stream id of the outcome; written with `stream`, expires
  code      hash    path of a file that the agent has indexed -> its chunks; written by `swarm index-codebase`, read by
                    `swarm query --name`, for ever
  codefiles hash    path -> by what the file is known not to have changed; written with `code`
  codestate hash    what the index is of, and how often `code` was written; written with `code`
  codeasked hash    question -> the chunks that came into question; written by `swarm query --name`, read by
                    `swarm feedback`, of bounded length, expires with the last one
  codejudged hash   answer -> what was said to it; written by `swarm feedback`, of bounded length
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from swarm.errors import InputError, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

BANKLOG_LENGTH = 10_000
"""A replica that is further behind reloads the whole bank."""
DOCLOG_LENGTH = 10_000
"""A view of documents that is further behind reloads the whole collection."""
DECISIONS_LENGTH = 200
"""So many decisions of the router are listed; all that have not expired are found by their ids."""


def check_name(name: str, parameter: str) -> str:
    """`name` if it can stand in a key, else an error that names `parameter`.

    >>> check_name("coder-1", "agent")
    'coder-1'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{parameter} must be 1-63 letters, digits, '_', '.' or '-', beginning with a letter or digit, "
            f"got {shown(name)}"
        )
    return name


@dataclass(frozen=True, slots=True)
class AgentKeys:
    """The keys of one agent of one swarm."""

    swarm: str
    agent: str

    def __post_init__(self) -> None:
        check_name(self.swarm, "swarm")
        check_name(self.agent, "agent")

    def _key(self, kind: str) -> str:
        return f"{{{self.swarm}/{self.agent}}}:{kind}"

    @property
    def stream(self) -> str:
        return self._key("stream")

    @property
    def state(self) -> str:
        return self._key("state")

    @property
    def clusters(self) -> str:
        return self._key("clusters")

    @property
    def weights(self) -> str:
        return self._key("weights")

    @property
    def learner(self) -> str:
        return self._key("learner")

    @property
    def sample(self) -> str:
        return self._key("sample")

    @property
    def routes(self) -> str:
        return self._key("routes")

    @property
    def log(self) -> str:
        return self._key("log")

    @property
    def undo(self) -> str:
        return self._key("undo")

    @property
    def forgotten(self) -> str:
        return self._key("forgotten")

    @property
    def tombs(self) -> str:
        return self._key("tombs")

    @property
    def open(self) -> str:
        return self._key("open")

    @property
    def dead(self) -> str:
        return self._key("dead")

    @property
    def lease(self) -> str:
        return self._key("lease")

    @property
    def fence(self) -> str:
        return self._key("fence")

    def receipt(self, idempotency_key: str) -> str:
        return self._key(f"receipt:{idempotency_key}")

    @property
    def code(self) -> str:
        return self._key("code")

    @property
    def code_files(self) -> str:
        return self._key("codefiles")

    @property
    def code_state(self) -> str:
        return self._key("codestate")

    @property
    def code_asked(self) -> str:
        return self._key("codeasked")

    @property
    def code_judged(self) -> str:
        return self._key("codejudged")


@dataclass(frozen=True, slots=True)
class SwarmKeys:
    """The keys that the members of one swarm share."""

    swarm: str

    def __post_init__(self) -> None:
        check_name(self.swarm, "swarm")

    def _key(self, kind: str) -> str:
        return f"{{{self.swarm}}}:{kind}"

    @property
    def meta(self) -> str:
        return self._key("meta")

    @property
    def pins(self) -> str:
        return self._key("pins")

    @property
    def tombstones(self) -> str:
        return self._key("tombstones")

    @property
    def agents(self) -> str:
        return self._key("agents")

    @property
    def bank(self) -> str:
        return self._key("bank")

    @property
    def banklog(self) -> str:
        return self._key("banklog")

    @property
    def merged(self) -> str:
        return self._key("merged")

    @property
    def lease(self) -> str:
        return self._key("lease")

    @property
    def fence(self) -> str:
        return self._key("fence")

    @property
    def workers(self) -> str:
        return self._key("workers")

    @property
    def pools(self) -> str:
        return self._key("pools")

    @property
    def supervisors(self) -> str:
        return self._key("supervisors")

    @property
    def reliability(self) -> str:
        return self._key("reliability")

    def execution(self, execution: str) -> str:
        return self._key(f"execution:{execution}")

    @property
    def routing(self) -> str:
        return self._key("routing")

    @property
    def models(self) -> str:
        return self._key("models")

    def decision(self, decision_id: str) -> str:
        return self._key(f"decision:{decision_id}")

    @property
    def decided(self) -> str:
        return self._key("decided")

    @property
    def counters(self) -> str:
        return self._key("counters")

    @property
    def decisions(self) -> str:
        return self._key("decisions")

    def session(self, session: str) -> str:
        return self._key(f"session:{session}")

    @property
    def budgets(self) -> str:
        return self._key("budgets")

    @property
    def spend(self) -> str:
        return self._key("spend")

    def reserve(self, decision_id: str) -> str:
        return self._key(f"reserve:{decision_id}")

    def nudge(self, what: str) -> str:
        return self._key(f"nudge:{what}")

    @property
    def tasks(self) -> str:
        return self._key("tasks")

    @property
    def live_tasks(self) -> str:
        return self._key("livetasks")

    @property
    def task_records(self) -> str:
        return self._key("taskrecords")

    @property
    def running(self) -> str:
        return self._key("running")

    @property
    def later(self) -> str:
        return self._key("later")

    @property
    def deadlines(self) -> str:
        return self._key("deadlines")

    @property
    def claims(self) -> str:
        return self._key("claims")

    @property
    def dead_tasks(self) -> str:
        return self._key("deadtasks")

    def task(self, task_id: str) -> str:
        return self._key(f"task:{task_id}")

    def turns(self, role: str) -> str:
        return self._key(f"turns:{role}")

    def waiting(self, role: str) -> str:
        return self._key(f"waiting:{role}")

    def queued(self, role: str) -> str:
        return self._key(f"queued:{role}")

    def pace(self, role: str) -> str:
        return self._key(f"pace:{role}")

    def unreported(self, role: str) -> str:
        return self._key(f"unreported:{role}")

    def assigned(self, role: str) -> str:
        return self._key(f"assigned:{role}")

    def wakeup(self, role: str) -> str:
        """A channel, named as kombu's are, so that whoever may use those may use it."""
        return f"{self.broker_prefix}wakeup:{role}"

    def job(self, job: str) -> str:
        return self._key(f"job:{job}")

    @property
    def collections(self) -> str:
        return self._key("collections")

    def documents(self, collection: str) -> str:
        return self._key(f"documents:{collection}")

    def document(self, collection: str, document_id: str) -> str:
        return self._key(f"document:{collection}:{document_id}")

    def doclog(self, collection: str) -> str:
        return self._key(f"doclog:{collection}")

    @property
    def tokens(self) -> str:
        return self._key("tokens")

    @property
    def token_use(self) -> str:
        return self._key("tokenuse")

    def rate(self, whose: str) -> str:
        return self._key(f"rate:{whose}")

    def hook_session(self, name: str) -> str:
        return self._key(f"hooksession:{name}")

    @property
    def hook_sessions(self) -> str:
        return self._key("hooksessions")

    def agent(self, name: str) -> AgentKeys:
        return AgentKeys(self.swarm, name)

    def is_transient(self, key: bytes) -> bool:
        """Whether a key of the swarm is about processes that run now, and so no part of a backup."""
        name = key.partition(b"}:")[2]
        if name in (b"lease", b"workers", b"pools", b"supervisors"):
            return True
        return name.startswith((b"nudge:", b"celery:", b"rate:"))

    @property
    def patterns(self) -> tuple[str, str]:
        """Glob patterns that match every key of this swarm and of no other."""
        return f"{{{self.swarm}}}:*", f"{{{self.swarm}/*"

    @property
    def queue(self) -> str:
        """Celery queue of the background work of this swarm."""
        return f"{{{self.swarm}}}:queue"

    def role_queue(self, role: str) -> str:
        """Celery queue of the nudges for the workers of one role; "" is the background."""
        return f"{self.queue}:{role}" if role else self.queue

    @property
    def broker_queue(self) -> str:
        """Key of the list in which kombu keeps the queue."""
        return self.broker_prefix + self.queue

    @property
    def broker_prefix(self) -> str:
        """What kombu puts before every key of its own, so that they too begin with the swarm's name."""
        return self._key("celery:")
