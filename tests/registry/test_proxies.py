"""Which requests go through which proxy."""

from __future__ import annotations

import pytest

from ko_pants.registry.endpoints import Origin
from ko_pants.registry.proxies import ProxyRules


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://r.io/", "http://proxy:3128"),
        ("http://r.io/", "http://plain:1"),
        ("https://127.0.0.1:5000/", None),
        ("https://localhost/", None),
        ("https://inner.example.com/", None),
        ("https://example.com/", None),
        ("https://notexample.com/", "http://proxy:3128"),
        ("https://only.sub.org/", None),
        ("https://sub.org/", "http://proxy:3128"),
        ("https://10.1.2.3/", None),
        ("https://11.1.2.3/", "http://proxy:3128"),
        ("https://ported.io:8443/", None),
        ("https://ported.io/", "http://proxy:3128"),
    ],
)
def test_proxies(url: str, expected: str | None) -> None:
    rules = ProxyRules.from_env(
        {
            "HTTPS_PROXY": "proxy:3128",
            "http_proxy": "http://plain:1",
            "NO_PROXY": "example.com, .sub.org,10.0.0.0/8,ported.io:8443",
        }
    )
    assert rules.proxy_for(Origin.of(url)) == expected
