"""What all of it says of a task: a quality in [0, 1], or nothing where nothing speaks for one.

    checks were run                 0.1 + 0.85 x the share of them whose last run passed
    none, but commands and edits    0.5 + 0.2 x the share of them that went well; 0.3 if the last of them failed
    the user interrupted it         0.2 at most
    nothing of all this             no outcome

A check that failed and was then made to pass has passed: its last run counts, for each check on its own. Commands and
edits say little, and so they move the quality little.

**The user's word.** The next prompt may judge the work before it. Only what begins with words that leave no doubt
counts, in English: a correction ("no, ...", "that's wrong", "it still fails", "revert that") is an outcome of 0.1, a
confirmation ("it works", "perfect") one of 0.9. It is an outcome of its own beside that of the work, for the same task
and answer: a second judgement, which takes nothing back. Thanks alone are politeness, and no evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from swarm_gateway.hooks.rewards import Reading

INTERRUPTED = 0.2
LAST_FAILED = 0.3
CORRECTED = 0.1
CONFIRMED = 0.9
MAX_CHECKS = 32
"""Checks of one task that are told apart; of further ones nothing is kept."""
_CORRECTION = re.compile(
    r"(?:no|nope|nah)(?:[,.!:;]|\s*[-–—]\s|$)"
    r"|(?:no,? )?(?:that|this|it)(?:'s| is| was)? (?:not (?:right|correct|what i)|wrong|incorrect|broken)"
    r"|(?:that|this|it) (?:still )?(?:fails|does ?n[o']?t work|did ?n[o']?t work|broke|is failing)"
    r"|still (?:fails|failing|broken|wrong|not working|does ?n[o']?t)"
    r"|you (?:broke|misunderstood)"
    r"|(?:please )?(?:revert|undo) (?:that|this|it|your)\b"
    r"|wrong\b",
    re.IGNORECASE,
)
_CONFIRMATION = re.compile(
    r"(?:(?:yes|great|perfect|excellent|awesome|nice|ok|okay|thanks|thank you)[,.!: ]+)?"
    r"(?:(?:(?:that|this|it) )?works(?: (?:now|great|perfectly|well|fine))?|(?:all )?tests pass now"
    r"|perfect|excellent|lgtm|looks good)\s*(?:[,.!]|$)",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:but|however|except|although|still|only|if|when)\b", re.IGNORECASE)
_CONTINUATION = re.compile(
    r"(?:yes|yep|y|ok|okay|sure|please|go ahead|go on|continue|proceed|do it|next|thanks|thank you|great|[,.! ])+",
    re.IGNORECASE,
)


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What was seen of one task so far."""

    checks: dict[str, bool] = field(default_factory=dict)
    """Each check by name -> whether its last run passed."""
    well: int = 0
    """Commands and edits that went well ..."""
    badly: int = 0
    """... and those that did not."""
    last_failed: bool = False
    is_interrupted: bool = False

    def add(self, reading: Reading) -> None:
        """Take in what a result says."""
        # Who goes on after an interruption has not been stopped.
        self.is_interrupted = reading.is_interrupt
        if reading.speaks is None:
            return
        if reading.check:
            if reading.check in self.checks or len(self.checks) < MAX_CHECKS:
                self.checks[reading.check] = reading.speaks
            return
        self.well += reading.speaks
        self.badly += not reading.speaks
        self.last_failed = not reading.speaks

    def quality(self) -> float | None:
        """How good the work was, as far as can be told; None if nothing speaks.

        >>> Evidence(checks={"pytest": True}).quality(), Evidence(well=3).quality(), Evidence().quality()
        (0.95, 0.7, None)
        """
        quality = self._without_interruption()
        if not self.is_interrupted:
            return quality
        return INTERRUPTED if quality is None else min(INTERRUPTED, quality)

    def _without_interruption(self) -> float | None:
        if self.checks:
            return round(0.1 + 0.85 * sum(self.checks.values()) / len(self.checks), 4)
        if not self.well + self.badly:
            return None
        return LAST_FAILED if self.last_failed else round(0.5 + 0.2 * self.well / (self.well + self.badly), 4)


def word_of(prompt: str) -> float | None:
    """What a prompt says of the work before it; None if it does not say it without doubt.

    >>> word_of("No, that's wrong: use UTC"), word_of("it works, thanks!"), word_of("no need to hurry; add a test")
    (0.1, 0.9, None)
    >>> word_of("that works, but only on Linux"), word_of("thanks! now add a test")
    (None, None)
    """
    start = prompt.strip()[:200].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if _CORRECTION.match(start):
        return CORRECTED
    return CONFIRMED if _CONFIRMATION.match(start) and not _BUT.search(start) else None


def after_confirmation(prompt: str) -> str:
    """What a prompt asks for after it has confirmed the work before it.

    >>> after_confirmation("Perfect, now add a test"), after_confirmation("it works!")
    ('now add a test', '')
    """
    found = _CONFIRMATION.match(prompt)
    return prompt[found.end() :].strip() if found else prompt


def is_continuation(prompt: str) -> bool:
    """Whether a prompt names no task, and so goes on with the one before.

    >>> is_continuation("ok, go ahead"), is_continuation("continue with the parser")
    (True, False)
    """
    return len(prompt) <= 60 and bool(_CONTINUATION.fullmatch(prompt.strip()))
