"""`Trainer`: an agent learns a file of examples, line by line once, whatever is killed when.

report = Trainer(Swarm(), "coder-1").train("examples.jsonl")
print(report.before, report.after)
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypedDict, Unpack

import orjson

from swarm.embed.task_type import TaskTypes
from swarm.errors import InputError, StaleWriterError, shown
from swarm.services.redacted import redaction_of
from swarm.services.swarm import Swarm
from swarm.services.training import FileTraining
from swarm.sona.vectors import check_count, check_number
from swarm.wire.keys import check_name
from swarm.wire.training_records import FileProgress
from swarm_agents.training.judge import Judge
from swarm_agents.training.profiles import Profile, profile_for, profile_named
from swarm_agents.training.reader import ROUND, Reader, Terms
from swarm_agents.training.rejects import Rejects
from swarm_agents.training.report import BatchReport, TrainReport
from swarm_agents.training.run import Run
from swarm_agents.training.source import Scan, scan
from swarm_agents.training.usable import judges_of
from swarm_agents.training.vectors import LocalEmbedding, PoolEmbedding, has_trainers

HOLD_OUT = 0.05
MAX_HOLD_OUT = 0.5
MAX_EPOCHS, MAX_BATCH = 100, 4096
_ATTEMPTS = 5
"""So often in a row the file may turn out to be somewhere else before the training gives up."""


class TrainOptions(TypedDict, total=False):
    """How a file is learned. What decides that stays what it was when the file was begun."""

    profile: str
    """tiny, small, medium, large or massive; by default "auto", by the number of lines."""
    epochs: int | None
    """Passes of the base tier over the outcomes of a round; by default the profile's."""
    batch_size: int | None
    """Outcomes of a minibatch of those passes; by default the profile's."""
    min_quality: float
    """Lines below are counted and not learned."""
    hold_out: float
    """The share of lines that judge and are not learned, a thousand at most."""
    dedup: bool
    """Whether a line that is equal to one before is learned once."""
    strict: bool
    """Whether a line that cannot be used ends the training."""
    spread: bool
    """Whether the workers of the role `trainer` embed texts; what is learned is the same."""
    round_size: int | None
    """Outcomes that are learned and committed together; by default the profile's."""
    role: str | None
    """What the agent does, if it is new."""
    rejected: str | Path | None
    """Where lines go that cannot be used; by default beside the file."""
    on_batch: Callable[[BatchReport], object] | None
    """Called after each round, when its lines are committed and searchable."""


