"""Origins, and where a server may lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.registry.endpoints import (
    Origin,
    UnsafeUrl,
    add_query,
    check_followed,
    is_link_local,
    is_loopback,
    resolve_location,
    split_host,
)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=a%2Fb", "https://r.io/v2/a/blobs/uploads/1?_state=a%2Fb"),
        ("2?x=1#frag", "https://r.io/v2/a/blobs/uploads/2?x=1"),
        ("https://other.io:8443/u", "https://other.io:8443/u"),
        # A proxy that ends TLS, and a registry that does not know of it.
        ("http://r.io/v2/u?x=1", "https://r.io/v2/u?x=1"),
        ("http://r.io:443/v2/u", "https://r.io/v2/u"),
        ("http://r.io:5000/v2/u", "http://r.io:5000/v2/u"),
        ("//cdn.io/u", "https://cdn.io/u"),
    ],
)
def test_resolve_location(location: str, expected: str) -> None:
    assert resolve_location(location, "https://r.io/v2/a/blobs/uploads/") == expected


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "https://u:p@r.io/x",
        "https://:1/",
        "http://[::1/x",
        "https://r.io/a b",
    ],
)
def test_resolve_location_refuses(location: str) -> None:
    with pytest.raises(UnsafeUrl):
        resolve_location(location, "https://r.io/v2/")


@pytest.mark.parametrize(
    ("target", "source", "safe"),
    [
        ("https://cdn.io/x", "https://r.io/", True),
        ("http://cdn.io/x", "https://r.io/", False),
        ("http://r.io/x", "https://r.io/", False),
        ("https://169.254.169.254/x", "https://r.io/", False),
        ("http://[fe80::1]/x", "http://127.0.0.1/", False),
        ("https://[::ffff:169.254.169.254]/x", "https://r.io/", False),
        ("https://127.0.0.1/x", "https://r.io/", False),
        ("https://localhost:1/x", "https://r.io/", False),
        ("http://localhost:1/x", "http://127.0.0.1:5000/", True),
        ("http://allowed.lan/x", "http://r.lan/", True),
        ("http://other.lan/x", "http://r.lan/", False),
        ("http://r.lan/x", "http://r.lan/", True),
        ("https://0.0.0.0/", "https://r.io", False),
    ],
)
def test_where_a_server_may_lead(target: str, source: str, safe: bool) -> None:
    def check() -> None:
        check_followed(Origin.of(target), Origin.of(source), {"allowed.lan"})

    if safe:
        check()
    else:
        with pytest.raises(UnsafeUrl):
            check()


@given(st.text())
def test_any_location_is_a_safe_url_or_refused(location: str) -> None:
    try:
        url = resolve_location(location, "https://r.io/v2/")
    except UnsafeUrl:
        return
    assert url.startswith(("https://", "http://"))
    assert "\n" not in url


def test_queries_are_added_and_kept() -> None:
    assert add_query("http://h/u", [("digest", "sha256:a")]) == "http://h/u?digest=sha256:a"
    assert add_query("http://h/u?s=%2F", [("mount", "a&b")]) == "http://h/u?s=%2F&mount=a%26b"


@pytest.mark.parametrize(
    ("url", "origin", "netloc"),
    [
        ("https://R.io/v2/", Origin("https", "r.io", 443), "r.io"),
        ("https://r.io:443/", Origin("https", "r.io", 443), "r.io"),
        ("http://r.io:443/", Origin("http", "r.io", 443), "r.io:443"),
        ("http://[::1]:5000/x", Origin("http", "::1", 5000), "[::1]:5000"),
    ],
)
def test_origins(url: str, origin: Origin, netloc: str) -> None:
    assert Origin.of(url) == origin
    assert origin.netloc == netloc
    assert Origin.of(str(origin)) == origin


@pytest.mark.parametrize("url", ["/v2/", "ftp://r.io/", "https:///x", "https://r.io:x/", "r.io"])
def test_what_is_no_origin(url: str) -> None:
    with pytest.raises(UnsafeUrl):
        Origin.of(url)


@pytest.mark.parametrize(
    ("host", "loopback", "link_local"),
    [
        ("localhost", True, False),
        ("app.localhost", True, False),
        ("notlocalhost", False, False),
        ("127.9.9.9", True, False),
        ("::1", True, False),
        ("169.254.1.1", False, True),
        ("fe80::1%eth0", False, True),
        ("0.0.0.0", False, True),
        ("metadata.google.internal", False, True),
        ("10.0.0.1", False, False),
        ("r.io", False, False),
    ],
)
def test_hosts(host: str, loopback: bool, link_local: bool) -> None:
    assert is_loopback(host) is loopback
    assert is_link_local(host) is link_local


@pytest.mark.parametrize(
    ("registry", "expected"),
    [("R.io", ("r.io", None)), ("r.io:5000", ("r.io", 5000)), ("[::1]:5000", ("::1", 5000))],
)
def test_split_host(registry: str, expected: tuple[str, int | None]) -> None:
    assert split_host(registry) == expected
