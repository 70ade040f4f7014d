"""HTTP/1.1 over pooled connections: single exchanges, without authorization or retries.

The adapters of `requests` open the connections, directly or by a proxy; its sessions and responses
are not used: they read the environment, split the URL five times and keep cookies for every
request, which is two thirds of the CPU time of a small HEAD.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Sequence

import requests
import requests.adapters
import requests.utils
import urllib3
import urllib3.exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ko_pants.errors import KoPantsError
from ko_pants.registry import tls
from ko_pants.registry.endpoints import Origin, ProxyRules
from ko_pants.registry.head_requests import Head, HeadConnection, request_head
from ko_pants.registry.retry import Pace

if TYPE_CHECKING:
    from ko_pants.registry.config import RegistryConfig
    from ko_pants.registry.errors import Redactor

#: What is read or sent at once; a send of this much must end within the connect timeout.
CHUNK = 64 * 1024

#: What requests, urllib3 and http.client raise when a connection breaks.
TRANSPORT_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
)


# Origins that did not answer what was sent in a row; for the life of the process, since finding out
# takes time.
_ONE_AT_A_TIME: set[Origin] = set()

# Whether to try again is for the requester to say.
_NO_RETRIES = urllib3.Retry(0, read=False)


class TransferFailure(Exception):
    """An exchange that ended without a complete reply; the text says how, without secrets.

    `connect`: no connection came about, so nothing was sent. `permanent`: trying again is useless.
    """

    def __init__(self, reason: str, *, connect: bool = False, permanent: bool = False) -> None:
        super().__init__(reason)
        self.connect = connect
        self.permanent = permanent


class ReplyTooLarge(Exception):
    """A reply that is larger than what was asked for can be."""


@dataclass
class StreamBody:
    """A request body of known length that can be opened again for every attempt."""

    open: Callable[[], Iterator[bytes]]
    length: int
    #: What went wrong on our side while it was read; the transport cannot tell it from the network.
    error: BaseException | None = field(default=None, init=False)

    def __iter__(self) -> Iterator[bytes]:
        self.error = None
        try:
            yield from self.open()
        except GeneratorExit:
            raise
        except BaseException as e:
            self.error = e
            raise


@dataclass
class Reply:
    """A reply; `body` is complete unless it is streamed from `raw`."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes = b""
    raw: Any = None
    #: Why no more attempts were made, where the status would have allowed them.
    note: str = ""
    #: Everything was read, so that the connection can serve another request.
    finished: bool = False
    _release: Callable[[], None] | None = field(default=None, repr=False)

    def close(self) -> None:
        """Give back the connection of a streamed reply; closed unless `finished`."""
        if self._release is not None:
            release, self._release = self._release, None
            if not self.finished:
                self.raw.close()
            self.raw.release_conn()
            release()

    def __del__(self) -> None:
        self.close()


class _QuietHTTPConnection(HTTPConnection):
    # Pants at `-ltrace` sets the attribute of http.client's class, which then prints every header,
    # credentials among them.
    debuglevel = 0


class _QuietHTTPSConnection(HTTPSConnection):
    debuglevel = 0


class _QuietHTTPPool(HTTPConnectionPool):
    ConnectionCls = _QuietHTTPConnection


class _QuietHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _QuietHTTPSConnection


_QUIET_POOLS = {"http": _QuietHTTPPool, "https": _QuietHTTPSPool}


class _HostAdapter(requests.adapters.HTTPAdapter):
    """An adapter for one origin, whose TLS context is ours."""

    def __init__(self, make_context: Callable[[], ssl.SSLContext] | None, pool: int) -> None:
        self._ssl: dict[str, Any] = {}
        if make_context is not None:
            context = self._ssl["ssl_context"] = make_context()
            if getattr(urllib3, "__version__", "").startswith("1."):
                # It names no IP address to the context, and compares the name itself in this case.
                context.check_hostname = False
        super().__init__(pool_connections=1, pool_maxsize=pool)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(self._ssl)
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call]
        self.poolmanager.pool_classes_by_scheme = _QUIET_POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(self._ssl)
        manager = super().proxy_manager_for(*args, **kwargs)  # type: ignore[no-untyped-call]
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = _QUIET_POOLS
        return manager

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        # The context has the authorities; requests would add a bundle of its own choice.
        if self._ssl:
            conn.cert_reqs = "CERT_REQUIRED"


