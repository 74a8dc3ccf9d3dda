"""What can be taken out of texts: named rules, each a few small expressions, and a checksum where there is one.

A rule finds what is written like the thing it is named after. What is no pattern is not found: a name in the middle of
a sentence, a number that says nothing of itself. Where the two cannot be told apart, a rule takes rather too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from swarm.embed.checksums import iban_part, luhn_part, ssn_part

# Every repetition is bounded, and no two of them can share a character: a text of 64 KiB costs milliseconds, whatever
# it holds. Letters of Latin, Greek and Cyrillic.
_UPPER = "".join(re.escape(chr(code)) for code in range(0x41, 0x590) if chr(code).isupper())
_NAME = rf"[{_UPPER}](?:\.|[\w'’-]{{0,40}})"
_LINK = r"(?:(?:van|von|de|der|den|di|da|del|la|le|bin|ibn|al)[ \t]){0,2}"
_NAMES = rf"{_NAME}(?:[ \t]{_LINK}{_NAME}){{0,3}}"
_PARTY = rf"{_NAME}(?:(?:,?[ \t]|-)(?:(?:&|and|of|the)[ \t]){{0,2}}{_LINK}{_NAME}){{0,5}}"
_LABEL = r"(?i:[ \t]?(?:numbers?|no|nr|id|#)\b\.?)?[ \t]{0,3}(?i:is\b|:|=|#)?[ \t]{0,3}"
_CODE = r"(?P<it>(?=[\w./:-]{0,30}\d)[A-Za-z0-9][\w./:-]{2,29}(?<![.:]))"
"""A number as offices give them: letters, figures and signs between, a figure at least."""
_MONTH = (
    r"(?i:jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?"
    r"|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)\.?"
)
_DAY, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:19|20)\d\d"

_DATE_SHAPE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d+\.\d+")
_AMERICAN = re.compile(r"(?:1?[ .-]?\(?[2-9]\d\d\)?[ .-]{0,2}\d{3}[ .-]?\d{4}|[2-9]\d\d-\d{4})(?!\d)")
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    Parameters
    ----------
    finds : what, for people
    patterns : expressions with a group `it`, which is what they find
    part : how many characters of such a group, from its beginning, are the thing; 0 if none
    """

    name: str
    finds: str
    patterns: tuple[re.Pattern[str], ...]
    part: Callable[[str], int] = len

    @property
    def mark(self) -> str:
        """What stands in its place."""
        return f"[{self.name}]"

    def taken_out(self, text: str) -> str:
        """`text` with the mark in place of what the rule finds.

        >>> RULES["email"].taken_out("write to ada@example.org, please")
        'write to [email], please'
        """
        for pattern in self.patterns:
            kept, at = [], 0
            for start, end in self._spans(pattern, text):
                kept += [text[at:start], self.mark]
                at = end
            text = "".join((*kept, text[at:]))
        return text

    def _spans(self, pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
        at = 0
        while match := pattern.search(text, at):
            start = match.start("it")
            length = self.part(match["it"])
            if length:
                yield start, start + length
            at = start + length if length else match.start() + 1


def phone_part(found: str) -> int:
    """How much of figures with signs between is a telephone number.

    With a country's code, a leading zero or bracket, or in the American form; a date or a decimal fraction is none.

    >>> phone_part("555-123-4567 2024"), phone_part("2024-05-01")
    (12, 0)
    """
    if found[0] not in "+(0":
        american = _AMERICAN.match(found)
        return american.end() if american else 0
    ends = [end for end in range(len(found), 6, -1) if end == len(found) or not found[end].isdigit()]
    return next((end for end in ends if _is_phone(found[:end].rstrip(" .-/()"))), 0)


def _is_phone(text: str) -> bool:
    return 7 <= sum(sign.isdigit() for sign in text) <= _MAX_DIGITS and not _DATE_SHAPE.fullmatch(text)


def _rule(name: str, finds: str, *patterns: str, part: Callable[[str], int] = len) -> Rule:
    return Rule(name=name, finds=finds, patterns=tuple(map(re.compile, patterns)), part=part)


def _after(words: str, value: str) -> str:
    return rf"(?i:\b(?:{words})\b\.?){_LABEL}{value}"


_ALL = (
    _rule("email", "addresses of electronic mail", r"(?P<it>[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"),
    _rule(
        "iban",
        "international bank account numbers, by their checksum",
        r"(?<![A-Za-z0-9])(?P<it>[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]){11,30})",
        part=iban_part,
    ),
    _rule(
        "card",
        "card numbers, by their checksum (Luhn)",
        r"(?<!\d)(?P<it>[2-6]\d(?:[ .-]?\d){11,17})(?!\d)",
        part=luhn_part,
    ),
    _rule(
        "ssn",
        "US social security numbers",
        r"(?<![\d-])(?P<it>\d{3}[ -]\d\d[ -]\d{4})(?![\d-])",
        _after("ssn|social security", r"(?P<it>\d{9})(?!\d)"),
        part=ssn_part,
    ),
    _rule(
        "record",
        "numbers of records, behind MRN, medical record, patient, chart or file",
        _after("mrn|medical records?|patient(?= ?(?:id|no|number|#))|chart|health record|krankenakte", _CODE),
    ),
    _rule(
        "insurance",
        "numbers of insurances, behind insurance, policy, member, Medicare and the like",
        _after(
            r"(?:health )?insurance(?: policy)?|policy|member|subscriber|group|medicare|medicaid|nhs|health card"
            r"|versicherten|versicherung",
            _CODE,
        ),
    ),
    _rule(
        "account",
        "numbers behind account, sort code, routing, customer or tax",
        _after(r"(?:account|acct|sort code)", r"(?P<it>\d\d(?:[ -]?\d){4,24})"),
        _after(
            r"(?:bank |checking |savings )?(?:account|acct)|a/c|konto|sort code|routing|customer|client"
            r"|tax|tin|ein|vat",
            _CODE,
        ),
    ),
    _rule(
        "case",
        "numbers of cases, behind case, docket, file or matter, and those of US courts",
        _after("case|docket|cause|court file|matter|aktenzeichen", _CODE),
        r"(?<!\w)(?P<it>\d:\d\d-[A-Za-z]{2}-\d{3,6})(?!\d)",
    ),
    _rule(
        "date",
        "dates with day, month and year",
        rf"(?<!\d)(?P<it>{_YEAR}[./-](?:0?[1-9]|1[0-2])[./-]{_DAY})(?!\d)",
        rf"(?<![\d.])(?P<it>{_DAY}[./-]{_DAY}[./-](?:{_YEAR}|\d\d))(?!\d)",
        rf"(?<!\w)(?P<it>{_DAY}(?:st|nd|rd|th|\.)?(?: of)? {_MONTH},? {_YEAR})(?!\d)",
        rf"(?<!\w)(?P<it>{_MONTH} {_DAY}(?:st|nd|rd|th)?,? {_YEAR})(?!\d)",
    ),
    _rule(
        "phone",
        "telephone numbers",
        r"(?<![\w+])(?P<it>(?:\+|\(\+?(?=\d{1,5}\)))?\d(?:[ ./()-]{0,3}\d){6,17})(?!\w)",
        part=phone_part,
    ),
    _rule(
        "address",
        "streets with a number",
        rf"(?<!\w)(?P<it>\d{{1,5}}[A-Za-z]?(?: {_NAME}){{1,3}} "
        r"(?i:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|square|sq|way)\b\.?)",
        rf"(?<!\w)(?P<it>[{_UPPER}][\w-]{{0,30}} ?"
        r"(?i:straße|strasse|str\.|weg|platz|allee|gasse) \d{1,4}[a-z]?)(?!\w)",
    ),
    _rule(
        "parties",
        "A v. B, and names behind plaintiff, defendant, witness and the like",
        rf"(?<!\w)(?P<it>{_PARTY} (?i:vs?|versus)\b\.? {_PARTY})",
        r"(?i:\b(?:plaintiff|defendant|claimant|petitioner|respondent|appellant|appellee|accused|witness|decedent"
        rf"|testator|kläger|beklagte)s?(?:in|r)?\b)[ \t]{{0,2}}[:,]?[ \t]{{0,2}}(?P<it>{_PARTY})",
    ),
    _rule(
        "patient",
        "capitalised names behind patient",
        r"(?i:\bpatient(?:in)?(?:['’]s)?(?: name)?(?: is| was| named| called)?)"
        rf"[ \t]{{0,2}}[:,]?[ \t]{{1,2}}(?P<it>{_NAMES})",
    ),
    _rule(
        "person",
        "capitalised names behind Mr, Mrs, Ms, Dr, name: and the like",
        rf"(?i:\b(?:mr|mrs|ms|miss|mx|dr|prof|herrn?|frau)\b\.?)[ \t]{{1,2}}(?P<it>{_NAMES})",
        rf"(?i:\b(?:sur|first |last |full |maiden )?name(?: is|:|=))[ \t]{{0,2}}(?P<it>{_NAMES})",
    ),
)
RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""The rules by name, in the order in which they are applied: first what a later one would take for something else."""
