"""A request to a registry, the reply to it, and how it can end without a reply."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping, Protocol

from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import NO_SCOPES, PULL, Actions, Scopes
from ko_pants.registry.endpoints import Origin

#: Most bytes of a reply that has nothing but an error to say.
SMALL_REPLY_BYTES = 256 * 1024


class Session(Protocol):
    """Who makes the requests: counts them, and knows which repositories it will push to."""

    def count(self) -> None:
        """One more HTTP request is about to be sent."""

    def fetched(self, size: int) -> None:
        """So many bytes of the body of a reply have come."""

    def scopes_for(self, ref: Reference, actions: Actions) -> Scopes:
        """The scopes of a request that needs `actions` on the repository of `ref`."""


@dataclass
class StreamBody:
    """A request body of `length` bytes. `open` is called again for every attempt."""

    open: Callable[[], Iterator[bytes]]
    length: int
    #: The exception of `open` or its iterator. The HTTP libraries cannot tell it from their own.
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


@dataclass(frozen=True)
class Request:
    """One request about a repository.

    `url` is a path on the registry (`/v2/...`), or an absolute URL that the registry sent and that
    was checked. `headers` lacks those of the connection and `Authorization`, which the steps add.

    :param actions: what the request does with the repository of `ref`.
    :param scopes: what a token must allow beyond that.
    :param max_reply_bytes: a larger reply is an error. Not for a streamed one.
    :param stream: leave the body of a reply with status 200 or 206 to be read by the caller.
    :param timeout_seconds: longest wait for the reply's first byte; None: the client's setting.
    :param retry: try again what may work the next time; the last reply is returned.
    """

    session: Session
    method: str
    ref: Reference
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | StreamBody | None = None
    actions: Actions = PULL
    scopes: Scopes = NO_SCOPES
    max_reply_bytes: int = SMALL_REPLY_BYTES
    stream: bool = False
    timeout_seconds: float | None = None
    retry: bool = True

    @functools.cached_property
    def origin(self) -> Origin:
        """Where an absolute `url` leads.

        :raises UnsafeUrl: it is no absolute http(s) URL.
        """
        return Origin.of(self.url)

    @property
    def pushes(self) -> bool:
        """True if the request, or its session later, pushes to the repository of `ref`."""
        scopes = self.session.scopes_for(self.ref, self.actions)
        return ("repository", self.ref.repository, "push") in scopes

    def to(self, url: str, origin: Origin | None = None) -> Request:
        """The same request to another URL; `origin` is that of the URL, where it is known."""
        return self._changed(url=url, origin=Origin.of(url) if origin is None else origin)

    def with_header(self, name: str, value: str) -> Request:
        """The same request with one more header."""
        return self._changed(headers={**self.headers, name: value})

    def with_scopes(self, scopes: Scopes) -> Request:
        """The same request, whose token must allow `scopes` too."""
        return self._changed(scopes=self.scopes | scopes)

    def _changed(self, **changes: object) -> Request:
        # `dataclasses.replace` takes ten times as long, which counts for hundreds of small HEADs.
        changed = object.__new__(Request)
        changed.__dict__.update(self.__dict__, **changes)
        return changed


@dataclass
class Reply:
    """A reply. `body` is complete, unless it is to be read from `raw` (see `Request.stream`)."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes = b""
    raw: Any = None
    #: Why no more attempts were made, where the status would have allowed them.
    note: str = ""
    #: True once everything of `raw` was read, so that the connection can serve another request.
    finished: bool = False
    _release: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def origin(self) -> Origin:
        """Who answered."""
        return Origin.of(self.url)

    def close(self) -> None:
        """Give back the connection of a streamed reply; it is closed unless `finished`."""
        if self._release is not None:
            release, self._release = self._release, None
            if not self.finished:
                self.raw.close()
            self.raw.release_conn()
            release()

    def __del__(self) -> None:
        self.close()


#: What each step of a request is, and what it is given to pass a request on.
Send = Callable[[Request], Reply]


class TransferFailure(Exception):
    """A request that got no complete reply. The text says what happened and has no secrets in it.

    `connect`: there was no connection, so nothing was sent. `permanent`: trying again is useless.
    `tls`: the TLS handshake failed. `origin`: who was asked.
    """

    def __init__(
        self,
        reason: str,
        *,
        connect: bool = False,
        permanent: bool = False,
        tls: bool = False,
        origin: Origin | None = None,
    ) -> None:
        super().__init__(reason)
        self.connect = connect
        self.permanent = permanent
        self.tls = tls
        self.origin = origin


class ReplyTooLarge(Exception):
    """A reply has more bytes than what was asked for can have."""
