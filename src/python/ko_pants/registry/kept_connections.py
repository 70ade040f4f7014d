"""Connections that stay open from one run of a daemon to the next.

To open a connection costs a round trip, and TLS one or two more. A run that finds everything up to
date needs one round trip beyond that. So a client gives its connections back when it is closed, and
the client of the next run takes them.

They are bound to what they were opened with (`Route`), and carry no credentials of the requests
before. What is remembered of a registry are sockets alone; every answer still comes from it.

A connection may have ended without a sign: the other end closed it a moment ago, or a device in
between has forgotten it. What finds that out is where a connection is used: `connections.py` and
`pipelined_heads.py`. Both look at a connection before they use it, and repeat on a new one what can
be repeated.
"""

from __future__ import annotations

import math
import queue
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Protocol

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.registry.clock import Clock
from ko_pants.registry.endpoints import Origin

#: A connection that nobody has used for so long is closed. Load balancers and NAT forget silent
#: connections; the most impatient of the well-known ones does so after four minutes.
IDLE_SECONDS = 180.0
_LOOK_SECONDS = 30.0


class HeadLine(Protocol):
    """A connection for HEADs in a row (`pipelined_heads.HeadConnection`)."""

    @property
    def used_at(self) -> float:
        """When it was used last (`Clock.monotonic`)."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Route:
    """What a connection was opened with. One with another is never used in its place.

    :param proxy: the proxy's URL, with user and password if it has them.
    :param tls: for https. Contexts are one and the same as long as no certificate file has
        changed, be it of authorities or of a client (`tls.find_context`).
    """

    origin: Origin
    proxy: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)


class OriginConnections:
    """The idle connections of one route. Thread-safe."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.lock = threading.Lock()
        #: Those for HEADs in a row; the last one was used last.
        self.heads: list[HeadLine] = []
        #: urllib3's pool and the adapter that made it; None before the first request.
        self.pool: Any = None
        self.adapter: Any = None
        #: A proxy of plain HTTP is told the whole URL instead of the path.
        self.whole_url = False
        #: Changes with each run. A connection that this run has not used has the mark of another.
        self.run = object()
        #: True while a client has it.
        self.taken = True
        self.used_at = -math.inf

    def begin_run(self) -> None:
        """Let a client have it."""
        self.taken = True
        self.run = object()
        if self.pool is not None:
            self.pool.run = self.run

    def close_idle(self, before: float = math.inf) -> bool:
        """Close the idle connections that were used last at `before` or earlier.

        :returns: True if idle ones are left.
        """
        with self.lock:
            old = [line for line in self.heads if line.used_at <= before]
            self.heads = [line for line in self.heads if line.used_at > before]
            for line in old:
                line.close()
            return self._close_idle_of_pool(before) or bool(self.heads)

    def close(self) -> None:
        """Close all idle connections. Those that are in use are closed by who uses them."""
        self.close_idle()
        if self.adapter is not None:
            self.adapter.close()

    def _close_idle_of_pool(self, before: float) -> bool:
        # urllib3 has no way to close some of the connections of a pool.
        waiting = getattr(self.pool, "pool", None)
        if waiting is None:
            return False
        kept = []
        while True:
            try:
                connection = waiting.get_nowait()
            except queue.Empty:
                break
            if connection is None or connection.sock is None:
                continue
            if getattr(connection, "used_at", -math.inf) <= before:
                connection.close()
            else:
                kept.append(connection)
        for connection in reversed(kept):
            try:
                waiting.put_nowait(connection)
            except queue.Full:
                connection.close()
        return bool(kept)


def _in_a_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="ko_pants connections", daemon=True).start()


class KeptConnections:
    """The connections of a daemon. Thread-safe.

    A thread closes what is idle. It does not keep the process alive, looks twice a minute, and ends
    when there is nothing more to close.

    :param memory: where they are. An entry is used by one client at a time.
    :param start: has a function run in a thread.
    """

    def __init__(
        self,
        memory: BoundedMemory[Route, OriginConnections],
        clock: Clock | None = None,
        start: Callable[[Callable[[], None]], None] = _in_a_thread,
    ) -> None:
        self._memory = memory
        self._clock = clock or Clock()
        self._start = start
        self._lock = threading.Lock()
        self._watched = False

    def take(self, route: Route) -> OriginConnections:
        """The connections of a route for the client of a run, which has to give them back."""
        with self._lock:
            found = self._memory.get(route)
            if found is not None and not found.taken:
                found.begin_run()
                found.close_idle(self._clock.monotonic() - IDLE_SECONDS)
                return found
            made = OriginConnections(route)
            # Another client has `found`. It closes it, because it is not there any more.
            self._memory.pop(route)
            for oldest in self._memory.values():
                if len(self._memory) < self._memory.bound:
                    break
                if not oldest.taken:
                    self._memory.pop(oldest.route)
                    oldest.close()
            self._memory.put(route, made)
            return made

    def give_back(self, connections: OriginConnections) -> None:
        """The end of a run: keep its connections for the next."""
        with self._lock:
            connections.taken = False
            if self._memory.get(connections.route) is connections:
                return
        connections.close()

    def used(self, connections: OriginConnections) -> None:
        """Note that a request is sent, or a reply has come."""
        before, connections.used_at = connections.used_at, self._clock.monotonic()
        # No lock for each request. One that was used a second ago is watched.
        if connections.used_at - before < 1.0:
            return
        with self._lock:
            if self._watched:
                return
            self._watched = True
        self._start(self.watch)

    def watch(self) -> None:
        """Close connections when they have been idle too long; returns when there are none."""
        while True:
            self._clock.sleep(_LOOK_SECONDS)
            if not self._close_idle():
                return

    def _close_idle(self) -> bool:
        with self._lock:
            before = self._clock.monotonic() - IDLE_SECONDS
            known = self._memory.values()
            left = [connections.close_idle(before) for connections in known]
            self._watched = any(left) or any(c.used_at > before for c in known)
            return self._watched