class OriginPool:
    """The connections to one origin: capped, paced, through its proxy."""

    def __init__(self, origin: Origin, config: RegistryConfig, proxy: str | None) -> None:
        self.origin = origin
        self.pace = Pace(config.clock)
        # Two caps: downloads are held open while uploads to the same host wait for them.
        self.slots = threading.BoundedSemaphore(config.per_host_connections)
        self.stream_slots = threading.BoundedSemaphore(config.per_host_connections)
        self.proxies = {origin.scheme: proxy} if proxy else {}
        self._config = config
        self._lock = threading.Lock()
        self._adapter: _HostAdapter | None = None
        self._connections: Any = None
        # A proxy of plain HTTP is told the whole URL.
        self._whole_url = False
        self._idle_heads: list[HeadConnection] = []

    def open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | StreamBody | None,
        timeout: urllib3.Timeout,
    ) -> Any:
        """Send a request; urllib3's response, of which nothing but the head is read.

        :raises TRANSPORT_ERRORS: no head came.
        """
        connections = self._connections
        if connections is None:
            with self._lock:
                connections = self._connections = self._connections or self._connect()
        target = requests.utils.urldefragauth(url) if self._whole_url else _target(url)
        return connections.urlopen(
            method,
            target,
            body=body,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=_NO_RETRIES,
            timeout=timeout,
        )

    def _connect(self) -> Any:
        """What `HTTPAdapter.send` of requests does before it sends, once for all requests."""
        context = self._context if self.origin.scheme == "https" else None
        adapter: Any = _HostAdapter(context, 2 * self._config.per_host_connections)
        url = f"{self.origin}/"
        request = requests.Request("GET", url).prepare()
        # requests before 2.32 knows only the second way.
        if hasattr(adapter, "get_connection_with_tls_context"):
            pool = adapter.get_connection_with_tls_context(request, True, self.proxies)
        else:
            pool = adapter.get_connection(url, self.proxies)
        adapter.cert_verify(pool, url, True, None)
        self._whole_url = adapter.request_url(request, self.proxies) != request.path_url
        self._adapter = adapter
        return pool

    def _context(self) -> ssl.SSLContext:
        config, netloc = self._config, self.origin.netloc
        client_cert = config.client_certs.get(netloc)
        return tls.find_context(netloc, config.env, config.ca_certs_path, client_cert)

    def heads(self, requests: Sequence[bytes]) -> tuple[int, list[Head]]:
        """Send HEADs in a row: how many were sent, and the answers before the first that is none.

        :raises TRANSPORT_ERRORS: no connection.
        """
        with self._lock:
            connection = self._idle_heads.pop() if self._idle_heads else None
        if connection is None:
            context = self._context() if self.origin.scheme == "https" else None
            if context is not None and not context.check_hostname:
                return 0, []
            connection = HeadConnection(self.origin, context, self._config)
        sent, heads = 0, list[Head]()
        while len(heads) < len(requests) and connection.usable:
            alone = self.origin in _ONE_AT_A_TIME
            rest = (requests[len(heads)],) if alone else requests[len(heads) :]
            sent += len(rest)
            heads += connection.ask(rest)
        if not connection.pipelines:
            _ONE_AT_A_TIME.add(self.origin)
        if connection.usable:
            with self._lock:
                self._idle_heads.append(connection)
        return sent, heads

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            while self._idle_heads:
                self._idle_heads.pop().close()
            if self._adapter is not None:
                self._adapter.close()  # type: ignore[no-untyped-call]


