"""The password of `SWARM_REDIS_URL` is kept out of everything that is printed.

Addresses are shown by `local.address.shown_url`, which has no secret to begin with; this is the second line of
defence, for messages that other libraries word.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

HIDDEN = "***"


def redact(text: str, url: str | None = None) -> str:
    """`text` without the URL's password, as it stands in the URL and decoded; by default the environment's.

    >>> redact("cannot reach redis://:s3cret@host", "redis://:s3cret@host")
    'cannot reach redis://:***@host'
    """
    for secret in _secrets(url if url is not None else os.environ.get("SWARM_REDIS_URL", "")):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(url: str) -> list[str]:
    # No URL parser: a password with "/" or "#" in it is what makes a URL that parsers split wrongly.
    found = re.findall(r"://[^:@/]*:(.+)@", url) + re.findall(r"[?&]password=([^&]*)", url)
    both = {form for secret in found for form in (secret, unquote(secret)) if secret}
    return sorted(both, key=len, reverse=True)
