"""The parts of the registry client that need no registry: parsing, safety rules, waiting."""

from __future__ import annotations

import email.utils
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_support import FakeTime

from ko_pants.registry.auth import lookup_keys
from ko_pants.registry.challenge import (
    format_scopes,
    parse_challenges,
    parse_scopes,
    repository_scopes,
)
from ko_pants.registry.endpoints import (
    Origin,
    ProxyRules,
    UnsafeUrl,
    add_query,
    check_followed,
    resolve_location,
)
from ko_pants.registry.errors import Redactor, decode_errors, named_digests, printable
from ko_pants.registry.progress import TransferProgress
from ko_pants.registry.retry import Attempts, Pace, RetryBudget, RetryPolicy, parse_retry_after
from ko_pants.registry.tokens import parse_token


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
            'scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'BASIC Realm=plain, Bearer realm="a \\"b\\", c" , service = s',
            [("basic", {"realm": "plain"}), ("bearer", {"realm": 'a "b", c', "service": "s"})],
        ),
        ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
        (',, Basic realm="x",', [("basic", {"realm": "x"})]),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(c.scheme, dict(c.params)) for c in parse_challenges(header)] == expected


@given(st.text())
def test_challenges_never_fail(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower()


_NAMES = st.text("abc/.-:0", min_size=1, max_size=12)


@given(
    st.frozensets(st.tuples(st.sampled_from(["repository", "x"]), _NAMES, st.sampled_from("pqr")))
)
def test_scopes_survive_their_text(scopes: frozenset[tuple[str, str, str]]) -> None:
    assert parse_scopes(" ".join(format_scopes(scopes))) == scopes


def test_scopes_of_one_repository_merge() -> None:
    both = repository_scopes("a/b", ("push",)) | parse_scopes("repository:a/b:pull registry:c:*")
    assert format_scopes(both) == ("registry:c:*", "repository:a/b:pull,push")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("soon", None),
        ("-3", None),
        (email.utils.formatdate(1030, usegmt=True), 30.0),
        (email.utils.formatdate(10, usegmt=True), 0.0),
        ("Wed, 99 Foo 2020 00:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, 1000.0) == expected


@given(st.text())
def test_retry_after_never_fails(value: str) -> None:
    found = parse_retry_after(value, 1000.0)
    assert found is None or found >= 0


def test_attempts_are_bounded_and_wait_longer_each_time() -> None:
    time = FakeTime()
    attempts = Attempts(RetryPolicy(attempts=5), RetryBudget(100), time.clock())
    pace = Pace(time.clock())
    assert [attempts.again(pace) for _ in range(6)] == [True] * 4 + [False] * 2
    assert time.slept == sorted(time.slept)
    assert attempts.gave_up == "tried 5 times"


def test_the_budget_of_a_run_is_shared() -> None:
    time, budget = FakeTime(), RetryBudget(3)
    pace = Pace(time.clock())
    granted = [Attempts(RetryPolicy(), budget, time.clock()).again(pace) for _ in range(5)]
    assert granted == [True, True, True, False, False]


def test_retry_after_holds_back_the_host_and_not_only_one_request() -> None:
    time = FakeTime()
    pace = Pace(time.clock())
    assert Attempts(RetryPolicy(), RetryBudget(9), time.clock()).again(pace, retry_after=20)
    assert time.slept == []
    pace.wait()
    assert 20 <= sum(time.slept) <= 21


def test_a_retry_after_of_hours_is_not_waited_for() -> None:
    time = FakeTime()
    attempts = Attempts(RetryPolicy(), RetryBudget(9), time.clock())
    assert not attempts.again(Pace(time.clock()), retry_after=7200)
    assert attempts.gave_up == "it asks to come back in 7200 s"


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


def test_lookup_keys_are_specific_first_and_know_the_hub() -> None:
    assert lookup_keys("r.io", "a/b") == ("r.io/a/b", "r.io/a", "r.io")
    assert lookup_keys("index.docker.io", "")[:2] == ("index.docker.io", "docker.io")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"errors":[{"code":"DENIED","message":"no","detail":{"a":1}}]}',
            ['DENIED: no: {"a": 1}'],
        ),
        (b'{"details":"incorrect username or password"}', ["incorrect username or password"]),
        (b'{"error":"invalid_grant","error_description":"old"}', ["invalid_grant: old"]),
        (b"<html><body>busy</body></html>", []),
        (b"\x1b[31mplain\r\ntext", ["[31mplain text"]),
        (b"[]", []),
        (b'{"errors":[1,{}]}', []),
        (b"", []),
        (b"[" * 100_000, ["[" * 199 + "…"]),
    ],
)
def test_error_bodies(body: bytes, expected: list[str]) -> None:
    assert [str(e) for e in decode_errors(body)] == expected


@given(st.binary())
def test_error_bodies_never_fail(body: bytes) -> None:
    for error in decode_errors(body):
        assert str(error).isprintable() or "\u2028" in str(error) or str(error)
        assert "\x1b" not in str(error)
    named_digests(body)


def test_missing_digests_are_found() -> None:
    digest = "sha256:" + "a" * 64
    body = f'{{"errors":[{{"detail":{{"digest":"{digest}"}}}}]}}'.encode()
    assert named_digests(body) == (digest,)


@pytest.mark.parametrize(
    "text",
    [
        "s3cr3t-pass/word",
        "s3cr3t-pass%2Fword",
        "Authorization: Bearer abcdefghijkl.mnop",
        "https://user:s3cr3t-pass/word@h/x",
        "https://cdn/x?X-Amz-Signature=deadbeef&s3cr3t",
    ],
)
def test_redaction(text: str) -> None:
    redact = Redactor()
    redact.add(["s3cr3t-pass/word"])
    shown = redact(f"it says {text}!")
    for secret in ("s3cr3t", "abcdefghijkl", "deadbeef"):
        assert secret not in shown
    assert shown.startswith("it says ")


def test_printable_is_one_short_line() -> None:
    assert printable("a\x00\nb\x1b[2J" + "c" * 100, 10) == "a b [2Jcc…"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"token":"t"}', ("t", 60.0)),
        (b'{"access_token":"t","expires_in":300}', ("t", 300.0)),
        (b'{"token":"t","expires_in":-1}', ("t", 60.0)),
        (b'{"token":"t","expires_in":true}', ("t", 60.0)),
        (b'{"token":"a\\r\\nb"}', ("", 0.0)),
        (b'{"token":7}', ("", 0.0)),
        (b"[]", ("", 0.0)),
        (b"{", ("", 0.0)),
    ],
)
def test_token_replies(body: bytes, expected: tuple[str, float]) -> None:
    assert parse_token(body) == expected


def test_progress_is_silent_when_short_and_tells_bytes_and_rate_when_long() -> None:
    lines: list[str] = []
    now = [0.0]
    progress = TransferProgress("layer", 80_000_000, lines.append, clock=lambda: now[0])
    for second in range(1, 8):
        now[0] = float(second)
        progress(second * 4_000_000)
    assert lines == [
        "layer: 12.0 of 80.0 MB, 4.0 MB/s",
        "layer: 24.0 of 80.0 MB, 4.0 MB/s",
    ]


def test_importing_the_client_is_cheap() -> None:
    code = (
        "import sys; import ko_pants.registry.client as c; c.RegistryClient(c.RegistryConfig({}));"
        "print([m for m in ('requests', 'ssl', 'http.client', 'subprocess') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
