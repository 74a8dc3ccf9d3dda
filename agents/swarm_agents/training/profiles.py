"""How long to train, by how much there is to learn from: small files many times in small steps, large ones once."""

from __future__ import annotations

from dataclasses import dataclass

from swarm.errors import InputError, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """For files of fewer than `below` lines: passes of the base tier over the outcomes of a round (`base_epochs`), and
    outcomes of a minibatch (`base_batch`). `round_size` outcomes are learned and committed together: what a round finds
    out is what the next one trains the adapter against, so a small file needs several."""

    name: str
    below: float
    batch_size: int
    epochs: int
    round_size: int


PROFILES = (
    Profile(name="tiny", below=1_000, batch_size=8, epochs=10, round_size=200),
    Profile(name="small", below=10_000, batch_size=16, epochs=5, round_size=500),
    Profile(name="medium", below=50_000, batch_size=32, epochs=3, round_size=2_000),
    Profile(name="large", below=100_000, batch_size=64, epochs=2, round_size=2_000),
    Profile(name="massive", below=float("inf"), batch_size=128, epochs=1, round_size=2_000),
)


def profile_for(lines: int) -> Profile:
    """The profile of a file of so many lines.

    >>> profile_for(999).name, profile_for(1_000).name, profile_for(10**9).name
    ('tiny', 'small', 'massive')
    """
    return next(profile for profile in PROFILES if lines < profile.below)


def profile_named(name: str) -> Profile:
    """The profile of that name."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    names = ", ".join(profile.name for profile in PROFILES)
    raise InputError(f"profile must be auto, {names}, got {shown(name, 40)}")
