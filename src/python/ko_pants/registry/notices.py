"""What the user is told of a registry, once a run: its `Warning` headers, and risks."""

from __future__ import annotations

import logging
import re
import threading
from typing import Callable

from ko_pants.registry.endpoints import Origin, is_loopback
from ko_pants.registry.errors import printable

logger = logging.getLogger(__name__)

_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
_MAX_WARNINGS_OF_A_REPLY = 8
_MAX_NOTICES = 1000
_MAX_WARNING_CHARACTERS = 300


class Notices:
    """Logs each notice once. Thread-safe.

    :param redact: takes secrets out of a text.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._lock = threading.Lock()
        self._said: set[tuple[str, str]] = set()

    def warn_of_header(self, registry: str, header: str) -> None:
        """Show the warnings of a `Warning` header (OCI distribution-spec, warnings)."""
        for text in _WARNING.findall(header)[:_MAX_WARNINGS_OF_A_REPLY]:
            unquoted = re.sub(r"\\(.)", r"\1", text)
            self._once(registry, "it warns: " + printable(unquoted, _MAX_WARNING_CHARACTERS))

    def warn_of_credentials(self, registry: str, origin: Origin) -> None:
        """Warn if credentials for `origin` are not encrypted and leave this machine."""
        if origin.scheme == "http" and not is_loopback(origin.host):
            self._once(
                registry, "credentials go to it unencrypted (plain HTTP), as the options allow"
            )

    def _once(self, registry: str, text: str) -> None:
        with self._lock:
            new = (registry, text) not in self._said and len(self._said) < _MAX_NOTICES
            self._said.add((registry, text))
        if new:
            logger.warning("%s: %s", registry, self._redact(text))
