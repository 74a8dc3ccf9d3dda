"""Secrets are kept out of everything that is printed, logged or raised: the password of a URL, and tokens.

Addresses are shown without secrets to begin with. This is for what others word: a server that does not know AUTH or
HELLO answers with the arguments that it was sent, and libraries pass that on.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"
_ECHO = re.compile(r"(with args beginning with:).*", re.DOTALL)
_TOKEN = re.compile(r"swarm_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")


def redact(text: str, url: str | None = None) -> str:
    """`text` without the password of `url`, as it stands there and decoded, without tokens, without what was echoed.

    >>> redact("cannot reach redis://:s3cret@host", "redis://:s3cret@host")
    'cannot reach redis://:***@host'
    >>> redact("ERR unknown command 'AUTH', with args beginning with: 's3cret'")
    "ERR unknown command 'AUTH', with args beginning with: ***"
    """
    for secret in _secrets(url or ""):
        text = text.replace(secret, HIDDEN)
    return _TOKEN.sub(HIDDEN, _ECHO.sub(rf"\1 {HIDDEN}", text))


def _secrets(url: str) -> list[str]:
    # No URL parser: a password with "/" or "#" in it is what makes a URL that parsers split wrongly.
    found = re.findall(r"://[^:@/]*:(.+)@", url) + re.findall(r"[?&]password=([^&]*)", url)
    both = {form for secret in found for form in (secret, unquote(secret)) if secret}
    return sorted(both, key=len, reverse=True)
