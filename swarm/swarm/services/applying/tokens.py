"""Texts as tokens, each of a kind: what names something (a path, a number, a name), a plain word, or a sign."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a token is. Those before `WORD` name something: what they are can be told from how they are written."""

    QUOTED = "quoted"
    URL = "url"
    EMAIL = "email"
    PATH = "path"
    NUMBER = "number"
    IDENTIFIER = "identifier"
    NAME = "name"
    WORD = "word"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is what stands at start:end; of what is quoted without the quotes."""

    start: int
    end: int
    text: str
    kind: Kind

    @property
    def names_something(self) -> bool:
        """Whether it says by itself that it stands for something. One sign alone, such as 1, stands anywhere."""
        return self.kind not in (Kind.WORD, Kind.SIGN) and len(self.text) > 1

    @property
    def is_content(self) -> bool:
        """Whether another task could have something else here: not a sign, and no word such as `the`."""
        return self.kind is not Kind.SIGN and self.text.casefold() not in _FUNCTION_WORDS

    def is_same(self, other: Token) -> bool:
        return self.text.casefold() == other.text.casefold()

    def may_stand_for(self, other: Token) -> bool:
        """Whether one can be put where the other is. At the head of a sentence a name is written as any word is."""
        if self.kind is other.kind:
            return self.kind is not Kind.SIGN
        pair = {self.kind, other.kind}
        is_as_a_name = pair == {Kind.NAME, Kind.WORD} and self.text[:1].isupper() and other.text[:1].isupper()
        return pair <= _LABELS or is_as_a_name


_LABELS = frozenset({Kind.QUOTED, Kind.PATH, Kind.IDENTIFIER})
"""Kinds that differ in how somebody writes: `users`, "users" and users_2024 are all what something is called."""
_FUNCTION_WORDS = frozenset(
    {
        *("a", "an", "the", "this", "that", "all", "any", "each", "every", "it", "its", "their", "i", "me", "my"),
        *("we", "our", "you", "your", "and", "or", "not", "if", "then", "when", "where", "which", "has", "have", "be"),
        *("is", "are", "was", "as", "at", "by", "for", "from", "in", "into", "of", "on", "to", "with", "but"),
    }
)
_TOKEN = re.compile(
    r"""(?<!\w)(?P<mark>["'`])(?P<quoted>(?:(?!(?P=mark)).)+)(?P=mark)(?!\w) | “(?P<curly>[^”\n]+)”
      | (?P<url>https?://[^\s"'<>)]*[\w/])
      | (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
      | (?P<path>(?:~|\.{1,2})?(?:/[\w.@+-]*\w)+/? | \w[\w.@+-]*(?:/[\w.@+-]*\w)+/?
        | \w[\w-]*\.[^\W\d_]\w{0,4}(?![\w.]))
      | (?P<number>\d(?:[\w.:,/-]*\w)?%?)
      | (?P<word>[^\W\d]\w*(?:[.-]\w+)*(?:'[^\W\d_]+)?)
      | (?P<sign>\S)""",
    re.VERBOSE,
)
_SENTENCE_ENDS = frozenset(".!?:")


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text, in order.

    >>> [(token.text, token.kind.value) for token in tokens_of("Move 'old data' to /srv/a.csv")]
    [('Move', 'word'), ('old data', 'quoted'), ('to', 'word'), ('/srv/a.csv', 'path')]
    """
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        group = str(match.lastgroup)
        if group in ("mark", "quoted", "curly"):
            group = "curly" if match["curly"] is not None else "quoted"
            kind = Kind.QUOTED
        elif group == "word":
            kind = _kind_of(match["word"], is_first=not found or found[-1].text in _SENTENCE_ENDS)
        else:
            kind = Kind(group)
        found.append(Token(match.start(group), match.end(group), match[group], kind))
    return found


def _kind_of(word: str, *, is_first: bool) -> Kind:
    is_written_as_code = "_" in word or "." in word or any(sign.isdigit() for sign in word)
    if is_written_as_code or (any(sign.isupper() for sign in word[1:]) and not word.isupper()):
        return Kind.IDENTIFIER
    if word[0].isupper() and (not is_first or (word.isupper() and len(word) > 1)):
        return Kind.NAME
    return Kind.WORD
