"""Pools of connections through a proxy, as `requests` makes them.

It knows what a proxy wants to be told. Its import takes longer than all requests of a run in which
nothing changed, so who needs no proxy does without this module.
"""

from __future__ import annotations

from typing import Any, Mapping

import requests
import requests.adapters
import requests.utils
import urllib3

from ko_pants.registry.endpoints import Origin


class _ProxyAdapter(requests.adapters.HTTPAdapter):
    """An adapter of requests for one origin.

    :param classes: of pools, by scheme.
    :param options: of pools; our TLS context among them, for https.
    """

    def __init__(self, size: int, classes: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self._classes = classes
        self._options = dict(options)
        super().__init__(pool_connections=1, pool_maxsize=size)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        # It has no pool, but requests looks here whether there is a TLS context.
        kwargs.update(self._options)
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call]

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.update(self._options)
        manager = super().proxy_manager_for(*args, **kwargs)  # type: ignore[no-untyped-call]
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = dict(self._classes)
        return manager


class ProxiedPool:
    """A pool, and what a request is told of its URL.

    :param proxy: the URL of the proxy.
    :param size: how many idle connections it keeps.
    :param classes: as of `_ProxyAdapter`, like `options`.
    """

    def __init__(
        self,
        origin: Origin,
        proxy: str,
        size: int,
        classes: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> None:
        self._adapter: Any = _ProxyAdapter(size, classes, options)
        url = f"{origin}/"
        request = requests.Request("GET", url).prepare()
        proxies = {origin.scheme: proxy}
        # requests before 2.32 has only the second method.
        if hasattr(self._adapter, "get_connection_with_tls_context"):
            pool = self._adapter.get_connection_with_tls_context(request, True, proxies)
        else:
            pool = self._adapter.get_connection(url, proxies)
        if "ssl_context" in options:
            # The context has the authorities. `cert_verify` of requests would add its own.
            pool.cert_reqs = "CERT_REQUIRED"
        self.pool = pool
        #: A proxy of plain HTTP is told the whole URL instead of the path.
        self.whole_url = self._adapter.request_url(request, proxies) != request.path_url

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()


def whole_target(url: str) -> str:
    """An absolute URL as a proxy of plain HTTP is told it."""
    return str(requests.utils.urldefragauth(url))
