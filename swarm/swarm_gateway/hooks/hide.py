"""Keys and passwords that stand in what a user or an agent said do not become everybody's experience."""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET = re.compile(
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}"
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|hf_|npm_|pypi-)[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+"
    r"|\bswarm_[0-9a-f]{16}_[A-Za-z0-9_-]{43}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_NAMED = re.compile(
    r"((?:password|passwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]{6,}",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(://[^\s:/@]+:)[^\s/@]+(?=@)")


def hide_secrets(text: str) -> str:
    """`text` with what looks like a secret replaced.

    >>> hide_secrets("use sk-abcdefghijklmnopqrstu, or postgres://me:hunter2@db/x with API_KEY=abcdef123")
    'use ***, or postgres://me:***@db/x with API_KEY=***'
    """
    text = _SECRET.sub(HIDDEN, text)
    for pattern in (_NAMED, _IN_URL):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text