class Transport:
    """All connections of one run. Thread-safe."""

    def __init__(self, config: RegistryConfig, redactor: Redactor) -> None:
        self._config = config
        self._redact = redactor
        self._proxies = ProxyRules.from_env(config.env)
        self._lock = threading.Lock()
        self._pools: dict[Origin, OriginPool] = {}
        self._user_agent = config.user_agent
        redactor.add(_userinfo(url) for url in self._proxies.proxies.values())
        _strip_queries_from_logs()

    def pool(self, origin: Origin) -> OriginPool:
        """The connections to an origin."""
        pool = self._pools.get(origin)
        if pool is None:
            with self._lock:
                pool = self._pools.get(origin)
                if pool is None:
                    proxy = self._proxies.proxy_for(origin)
                    pool = self._pools[origin] = OriginPool(origin, self._config, proxy)
        return pool

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    def exchange(
        self,
        pool: OriginPool,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | StreamBody | None,
        *,
        limit: int,
        stream: bool,
        timeout: float,
    ) -> Reply:
        """Send one request and read the reply, at most `limit` bytes of it unless it is streamed.

        `timeout` (seconds) is for the first byte of the reply. Redirects are not followed.

        :raises TransferFailure: no complete reply came.
        :raises ReplyTooLarge: `limit`.
        :raises KoPantsError: reading `body` failed, or a certificate file is unusable.
        """
        # Digests are of the bytes as they are: no proxy shall compress them on the way.
        sending = {"User-Agent": self._user_agent, "Accept-Encoding": "identity", **headers}
        if body is not None:
            length = body.length if isinstance(body, StreamBody) else len(body)
            sending["Content-Length"] = str(length)
        elif method in ("POST", "PUT", "PATCH"):
            sending["Content-Length"] = "0"
        pool.pace.wait()
        slots = pool.stream_slots if stream else pool.slots
        slots.acquire()
        streaming = False
        try:
            patience = urllib3.Timeout(connect=self._config.connect_timeout, read=timeout)
            raw = pool.open(method, url, sending, body, patience)
            if stream and raw.status in (200, 206):
                streaming = True
                return Reply(raw.status, raw.headers, url, raw=raw, _release=slots.release)
            content = self._read(raw, limit, head=method == "HEAD")
            return Reply(raw.status, raw.headers, url, content)
        except TRANSPORT_ERRORS as e:
            if isinstance(body, StreamBody) and body.error is not None:
                if isinstance(body.error, KoPantsError):
                    raise body.error from None
                raise KoPantsError(f"cannot read the blob to upload: {body.error}") from body.error
            raise self.failure(e) from None
        finally:
            if not streaming:
                slots.release()

    def heads(
        self, pool: OriginPool, paths: Sequence[str], headers: Sequence[Mapping[str, str]]
    ) -> tuple[int, list[Head]]:
        """Send HEADs in a row over one connection: how many were sent, and the first answers.

        None are sent through a proxy. For what is not answered there is `exchange`.
        """
        if pool.proxies:
            return 0, []
        own = {"User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        requests = [
            request_head(path, pool.origin.netloc, {**own, **more})
            for path, more in zip(paths, headers)
        ]
        pool.pace.wait()
        with pool.slots:
            try:
                return pool.heads(requests)
            except TRANSPORT_ERRORS:
                return 0, []

    def _read(self, raw: Any, limit: int, *, head: bool) -> bytes:
        if head:
            raw.read()
            return b""
        meter = RateMeter(self._config)
        parts, total = [], 0
        while True:
            data = read_some(raw, CHUNK)
            if not data:
                break
            parts.append(data)
            total += len(data)
            if total > limit:
                raw.close()
                raise ReplyTooLarge(f"it is larger than {limit} bytes")
            try:
                meter.add(len(data))
            except TransferFailure:
                raw.close()
                raise
        expected = raw.headers.get("Content-Length", "")
        if expected.isdigit() and total != int(expected):
            raw.close()
            raise TransferFailure(f"the reply ended after {total} of {expected} bytes")
        return b"".join(parts)

    def failure(self, error: BaseException) -> TransferFailure:
        """What a library's exception means to a user."""
        chain = tuple(_causes(error))
        for cause in chain:
            verified = getattr(cause, "verify_message", "")
            # urllib3 1.26 has an error of its own for a wrong name.
            if verified or type(cause).__name__ == "CertificateError":
                return TransferFailure(
                    f"its certificate is not trusted ({verified or cause}); name the authority "
                    "in `ca_certs_path` or put it into certs.d",
                    connect=True,
                    permanent=True,
                )
        proxied = any(isinstance(c, urllib3.exceptions.ProxyError) for c in chain)
        via = "the proxy: " if proxied else ""
        for cause in chain:
            if isinstance(cause, socket.gaierror):
                return TransferFailure(f"{via}its name does not resolve", connect=True)
            if isinstance(cause, ConnectionRefusedError):
                return TransferFailure(f"{via}it refuses connections", connect=True)
            if isinstance(cause, ssl.SSLError):
                return TransferFailure(f"{via}TLS failed ({cause.reason or cause})")
        for cause in chain:
            if isinstance(cause, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)):
                return TransferFailure(f"{via}no answer to a connection attempt", connect=True)
            if isinstance(cause, (TimeoutError, socket.timeout, requests.Timeout)):
                return TransferFailure(f"{via}timed out")
            if isinstance(cause, urllib3.exceptions.ReadTimeoutError):
                return TransferFailure(f"{via}timed out")
            if isinstance(cause, (ConnectionResetError, BrokenPipeError)):
                return TransferFailure(f"{via}the connection was reset")
            if isinstance(cause, http.client.RemoteDisconnected):
                return TransferFailure(f"{via}the connection was closed without an answer")
            if isinstance(cause, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
                return TransferFailure(f"{via}the reply ended early")
        new = any(isinstance(c, urllib3.exceptions.NewConnectionError) for c in chain)
        text = next((c.strerror for c in chain if isinstance(c, OSError) and c.strerror), "")
        reason = self._redact(text or type(error).__name__)
        return TransferFailure(f"{via}{reason}", connect=new)


class RateMeter:
    """Notices a transfer that drips: each byte comes in time, but the whole never ends."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._since = config.clock.monotonic()
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count bytes that arrived.

        :raises TransferFailure: under `min_rate` for `stall_time`.
        """
        self._bytes += count
        elapsed = self._config.clock.monotonic() - self._since
        if elapsed < self._config.stall_time:
            return
        if self._bytes < elapsed * self._config.min_rate:
            raise TransferFailure(f"the reply drips: {self._bytes} bytes in {elapsed:.0f} s")
        self._since, self._bytes = self._config.clock.monotonic(), 0


def read_some(raw: Any, size: int) -> bytes:
    """What has arrived of a streamed reply, at most `size` bytes; empty at its end."""
    # urllib3 1.26 has no read1, and its read waits for the whole of what is asked for.
    read1 = getattr(raw, "read1", None)
    data: bytes = read1(size) if read1 is not None else raw.read(min(size, 8192))
    return data


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything in it: requests and urllib3 hide causes in args and `reason`."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        todo += [c for c in inner if isinstance(c, BaseException)]


def _target(url: str) -> str:
    """Path and query of an absolute URL."""
    rest = url.partition("#")[0]
    slash = rest.find("/", rest.index("://") + 3)
    if slash < 0:
        parts = urllib.parse.urlsplit(rest)
        return f"/?{parts.query}" if parts.query else "/"
    return rest[slash:]


def _userinfo(url: str) -> str:
    return url.partition("://")[2].rpartition("@")[0]


class _QueryFilter(logging.Filter):
    """Takes queries out of urllib3's debug log: those of redirects are signed, so secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args if isinstance(record.args, tuple) else ()
        record.args = tuple(
            a.partition("?")[0] + "?***" if isinstance(a, str) and "?" in a else a for a in args
        )
        return True


def _strip_queries_from_logs() -> None:
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        target = logging.getLogger(name)
        if not any(isinstance(f, _QueryFilter) for f in target.filters):
            target.addFilter(_QueryFilter())
