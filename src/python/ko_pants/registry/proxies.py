"""Proxies by the environment, as curl and Go read it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Mapping

from ko_pants.registry.endpoints import Origin, is_loopback, split_host

_SCHEMES = ("http", "https")


@dataclass(frozen=True)
class ProxyRules:
    """Which proxy a request goes through.

    :param proxies: scheme of the request -> URL of the proxy.
    :param no_proxy: hosts that are reached directly, as in the variable NO_PROXY.
    """

    proxies: Mapping[str, str]
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> ProxyRules:
        """Read HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; lower case is preferred."""

        def value(name: str) -> str:
            return env.get(name.lower()) or env.get(name) or ""

        everything = value("ALL_PROXY")
        proxies = {s: value(f"{s.upper()}_PROXY") or everything for s in _SCHEMES}
        entries = (e.strip().lower() for e in value("NO_PROXY").split(","))
        return cls(
            {s: _with_scheme(p) for s, p in proxies.items() if p}, tuple(filter(None, entries))
        )

    def proxy_for(self, origin: Origin) -> str | None:
        """The proxy's URL for requests to `origin`; None goes there directly, as loopback does."""
        proxy = self.proxies.get(origin.scheme)
        if not proxy or is_loopback(origin.host):
            return None
        return None if any(_covers(entry, origin) for entry in self.no_proxy) else proxy


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _covers(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    try:
        if "/" in entry:
            return ipaddress.ip_address(origin.host) in ipaddress.ip_network(entry, strict=False)
        if entry.count(":") > 1 and "[" not in entry:
            return entry == origin.host
        host, port = split_host(entry)
    except ValueError:
        return False
    if port is not None and port != origin.port:
        return False
    # As Go and curl: `example.com` covers its subdomains too, `.example.com` covers only those.
    if host.startswith("."):
        return origin.host.endswith(host)
    host = host[2:] if host.startswith("*.") else host
    return origin.host == host or origin.host.endswith("." + host)
