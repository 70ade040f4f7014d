"""Every endpoint × every fault: a push completes with exactly the right bytes, or it fails clearly,
leaves the old tag alone, and the next run completes it.

Each cell of the matrix is one test; the table is printed at the end (see it with `-s`).
"""

from __future__ import annotations

from typing import Iterator

import pytest
from fault_registry import ENDPOINTS, PASSWORD, digest_of
from registry_world import World, new_world

from ko_pants.registry.client import RegistryError

# Endpoint -> what can go wrong with it once, and is then survived.
_STATUSES = ("408", "429 seconds", "429 date", "500", "502", "503", "503 html", "504")
_TRANSIENT = {
    **dict.fromkeys(
        (e for e in ENDPOINTS if e not in ("token", "root")),
        ("reset before", "reset after", "reset in body", *_STATUSES, "401 expired"),
    ),
    "token": ("reset before", "reset after", "reset in body", *_STATUSES),
}
# Oddities and lies which happen once, and are seen through.
_WHOLE = "PUT whole blob"  # the endpoint "PUT upload", where a blob is not sent in chunks
_SURVIVED = {
    _WHOLE: (
        *("reset before", "reset after", "reset in body", *_STATUSES, "401 expired"),
        *("404", "202", "wrong digest", "no digest", "401 in body", "redirect elsewhere"),
    ),
    "HEAD manifest": (
        "405",
        "403",
        "no digest",
        "wrong digest",
        "redirect elsewhere",
        "short body",
    ),
    "GET manifest": ("short body", "wrong length", "drip", "redirect elsewhere"),
    "PUT manifest": ("no digest", "wrong digest", "drip", "short body", "401 in body"),
    "PUT tag": ("no digest", "wrong digest", "drip", "short body", "401 in body"),
    "HEAD blob": ("405", "403", "redirect elsewhere"),
    "GET blob": ("short body", "wrong length", "length too small", "drip", "redirect elsewhere"),
    "POST mount": ("202", "400", "403", "404", "405", "wrong digest"),
    "POST upload": ("location elsewhere", "no location"),
    "PATCH upload": ("404", "416", "202", "400", "405", "location elsewhere", "401 in body"),
    "GET upload": ("404", "416", "403"),
    "PUT upload": ("404", "416", "202", "wrong digest", "no digest", "401 in body"),
    "token": ("short body", "drip", "wrong length"),
}
# What cannot be survived, but must be told clearly.
_FATAL = {
    _WHOLE: ("403", "413", "400", "500", "202"),
    "HEAD manifest": ("redirect loop", "500"),
    "GET manifest": (
        *("403", "404", "redirect loop", "wrong digest", "wrong bytes", "oversized", "garbage"),
        *("length too small", "reset before", "short body", "drip", "429 seconds"),
    ),
    "PUT manifest": ("403", "404", "413", "redirect loop", "reset before", "429 date", "503"),
    "PUT tag": ("403", "404", "413", "redirect loop", "reset before", "429 date", "503"),
    "HEAD blob": ("redirect loop", "500"),
    "GET blob": (
        *("403", "404", "redirect loop", "wrong bytes", "oversized", "reset in body"),
        *("short body", "416"),
    ),
    "POST upload": ("403", "404", "413", "429 seconds", "redirect loop", "500"),
    "PUT upload": ("403", "reset before", "404", "500", "202"),
    "PATCH upload": ("403", "413", "reset before", "500"),
    "token": ("403", "garbage", "oversized", "reset before", "500", "429 seconds"),
}
# Places to which no client may be led: where a host says so, and what it must not hear.
_LURES = (
    ("POST upload", "location to", "http://169.254.169.254/latest/"),
    ("POST upload", "location to", "http://registry.invalid/upload"),
    ("POST upload", "location to", "file:///etc/passwd"),
    ("GET blob", "redirect to", "http://169.254.169.254/latest/"),
    ("GET blob", "redirect to", "http://blobs.invalid/x"),
    ("GET manifest", "redirect to", "gopher://127.0.0.1/x"),
    ("PATCH upload", "location to", "http://[fe80::1]/x"),
    ("PUT tag", "redirect to", "http://registry.invalid/v2/x"),
)

