"""The cloud registry of the benchmark: TLS, tokens and counters are real."""

from __future__ import annotations

import base64
import json
import re
import shutil
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.certificates import make_server_certificate, make_signing_key
from bench.cloud import CloudRegistry, Distance
from bench.cloud_rows import CLOUD_ROWS
from bench.delay import Line
from bench.registry import BASE_REPOSITORY, base_digest
from bench.rows import ROWS
from bench.token_server import SEVERAL_SCOPES, TokenServer

_MANIFEST = f"/v2/{BASE_REPOSITORY}/manifests/{base_digest()}"


@pytest.fixture(autouse=True)
def _openssl() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on PATH")


def _make(place: Path, distance: Distance, *, tokens: bool = True) -> CloudRegistry:
    try:
        return CloudRegistry(place, distance, tokens=tokens)
    except SystemExit as e:
        pytest.skip(str(e))


@pytest.fixture
def registry(request: Any, tmp_path: Path) -> Iterator[CloudRegistry]:
    """A registry without a round trip; the parameter says if it has a token server."""
    made = _make(tmp_path, Distance(0.0), tokens=request.param)
    try:
        made.start()
        yield made
    finally:
        made.close()


def _ask(
    registry: CloudRegistry, url: str, authorization: str = "", method: str = "GET"
) -> tuple[int, Any, bytes]:
    """Status, headers and body, with the authority that clients are told to trust."""
    context = ssl.create_default_context(cafile=registry.environment["SSL_CERT_FILE"])
    headers = {"Authorization": authorization} if authorization else {}
    request = urllib.request.Request(url, headers=headers, method=method)
    request.add_header("Accept", "application/vnd.oci.image.index.v1+json")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request) as reply:
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers, e.read()


def _login(registry: CloudRegistry) -> str:
    entry = registry.logins[registry.host]
    assert isinstance(entry, dict)
    return f"Basic {entry['auth']}"


@pytest.mark.parametrize("registry", [True], indirect=True)
def test_a_token_for_two_repositories_opens_the_registry(registry: CloudRegistry) -> None:
    position = registry.position()
    url = f"https://{registry.host}{_MANIFEST}"
    status, headers, _ = _ask(registry, url, method="HEAD")
    assert status == 401
    challenge = dict(re.findall(r'(\w+)="([^"]*)"', headers["WWW-Authenticate"]))
    query = (
        f"service={challenge['service']}&scope=repository:ours/a:pull,push"
        f"&scope=repository:{BASE_REPOSITORY}:pull"
    )
    assert _ask(registry, f"{challenge['realm']}?{query}", "Basic wrong")[0] == 401
    _, _, body = _ask(registry, f"{challenge['realm']}?{query}", _login(registry))
    token = json.loads(body)["token"]
    assert _ask(registry, url, f"Bearer {token}", method="HEAD")[0] == 200
    found = registry.requests_since(position)
    assert found.by_method == {"HEAD": 2}
    assert found.others["tokens"] == found.others["connections for tokens"] == 2
    assert found.others["connections"] == 2
    assert found.others["bytes sent"] > 1000


@pytest.mark.parametrize("registry", [False], indirect=True)
def test_basic_opens_the_registry_for_who_knows_no_tokens(registry: CloudRegistry) -> None:
    url = f"https://{registry.host}{_MANIFEST}"
    status, headers, _ = _ask(registry, url)
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Basic")
    assert _ask(registry, url, _login(registry))[0] == 200
    assert registry.base_image.endswith(f"/{BASE_REPOSITORY}@{base_digest()}")


def test_a_registry_is_near_for_a_while(tmp_path: Path) -> None:
    registry = _make(tmp_path, Distance(0.04, bytes_per_second=1000.0))
    try:
        lines = (registry.line, registry.token_line)
        with registry.near():
            assert [line.round_trip_seconds for line in lines] == [0.0, 0.0]
            assert registry.line.bytes_per_second == 1000.0
        assert [line.round_trip_seconds for line in lines] == [0.04, 0.04]
    finally:
        registry.close()


@pytest.mark.parametrize("several", SEVERAL_SCOPES)
def test_what_a_token_server_does_with_several_scopes(tmp_path: Path, several: str) -> None:
    server = TokenServer(
        make_server_certificate(tmp_path, ["IP:127.0.0.1"]),
        make_signing_key(tmp_path),
        "Basic x",
        several_scopes=several,
        lifetime_seconds=60,
    )
    try:
        status, document = server.answer(
            "Basic x", "service=s&scope=repository:a/b:pull,push&scope=repository:c:pull"
        )
        assert server.answer("Basic x", "scope=repository:c:pull")[0] == 200
    finally:
        server.close()
    assert server.requests == 2
    if several == "refuse":
        assert status == 400
        return
    claims = document["token"].split(".")[1]
    access = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["access"]
    assert access[0] == {"type": "repository", "name": "a/b", "actions": ["pull", "push"]}
    assert [granted["name"] for granted in access[1:]] == (["c"] if several == "all" else [])
    assert 50 < document["expires_in"] <= 60


def test_connections_take_turns_on_a_line_with_a_cap() -> None:
    line = Line(0.04, bytes_per_second=1000.0)
    assert [line.leaves_at(now, 500) for now in (10.0, 10.0, 10.2, 20.0)] == [
        *(10.5, 11.0, 11.5, 20.5)
    ]
    assert line.bytes_sent == 2000
    assert Line(0.04).leaves_at(10.0, 10**9) == 10.0


def test_the_rows_have_names_of_their_own() -> None:
    names = [row.name for row in (*ROWS, *CLOUD_ROWS)]
    assert len(set(names)) == len(names)
    assert all(row.title and row.setup and row.measured and row.peer for row in CLOUD_ROWS)
