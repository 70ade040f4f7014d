"""What the registries of a run were asked and what they sent, all of it together."""

from __future__ import annotations

import threading


class Traffic:
    """The traffic of one client. Thread-safe.

    :ivar requests: HTTP requests: retries, redirects and token requests included.
    :ivar fetched_bytes: bytes in the bodies of replies; headers do not count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.fetched_bytes = 0

    def count(self) -> None:
        """Count a request."""
        with self._lock:
            self.requests += 1

    def fetched(self, size: int) -> None:
        """Count bytes of a body."""
        with self._lock:
            self.fetched_bytes += size
