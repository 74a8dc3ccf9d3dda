"""Which benchmarks a run of the suite holds, with what arguments, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite import SUITE
from benchmarks.suite_entry import Entry
from benchmarks.suite_figures import Figure
from swarm.errors import InputError

OWN_TEXT = "documentation of the standard library"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for."""

    full: bool = False
    only: Sequence[str] = ()
    data: Path | None = None
    """Folder of folders with real data, for a full run."""
    peer: Path | None = None
    """Folder with the script of the published engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One process: a benchmark on one set of data."""

    entry: Entry
    arguments: Sequence[str]
    figures: Sequence[Figure]
    name: str
    """That of the entry, with the folder of the data where there may be several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Jobs in order, and what cannot be run, with the reason."""

    jobs: Sequence[Job]
    left_out: Mapping[str, str]


def plan(wanted: Wanted, small_data: Mapping[str, Path], suite: Sequence[Entry] = SUITE) -> Plan:
    """The jobs of a run.

    Parameters
    ----------
    small_data : folders by name, as `benchmarks.small_data` wrote them

    Raises
    ------
    InputError
        If a name, or a folder, is none.
    """
    _check(wanted, [entry.name for entry in suite])
    jobs: list[Job] = []
    left_out: dict[str, str] = {}
    for entry in suite:
        if entry.name in wanted.only or (not wanted.only and (wanted.full or entry.in_small)):
            found, missing = _full(entry, wanted) if wanted.full else (_small(entry, small_data), {})
            jobs += [_with_peer(job, wanted) for job in found]
            left_out |= missing
    if not wanted.only and not wanted.full:
        left_out |= {entry.name: f"longer: --full, or --only {entry.name}" for entry in suite if not entry.in_small}
    return Plan(jobs=jobs, left_out=left_out)


def _check(wanted: Wanted, names: Sequence[str]) -> None:
    if unknown := [name for name in wanted.only if name not in names]:
        raise InputError(f"--only must be some of {', '.join(names)}, got {unknown[0]!r:.80}")
    for option, folder in (("--data", wanted.data), ("--peer", wanted.peer)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{option} must be a folder, got {str(folder)!r:.200}")
    if wanted.data is not None and not wanted.full:
        raise InputError("--data goes with --full: a small run takes what every machine has")


def _small(entry: Entry, small_data: Mapping[str, Path]) -> list[Job]:
    arguments = [*entry.small]
    if entry.small_data is not None:
        arguments += ["--data", str(small_data[entry.small_data])]
    if entry.name == "harm":
        arguments += ["--foreign", str(small_data["other"])]
    return [Job(entry=entry, arguments=arguments, figures=entry.figures, name=entry.name)]


def _full(entry: Entry, wanted: Wanted) -> tuple[list[Job], dict[str, str]]:
    figures = entry.full_figures or entry.figures
    if not entry.full_data:
        return [Job(entry=entry, arguments=entry.full, figures=figures, name=entry.name)], {}
    jobs, missing = [], {}
    for name in entry.full_data:
        folder = None if wanted.data is None else wanted.data / name
        if folder is not None and folder.is_dir():
            arguments = [*entry.full, "--data", str(folder)]
            jobs.append(Job(entry=entry, arguments=arguments, figures=figures, name=f"{entry.name} {name}"))
        else:
            missing[f"{entry.name} {name}"] = "no --data" if folder is None else "not in --data"
    if entry.has_own_text and not jobs:
        jobs.append(Job(entry=entry, arguments=entry.full, figures=figures, name=entry.name))
        missing = {name: f"{reason}: {OWN_TEXT} instead" for name, reason in missing.items()}
    return jobs, missing


def _with_peer(job: Job, wanted: Wanted) -> Job:
    if wanted.peer is None or not job.entry.takes_peer:
        return job
    arguments = [*job.arguments, "--peer", str(wanted.peer)]
    return Job(entry=job.entry, arguments=arguments, figures=job.figures, name=job.name)
