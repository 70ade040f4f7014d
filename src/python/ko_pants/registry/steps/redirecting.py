"""The step that follows redirects, and the rules for where they may lead."""

from __future__ import annotations

from typing import Callable, Optional

from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.locations import Locations, sender
from ko_pants.registry.request import Reply, Request, Send

MAX_REDIRECTS = 5
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
#: Those after which the method stays the same (RFC 9110, 15.4).
_METHOD_STAYS = frozenset({307, 308})

#: Where to go on after a redirect: the request, its reply and how many redirects there were, this
#: one included. None: the reply is final.
Follow = Callable[[Request, Reply, int], Optional[str]]


class Redirecting:
    """Sends a request again to where a redirect leads. Thread-safe.

    :param follow: decides where that is.
    """

    def __init__(self, send: Send, follow: Follow) -> None:
        self._send = send
        self._follow = follow

    def send(self, request: Request) -> Reply:
        """The first reply that is no redirect, or that is not to be followed.

        :raises RegistryError: by `follow`.
        """
        reply = self._send(request)
        redirects = 0
        while reply.status in REDIRECT_STATUSES and "Location" in reply.headers:
            redirects += 1
            url = self._follow(request, reply, redirects)
            if url is None:
                break
            reply = self._send(request.to(url))
        return reply


class FollowOfRegistry:
    """Follows the redirects of a registry, also to other hosts (blob stores, CDNs)."""

    def __init__(self, locations: Locations) -> None:
        self._locations = locations

    def __call__(self, request: Request, reply: Reply, redirects: int) -> str:
        """See `Follow`.

        :raises RegistryError: there are too many, the method would change, or the target is unsafe.
        """
        ref, method = request.ref, request.method
        if redirects > MAX_REDIRECTS:
            raise RegistryError(
                f"{sender(reply, ref)} redirects {method} for {ref} more than {MAX_REDIRECTS} "
                "times",
                status=reply.status,
            )
        if method not in ("GET", "HEAD") and reply.status not in _METHOD_STAYS:
            raise RegistryError(
                f"{sender(reply, ref)} redirects {method} for {ref} with HTTP {reply.status}, "
                "which does not keep the method; check the registry's address",
                status=reply.status,
            )
        return self._locations.of(reply, ref) or reply.url


class KeepingSecrets:
    """Follows redirects of requests that may carry a password or a token, as token requests do.

    They are sent again within their host only. A request without secrets may lead anywhere.

    :param follow: decides what is followed at all.
    """

    def __init__(self, follow: Follow) -> None:
        self._follow = follow

    def __call__(self, request: Request, reply: Reply, redirects: int) -> str | None:
        """See `Follow`.

        :raises RegistryError: by `follow`, or the secrets would go to another host.
        """
        url = self._follow(request, reply, redirects)
        if url is None or not ("Authorization" in request.headers or request.body):
            return url
        target = Origin.of(url)
        if target == request.origin or _only_adds_tls(request.origin, target):
            return url
        raise RegistryError(
            f"{sender(reply, request.ref)} redirects a request with credentials to another host, "
            f"{target.netloc}; they were not sent there. Check the registry's configuration, and "
            "that nobody intercepts the connection",
            status=reply.status,
        )


def _only_adds_tls(source: Origin, target: Origin) -> bool:
    default_ports = (source.port, target.port) == (80, 443)
    return source.host == target.host and target.scheme == "https" and default_ports
