"""The last step: one HTTP exchange, without authorization, redirects or retries."""

from __future__ import annotations

from ko_pants.errors import KoPantsError
from ko_pants.interruption import InterruptedRunError
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.connections import Connections
from ko_pants.registry.failures import TRANSPORT_ERRORS, describe_failure
from ko_pants.registry.messages import StepMessages
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Reply, ReplyTooLarge, Request, StreamBody, TransferFailure
from ko_pants.registry.streams import read_body

#: Statuses whose body is left to the caller of a streamed request.
_STREAMED_STATUSES = (200, 206)
_METHODS_WITH_A_BODY = ("POST", "PUT", "PATCH")


class Exchange:
    """Sends a request to its absolute URL and reads the reply. Thread-safe."""

    def __init__(
        self,
        connections: Connections,
        config: RegistryConfig,
        redact: Redactor,
        messages: StepMessages,
    ) -> None:
        self._connections = connections
        self._config = config
        self._redact = redact
        self._messages = messages

    def send(self, request: Request) -> Reply:
        """Wait for the host's pace and a free connection, then send.

        :raises TransferFailure: no complete reply came.
        :raises RegistryError: the reply is larger than the request allows.
        :raises KoPantsError: reading the request's body failed, or a certificate file is unusable.
        :raises InterruptedRunError: the run is over.
        """
        if self._connections.interrupted:
            raise InterruptedRunError
        request.session.count()
        try:
            return self._exchange(request)
        except ReplyTooLarge as e:
            raise self._messages.too_large(request, e) from None
        except TransferFailure as e:
            e.origin = request.origin
            raise
        except TRANSPORT_ERRORS as e:
            _raise_error_of_body(request)
            failure = describe_failure(e, self._redact)
            failure.origin = request.origin
            raise failure from None

    def _exchange(self, request: Request) -> Reply:
        pool = self._connections.pool(request.origin)
        timeout = request.timeout_seconds
        if timeout is None:
            timeout = self._config.read_timeout
        pool.pace.wait()
        slots = pool.stream_slots if request.stream else pool.slots
        slots.acquire()
        streaming = False
        try:
            raw = pool.open(
                request.method, request.url, self._headers(request), request.body, timeout
            )
            streaming = request.stream and raw.status in _STREAMED_STATUSES
            if streaming:
                return Reply(raw.status, raw.headers, request.url, raw=raw, _release=slots.release)
            if request.method == "HEAD":
                raw.read()
                return Reply(raw.status, raw.headers, request.url)
            content = read_body(raw, request.max_reply_bytes, self._config)
            request.session.fetched(len(content))
            return Reply(raw.status, raw.headers, request.url, content)
        finally:
            if not streaming:
                slots.release()

    def _headers(self, request: Request) -> dict[str, str]:
        # Digests are of the bytes as they are, so no proxy may compress them on the way.
        headers = {"User-Agent": self._config.user_agent, "Accept-Encoding": "identity"}
        headers.update(request.headers)
        body = request.body
        if body is not None:
            length = body.length if isinstance(body, StreamBody) else len(body)
            headers["Content-Length"] = str(length)
        elif request.method in _METHODS_WITH_A_BODY:
            headers["Content-Length"] = "0"
        return headers


def _raise_error_of_body(request: Request) -> None:
    """Raise what went wrong on our side, where it looks like a failure of the connection."""
    error = request.body.error if isinstance(request.body, StreamBody) else None
    if isinstance(error, KoPantsError):
        raise error from None
    if error is not None:
        raise KoPantsError(f"cannot read the blob to upload: {error}") from error
