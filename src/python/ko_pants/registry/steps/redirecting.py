"""The step that follows redirects, and the rules for where they may lead."""

from __future__ import annotations

from typing import Callable, Optional

from ko_pants.registry.endpoints import Origin, UnsafeUrl, resolve_location
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.locations import Locations
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
                f"{ref.registry} redirects {method} for {ref} more than {MAX_REDIRECTS} times",
                status=reply.status,
            )
        if method not in ("GET", "HEAD") and reply.status not in _METHOD_STAYS:
            raise RegistryError(
                f"{ref.registry} redirects {method} for {ref} with HTTP {reply.status}, which does "
                "not keep the method; check the registry's address",
                status=reply.status,
            )
        return self._locations.of(reply, ref) or reply.url


def follow_within_host(request: Request, reply: Reply, redirects: int) -> str | None:
    """See `Follow`: for token servers, only to the same origin, as the request has a password."""
    if redirects > MAX_REDIRECTS or reply.status not in _METHOD_STAYS:
        return None
    try:
        url = resolve_location(reply.headers["Location"], reply.url)
    except UnsafeUrl:
        return None
    return url if Origin.of(url) == request.origin else None