class Trainer:
    """Trains one agent of a swarm on files; see `TrainOptions`."""

    def __init__(self, swarm: Swarm, agent: str, **options: Unpack[TrainOptions]) -> None:
        self._swarm = swarm
        self._agent = check_name(agent, "agent")
        unknown = sorted(options.keys() - TrainOptions.__annotations__.keys())
        if unknown:
            raise InputError(f"unknown options of a training: {', '.join(unknown)}")
        self._profile = options.get("profile", "auto")
        if self._profile != "auto":
            profile_named(self._profile)
        epochs, batch = options.get("epochs"), options.get("batch_size")
        self._epochs = None if epochs is None else check_count(epochs, "epochs", 1, MAX_EPOCHS)
        self._batch = None if batch is None else check_count(batch, "batch_size", 1, MAX_BATCH)
        self._min_quality = check_number(options.get("min_quality", 0.0), "min_quality", 0.0, 1.0)
        self._hold_out = check_number(options.get("hold_out", HOLD_OUT), "hold_out", 0.0, MAX_HOLD_OUT)
        size = options.get("round_size")
        self._size = None if size is None else check_count(size, "round_size", 1, ROUND)
        self._dedup, self._is_strict = options.get("dedup", False), options.get("strict", False)
        self._role, self._rejected = options.get("role"), options.get("rejected")
        self._on_batch = options.get("on_batch")
        self._is_spread = options.get("spread", False)
        self._work: FileTraining | None = None

    def train(self, data: str | Path) -> TrainReport:
        """Learn a file, or what is left of it; "-" is what comes in on stdin, once it has ended.

        Raises
        ------
        InputError
            If the file cannot be read, holds no line that can be used, or was begun with other options; with `strict`
            at a line that cannot be used.
        StaleWriterError
            If others hold the agent's lease for too long.
        """
        if str(data) == "-":
            return self._copied(sys.stdin.buffer, Path("stdin.rejected.jsonl"), "stdin")
        path = Path(data)
        return self._train(path, Path(self._rejected or f"{path}.rejected.jsonl"), str(path))

    def learned(self) -> int | None:
        """Lines of the file that are learned so far, also by earlier runs; None until it is known which file it is."""
        progress = None if self._work is None else self._work.progress()
        return None if progress is None else progress.trained

    def train_examples(self, examples: Iterable[Mapping[str, Any]]) -> TrainReport:
        """Learn examples that are in memory, each like a line of a file; the same ones again have no further effect."""
        with tempfile.TemporaryFile() as lines:
            for number, example in enumerate(examples, 1):
                try:
                    lines.write(orjson.dumps(example, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
                except orjson.JSONEncodeError as error:
                    raise InputError(f"example {number} must be what JSON can hold: {shown(str(error))}") from None
            lines.seek(0)
            return self._copied(lines, None, "examples")

    def _copied(self, lines: IO[bytes], rejected: Path | None, shown: str) -> TrainReport:
        """Train on a copy: what flows by can be read only once, and is read twice."""
        with tempfile.TemporaryDirectory(prefix="swarm-train-") as folder:
            path = Path(folder) / "data.jsonl"
            with path.open("wb") as copy:
                shutil.copyfileobj(lines, copy, 2**20)
            return self._train(path, Path(self._rejected or rejected or f"{path}.rejected.jsonl"), shown)

    def _train(self, path: Path, rejected: Path, shown: str) -> TrainReport:
        since = time.monotonic()
        found = scan(path, self._hold_out)
        swarm, agent = self._swarm, self._agent
        # First: nobody is registered for a file that teaches nothing.
        held_out = judges_of(path, found.held_out, swarm.embedder, shown)
        policy = swarm.register(agent, self._role).policy
        file = hashlib.sha256(f"{found.identity} {agent}".encode()).hexdigest()[:16]
        profile = self._chosen(found)
        work = FileTraining(
            swarm.settings, swarm.client, agent, file, profile.epochs, profile.batch_size, policy.redact
        )
        self._work = work
        types = TaskTypes(swarm.embedder)
        # Nobody is waited for who is not there.
        is_spread = self._is_spread and has_trainers(swarm)
        embedding = PoolEmbedding(swarm) if is_spread else LocalEmbedding(swarm)
        terms = Terms(
            held_out=held_out,
            min_quality=self._min_quality,
            dedup=self._dedup,
            is_strict=self._is_strict,
            size=profile.round_size,
        )
        reader = Reader(path, file, agent, types, embedding, terms, redaction_of(policy))
        first = self._begin(work, profile)
        run = Run(agent, file, found.lines, since, swarm.events, self._on_batch)
        progress = first
        if not first.is_done:
            judge = Judge(swarm, agent, reader.held_out(first.begun_s))
            if first.lines == 0 and not first.before:
                first = replace(first, before=judge.figures())
                work.note(first)
            progress = self._learn(work, reader, first, rejected, run)
            progress = replace(progress, after=judge.figures(), is_done=True)
            work.note(progress)
        generation = swarm.agents.state(agent).generation
        return run.report(profile, first, progress, generation, embedding.done_here, rejected)

    def _chosen(self, found: Scan) -> Profile:
        profile = profile_for(found.lines) if self._profile == "auto" else profile_named(self._profile)
        return replace(
            profile,
            epochs=self._epochs or profile.epochs,
            batch_size=self._batch or profile.batch_size,
            round_size=self._size or profile.round_size,
        )

    def _begin(self, work: FileTraining, profile: Profile) -> FileProgress:
        """Where the file stands; at its beginning if it is new."""
        options = {
            "epochs": float(profile.epochs),
            "batch_size": float(profile.batch_size),
            "min_quality": self._min_quality,
            "hold_out": self._hold_out,
            "dedup": float(self._dedup),
            "round_size": float(profile.round_size),
        }
        if (found := work.progress()) is None:
            found = FileProgress(begun_s=time.time(), options=options)
            work.note(found)
        if wrong := [name for name, value in options.items() if found.options.get(name) != value]:
            was, now = (
                ", ".join(f"{name} {values.get(name, 0.0):g}" for name in wrong) for values in (found.options, options)
            )
            raise InputError(
                f"this file {'was learned' if found.is_done else 'was begun'} with {was}, got {now}: another agent, or "
                f"this one after swarm forget --agent {self._agent}, can learn it anew"
            )
        return found

    def _learn(
        self, work: FileTraining, reader: Reader, progress: FileProgress, rejected: Path, run: Run
    ) -> FileProgress:
        attempts = 0
        while True:
            with Rejects(rejected, progress.rejected_bytes) as rejects:
                try:
                    for one in reader.rounds(progress):
                        rejects.add(one.rejects)
                        run.rejected(one.rejects)
                        done = work.learn(one.trajectories, progress, one.after(progress, rejects.size))
                        run.completed(progress, done)
                        progress, attempts = done.progress, 0
                    rejects.finish()
                    return progress
                except StaleWriterError:
                    # Another process reads the same file, or Redis has lost what it had acknowledged: it knows where
                    # the file is.
                    found, attempts = work.progress(), attempts + 1
                    if found is None or found == progress or attempts >= _ATTEMPTS:
                        raise
                    progress = found


def train(swarm: Swarm, agent: str, data: str | Path, **options: Unpack[TrainOptions]) -> TrainReport:
    """Let an agent learn a file; see `Trainer`."""
    return Trainer(swarm, agent, **options).train(data)


def train_examples(
    swarm: Swarm, agent: str, examples: Iterable[Mapping[str, Any]], **options: Unpack[TrainOptions]
) -> TrainReport:
    """Let an agent learn examples that are in memory; see `Trainer.train_examples`."""
    return Trainer(swarm, agent, **options).train_examples(examples)
