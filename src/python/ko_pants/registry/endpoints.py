"""Where a request may go: origins, and which URLs of a server may be followed."""

from __future__ import annotations

import ipaddress
import urllib.parse
from dataclasses import dataclass
from typing import Iterable

_PORTS = {"http": 80, "https": 443}


class UnsafeUrl(ValueError):
    """A URL that a server sent and that must not be followed; the text says why."""


@dataclass(frozen=True)
class Origin:
    """Scheme, host (lower case, no brackets) and port of a URL (RFC 6454).

    Credentials for one origin are sent to no other.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an absolute http(s) URL.

        :raises UnsafeUrl: it is no such URL.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            raise UnsafeUrl("it is malformed") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise UnsafeUrl("it is no http or https URL")
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = _PORTS[self.scheme] == self.port
        return f"{self.scheme}://{host}" + ("" if default else f":{self.port}")

    @property
    def netloc(self) -> str:
        """`host[:port]`, the port left out where it is the scheme's."""
        return str(self).partition("://")[2]


def split_host(registry: str) -> tuple[str, int | None]:
    """Host (lower case, without brackets) and port of a `host[:port]`."""
    parts = urllib.parse.urlsplit(f"//{registry}")
    return parts.hostname or "", parts.port


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses."""
    if host in ("localhost", "ip6-localhost") or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_link_local(host: str) -> bool:
    """True for link-local and unspecified addresses: where clouds keep their metadata servers."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host in ("metadata.google.internal", "metadata")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local or (mapped or address).is_unspecified


def check_followed(target: Origin, source: Origin, insecure: Iterable[str]) -> None:
    """Check a redirect, upload location or token realm `target` that `source` sent.

    Plain HTTP is followed only from plain HTTP, and only to the same host, to loopback or to a host
    of `insecure`. Nothing is followed to a link-local address, and to this machine only from it.

    :raises UnsafeUrl: it must not be followed.
    """
    if is_link_local(target.host):
        raise UnsafeUrl(f"{target.netloc} is a link-local address")
    if is_loopback(target.host) and not is_loopback(source.host):
        raise UnsafeUrl(f"{target.netloc} is this machine")
    if target.scheme == "https":
        return
    if source.scheme == "https":
        raise UnsafeUrl("it leads from https to plain http")
    if target.host != source.host and not is_loopback(target.host):
        allowed = {target.netloc, f"{target.host}:{target.port}"} & set(insecure)
        if not allowed:
            raise UnsafeUrl(f"it leads to plain http on another host, {target.netloc}")


def resolve_location(location: str, request_url: str) -> str:
    """The absolute URL of a `Location` header (RFC 9110, 10.2.2), without its fragment.

    A registry behind a proxy that ends TLS often names itself with http. If host and port are those
    of the request, https is used all the same.

    :raises UnsafeUrl: it is no http(s) URL, or has a user name in it.
    """
    location = location.strip(" \t")
    # urllib would remove some of these silently.
    if not location.isascii() or any(ord(c) <= 32 or ord(c) == 127 for c in location):
        raise UnsafeUrl("it has characters in it that no URL has")
    try:
        url = urllib.parse.urldefrag(urllib.parse.urljoin(request_url, location)).url
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        raise UnsafeUrl("it is malformed") from None
    target, source = Origin.of(url), Origin.of(request_url)
    if "@" in parts.netloc:
        raise UnsafeUrl("it has a user name in it")
    if target.scheme == "http" and source.scheme == "https" and target.host == source.host:
        same_port = target.port == source.port
        default_ports = parts.port is None and source.port == _PORTS["https"]
        if same_port or default_ports:
            port = "" if source.port == _PORTS["https"] else f":{source.port}"
            host = f"[{source.host}]" if ":" in source.host else source.host
            url = urllib.parse.urlunsplit(parts._replace(scheme="https", netloc=host + port))
    return url


def add_query(url: str, pairs: Iterable[tuple[str, str]]) -> str:
    """`url` with more query parameters. Those that it has stay as they are."""
    more = urllib.parse.urlencode(list(pairs), safe=":/")
    return url + ("&" if "?" in url else "?") + more if more else url
