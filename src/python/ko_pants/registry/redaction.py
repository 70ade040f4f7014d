"""Keeps secrets out of messages and logs."""

from __future__ import annotations

import base64
import logging
import re
import threading
import urllib.parse
from typing import Iterable

_URL_SECRETS = re.compile(r"(?P<scheme>https?://)(?:[^\s/@\"'?]*@)?(?P<rest>[^\s\"'?]*)\?[^\s\"']*")
_URL_USER = re.compile(r"(?P<scheme>https?://)[^\s/@\"'?]*@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_URLLIB3_LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")


class Redactor:
    """Replaces known secrets, and whatever looks like one, by `***`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()

    def add(self, secrets: Iterable[str]) -> None:
        """Remember secrets, also as they look in URLs and in Basic credentials."""
        forms = set()
        for secret in secrets:
            if len(secret) >= 4:
                quoted = urllib.parse.quote(secret, safe="")
                encoded = base64.b64encode(secret.encode()).decode()
                forms |= {secret, quoted, urllib.parse.quote_plus(secret), encoded}
        with self._lock:
            self._secrets |= forms

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        text = _URL_SECRETS.sub(r"\g<scheme>\g<rest>?***", text)
        text = _URL_USER.sub(r"\g<scheme>***@", text)
        return _AUTHORIZATION.sub(r"\1\2***", text)


class _LogFilter(logging.Filter):
    """Removes the queries of URLs from log records, and drops records with a traceback.

    urllib3 warns with one of headers that it cannot parse. What is wrong with a reply is told in
    the error of the request, if it matters.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            return False
        args = record.args if isinstance(record.args, tuple) else ()
        record.args = tuple(
            a.partition("?")[0] + "?***" if isinstance(a, str) and "?" in a else a for a in args
        )
        return True


def redact_urllib3_logs() -> None:
    """Remove queries from urllib3's debug log: those of redirects are signatures, so secret."""
    for name in _URLLIB3_LOGGERS:
        target = logging.getLogger(name)
        if not any(isinstance(f, _LogFilter) for f in target.filters):
            target.addFilter(_LogFilter())