_CELLS = [
    *((e, f, 1, "completes") for t in (_TRANSIENT, _SURVIVED) for e, fs in t.items() for f in fs),
    *((e, f, None, "fails") for e, fs in _FATAL.items() for f in fs),
]


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("auth")) as world:
        yield world


_TABLE: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print the matrix when all of its cells have run."""
    yield
    width = max((len(f) for f, _ in _TABLE), default=0)
    lines = [
        f"{fault:{width}}  {endpoint:14} {outcome}" for (fault, endpoint), outcome in _TABLE.items()
    ]
    print(f"\n{len(_TABLE)} cells (fault, endpoint, outcome with requests made):")
    print("\n".join(sorted(lines)))


def _label(fault: str, count: int | None) -> str:
    return fault if count == 1 else f"{fault} (always)"


@pytest.mark.parametrize(
    ("endpoint", "fault", "count", "outcome"),
    _CELLS,
    ids=[f"{e}-{_label(f, c)}" for e, f, c, _ in _CELLS],
)
def test_cell(world: World, endpoint: str, fault: str, count: int | None, outcome: str) -> None:
    registry = world.registry
    if endpoint == "GET upload":
        # Reached only after a broken chunk.
        registry.fail("PATCH upload", "reset before")
    met = "PUT upload" if endpoint == _WHOLE else endpoint
    registry.fail(met, fault, count)
    client = world.client(whole=endpoint == _WHOLE)
    if outcome == "completes":
        made = world.publish(client, world.new)
        world.check_complete()
        _TABLE[_label(fault, count), endpoint] = f"completes, {made} requests"
        assert registry.commits[digest_of(world.new.layer)] == 1
    else:
        with pytest.raises(RegistryError) as caught:
            world.publish(client, world.new)
        message = str(caught.value)
        assert registry.host in message
        assert PASSWORD not in message
        assert "canary-token" not in message
        assert "_state" not in message
        assert registry.tags["app", "v1"] == digest_of(world.old.index), "the old tag was moved"
        registry.heal()
        world.publish(world.client(), world.new)
        world.check_complete()
        _TABLE[_label(fault, count), endpoint] = f"fails, then completes: {message[:60]}"
    assert registry.count(met), "the fault was not met"
    assert not any("Authorization" in seen.headers for seen in world.elsewhere.seen)


@pytest.mark.parametrize(("endpoint", "fault", "target"), _LURES)
def test_lured_away(world: World, endpoint: str, fault: str, target: str) -> None:
    world.registry.fail(endpoint, fault, None, target)
    with pytest.raises(RegistryError, match="unsafe Location"):
        world.publish(world.client(), world.new)
    assert world.registry.tags["app", "v1"] == digest_of(world.old.index)
    world.registry.heal()
    world.publish(world.client(), world.new)
    world.check_complete()
    _TABLE[f"{fault} {target}", endpoint] = "refused, then completes"


@pytest.mark.parametrize(
    "realm",
    [
        "http://169.254.169.254/token",
        "http://tokens.invalid/token",
        "ftp://127.0.0.1/token",
        "http://user:pw@127.0.0.1/token",
        "no URL at all",
    ],
)
def test_realm_is_not_safe(world: World, realm: str) -> None:
    world.registry.realm = realm
    with pytest.raises(RegistryError, match="no credentials were sent") as caught:
        world.publish(world.client(), world.new)
    assert PASSWORD not in str(caught.value)
    _TABLE[f"realm {realm}", "token"] = "refused"


def test_no_fault_needs_few_requests(world: World) -> None:
    client = world.client()
    world.registry.auth = "none"
    world.publish(client, world.new)
    world.check_complete()
    assert world.publish(client, world.new) == 1
