"""Connections to registries: pooled per origin, capped, paced, directly or through a proxy.

The adapters of `requests` open the connections. Its sessions and responses are not used: they read
the environment, split the URL five times and keep cookies for every request, which is two thirds of
the CPU time of a small HEAD.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any, Mapping

import requests
import requests.adapters
import requests.utils
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ko_pants.registry import socket_options, tls
from ko_pants.registry.clock import Clock
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.kept_connections import OriginConnections, Route
from ko_pants.registry.proxies import ProxyRules
from ko_pants.registry.redaction import Redactor, redact_urllib3_logs
from ko_pants.registry.request import StreamBody
from ko_pants.registry.retry import Pace

# A failed request is repeated by a step of its own, not by urllib3.
_NO_RETRIES = urllib3.Retry(0, read=False)


# A server may send replies `100 Continue` before its own. http.client reads them without end.
_MAX_STATUS_LINES = 10


class _BoundedResponse(http.client.HTTPResponse):
    """A reply with a bound on the interim replies before it."""

    _status_lines = 0

    def _read_status(self) -> tuple[str, int, str]:
        self._status_lines += 1
        if self._status_lines > _MAX_STATUS_LINES:
            raise http.client.BadStatusLine("nothing but interim replies")
        return super()._read_status()  # type: ignore[misc, no-any-return]


class _QuietHTTPConnection(HTTPConnection):
    response_class = _BoundedResponse
    # Pants at `-ltrace` sets this attribute of http.client's class to 1. A connection would then
    # print every header, credentials included.
    debuglevel = 0


class _QuietHTTPSConnection(HTTPSConnection):
    response_class = _BoundedResponse
    debuglevel = 0


# A method of these can be sent again without any effect (RFC 9110, 9.2.1).
_SAFE_METHODS = ("GET", "HEAD")

if TYPE_CHECKING:
    _PoolBase = HTTPConnectionPool
else:
    _PoolBase = object


class _KeptPool(_PoolBase):
    """What is different for connections of earlier runs. urllib3 has looked if one is closed."""

    clock = Clock()
    #: See `OriginConnections.run`.
    run: object = None

    #: Connections with a request on its way.
    busy: dict[int, Any]

    def _make_request(self, conn: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        self.busy[id(conn)] = conn
        try:
            return self._make_any_request(conn, method, *args, **kwargs)
        finally:
            del self.busy[id(conn)]

    def interrupt(self) -> None:
        """Have whoever waits for a server wait no longer. The request fails."""
        for conn in tuple(self.busy.values()):
            if isinstance(conn.sock, socket.socket):
                with contextlib.suppress(OSError):
                    # Not the method of a TLS socket, which forgets its state under a reader.
                    socket.socket.shutdown(conn.sock, socket.SHUT_RDWR)

    def _make_any_request(self, conn: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        if conn.sock is None or getattr(conn, "run", None) is self.run:
            response = super()._make_request(conn, method, *args, **kwargs)
        else:
            response = self._request_over_kept(conn, method, *args, **kwargs)
        conn.run = self.run
        conn.used_at = self.clock.monotonic()
        return response

    def _request_over_kept(self, conn: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        body = kwargs.get("body")
        # The socket of TLS may hold bytes that the system does not know of.
        unasked = getattr(conn.sock, "pending", int)()
        if unasked or not (body is None or isinstance(body, bytes)):
            # A stream is too much to be sent for nothing.
            self._open_again(conn)
            return super()._make_request(conn, method, *args, **kwargs)
        socket_options.distrust(conn.sock)
        try:
            response = super()._make_request(conn, method, *args, **kwargs)
        except urllib3.exceptions.ReadTimeoutError:
            # It is there, but slow.
            raise
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
            if method not in _SAFE_METHODS:
                raise
            self._open_again(conn)
            return super()._make_request(conn, method, *args, **kwargs)
        if conn.sock is not None:
            socket_options.trust(conn.sock)
        return response

    def _open_again(self, conn: Any) -> None:
        # A closed one opens itself, but not through a proxy.
        conn.close()
        if self.proxy is not None and self.scheme == "https":
            self._prepare_proxy(conn)

    def _prepare_proxy(self, conn: Any) -> None:
        super()._prepare_proxy(conn)
        conn.run = self.run


class _QuietHTTPPool(_KeptPool, HTTPConnectionPool):
    ConnectionCls = _QuietHTTPConnection


class _QuietHTTPSPool(_KeptPool, HTTPSConnectionPool):
    ConnectionCls = _QuietHTTPSConnection


_QUIET_POOLS = {"http": _QuietHTTPPool, "https": _QuietHTTPSPool}


class _HostAdapter(requests.adapters.HTTPAdapter):
    """An adapter of requests for one origin, with our TLS context."""

    def __init__(self, context: ssl.SSLContext | None, pool: int) -> None:
        self._ssl: dict[str, Any] = {}
        if context is not None:
            self._ssl["ssl_context"] = context
            if getattr(urllib3, "__version__", "").startswith("1."):
                # urllib3 1.x does not tell the context an IP address. With this check off, it
                # compares the certificate's names itself.
                context.check_hostname = False
        super().__init__(pool_connections=1, pool_maxsize=pool)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(self._ssl, socket_options=socket_options.OPTIONS)
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.poolmanager.pool_classes_by_scheme = _QUIET_POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(self._ssl, socket_options=socket_options.OPTIONS)
        manager = super().proxy_manager_for(*args, **kwargs)  # type: ignore[no-untyped-call]
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = _QUIET_POOLS
        return manager

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        # The context has the authorities. The overridden method would add those of requests.
        if self._ssl:
            conn.cert_reqs = "CERT_REQUIRED"


class OriginPool:
    """The connections to one origin. Thread-safe.

    :param proxy: the URL of the proxy to use; None connects directly.
    """

    def __init__(self, origin: Origin, config: RegistryConfig, proxy: str | None) -> None:
        self.origin = origin
        self.proxy = proxy
        self.pace = Pace(config.clock)
        # Two caps, because a download is held open while an upload to the same host waits for it.
        self.slots = threading.BoundedSemaphore(config.per_host_connections)
        self.stream_slots = threading.BoundedSemaphore(config.per_host_connections)
        self._config = config
        self._lock = threading.Lock()
        self._connections: OriginConnections | None = None

    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | StreamBody | None,
        timeout_seconds: float,
    ) -> Any:
        """Send a request; returns urllib3's response, of which only the head is read.

        :raises KoPantsError: a certificate file is unusable.
        :raises Exception: no head came: one of `TRANSPORT_ERRORS`, or what reading `body` raised.
        """
        connections = self.connections()
        pool = connections.pool
        if pool is None:
            with self._lock:
                pool = connections.pool or self._connect(connections)
        target = requests.utils.urldefragauth(url) if connections.whole_url else _target(url)
        reply = pool.urlopen(
            method,
            target,
            body=body,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=_NO_RETRIES,
            timeout=urllib3.Timeout(connect=self._config.connect_timeout, read=timeout_seconds),
        )
        self.note_use(connections)
        return reply

    def connections(self) -> OriginConnections:
        """The idle connections, those of earlier runs among them.

        :raises KoPantsError: a certificate file is unusable.
        """
        connections = self._connections
        if connections is None:
            with self._lock:
                connections = self._connections = self._connections or self._take()
        return connections

    def note_use(self, connections: OriginConnections) -> None:
        """A reply has come."""
        if self._config.kept is not None:
            self._config.kept.used(connections)

    def interrupt(self) -> None:
        """End the requests that are on their way."""
        pool = self._connections.pool if self._connections is not None else None
        if pool is not None:
            pool.interrupt()

    def close(self) -> None:
        """Close the idle connections, or leave them to the next run."""
        with self._lock:
            connections, self._connections = self._connections, None
        if connections is None:
            return
        if self._config.kept is None:
            connections.close()
        else:
            self._config.kept.give_back(connections)

    def _take(self) -> OriginConnections:
        context = None
        if self.origin.scheme == "https":
            config, netloc = self._config, self.origin.netloc
            client_cert = config.client_certs.get(netloc)
            context = tls.find_context(netloc, config.env, config.ca_certs_path, client_cert)
        route = Route(self.origin, self.proxy, context)
        kept = self._config.kept
        return OriginConnections(route) if kept is None else kept.take(route)

    def _connect(self, connections: OriginConnections) -> Any:
        """Do once what `HTTPAdapter.send` of requests does for every request before it sends it."""
        adapter: Any = _HostAdapter(connections.route.tls, 2 * self._config.per_host_connections)
        url = f"{self.origin}/"
        request = requests.Request("GET", url).prepare()
        proxies = {self.origin.scheme: self.proxy} if self.proxy else {}
        # requests before 2.32 has only the second method.
        if hasattr(adapter, "get_connection_with_tls_context"):
            pool = adapter.get_connection_with_tls_context(request, True, proxies)
        else:
            pool = adapter.get_connection(url, proxies)
        adapter.cert_verify(pool, url, True, None)
        connections.whole_url = adapter.request_url(request, proxies) != request.path_url
        connections.adapter = adapter
        pool.clock = self._config.clock
        pool.busy = {}
        pool.run = connections.run
        connections.pool = pool
        return pool


class Connections:
    """All connections of one run. Thread-safe."""

    def __init__(self, config: RegistryConfig, redactor: Redactor) -> None:
        self._config = config
        self._proxies = ProxyRules.from_env(config.env)
        #: True after `interrupt`: no request may begin.
        self.interrupted = False
        self._lock = threading.Lock()
        self._pools: dict[Origin, OriginPool] = {}
        redactor.add(_user_and_password(url) for url in self._proxies.proxies.values())
        redact_urllib3_logs()

    def pool(self, origin: Origin) -> OriginPool:
        """The connections to an origin."""
        pool = self._pools.get(origin)
        if pool is None:
            with self._lock:
                pool = self._pools.get(origin)
                if pool is None:
                    pool = OriginPool(origin, self._config, self.proxy_for(origin))
                    self._pools[origin] = pool
        return pool

    def pace(self, origin: Origin) -> Pace:
        """When an origin may be asked."""
        return self.pool(origin).pace

    def proxy_for(self, origin: Origin) -> str | None:
        """The URL of the proxy before an origin, if there is one."""
        return self._proxies.proxy_for(origin)

    def interrupt(self) -> None:
        """End the requests that are on their way, and let no other begin."""
        self.interrupted = True
        with self._lock:
            pools = tuple(self._pools.values())
        for pool in pools:
            pool.interrupt()

    def close(self) -> None:
        """Close every idle connection, or leave it to the next run."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()


def _target(url: str) -> str:
    """Path and query of an absolute URL."""
    rest = url.partition("#")[0]
    slash = rest.find("/", rest.index("://") + 3)
    if slash < 0:
        parts = urllib.parse.urlsplit(rest)
        return f"/?{parts.query}" if parts.query else "/"
    return rest[slash:]


def _user_and_password(url: str) -> str:
    return url.partition("://")[2].rpartition("@")[0]
