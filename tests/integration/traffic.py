"""The requests that a registry got during a part of a test, from its log."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

from real_registry import RealRegistry


class Traffic:
    """The requests since this object was made."""

    def __init__(self, registry: RealRegistry) -> None:
        self._registry = registry
        self._seen = len(_settled(registry))

    def of(self, repository: str, expected: int = 0) -> list[str]:
        """Requests about a repository, as `METHOD kind status`; `kind` is `manifests` or `blobs`.

        The log is written after the answer: `expected` are waited for, a minute at most.
        """
        prefix = f"/v2/{repository}/"
        return [
            f"{method} {path[len(prefix) :].split('?')[0].split('/')[0]} {status}"
            for method, path, status in self._since(prefix, expected)
        ]

    def paths(self, prefix: str, method: str = "") -> list[str]:
        """The requested paths below `prefix`."""
        return [p for m, p, _ in self._since(prefix, 0) if method in ("", m)]

    def _since(self, prefix: str, expected: int) -> list[tuple[str, str, int]]:
        deadline = time.monotonic() + 60
        while True:
            found = [r for r in _settled(self._registry)[self._seen :] if r[1].startswith(prefix)]
            if len(found) >= expected or time.monotonic() > deadline:
                return found
            time.sleep(0.01)


def _settled(registry: RealRegistry) -> list[tuple[str, str, int]]:
    """The requests in the log, which is in order: waits until one more request is in it."""
    marker = f"/v2/settled/{time.monotonic_ns()}/tags/list"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://{registry.host}{marker}", timeout=10).close()
    except urllib.error.HTTPError as e:
        e.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        requests = registry.requests()
        if any(path == marker for _, path, _ in requests):
            break
        time.sleep(0.005)
    return [r for r in requests if not r[1].startswith("/v2/settled/")]
