"""Tokens: read from replies, shared, and renewed in time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from registry_support import FakeTime

from ko_pants.registry.challenge import PULL, PUSH, Scopes, repository_scopes
from ko_pants.registry.tokens import Token, TokenOwner, TokenStore, parse_token, renewal_time


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"token":"t"}', ("t", 60.0)),
        (b'{"access_token":"t","expires_in":300}', ("t", 300.0)),
        (b'{"token":"t","expires_in":-1}', ("t", 60.0)),
        (b'{"token":"t","expires_in":0}', ("t", 60.0)),
        (b'{"token":"t","expires_in":1}', ("t", 1.0)),
        (b'{"token":"t","expires_in":true}', ("t", 60.0)),
        (b'{"token":"a\\r\\nb"}', ("", 0.0)),
        (b'{"token":7}', ("", 0.0)),
        (b"[]", ("", 0.0)),
        (b"{", ("", 0.0)),
    ],
)
def test_token_replies(body: bytes, expected: tuple[str, float]) -> None:
    assert parse_token(body) == expected


def test_a_token_does_not_live_longer_than_a_day() -> None:
    assert parse_token(b'{"token":"t","expires_in":1e9}') == ("t", 86400.0)


@pytest.mark.parametrize(
    ("lifetime", "renewed_after"), [(60.0, 54.0), (300.0, 270.0), (3600.0, 3570.0), (10.0, 9.0)]
)
def test_a_token_is_renewed_a_tenth_of_its_life_early_but_at_most_30_seconds(
    lifetime: float, renewed_after: float
) -> None:
    assert renewal_time(1000.0, lifetime) == 1000.0 + renewed_after


ANONYMOUS = TokenOwner("r.io", "")
APP_PULL = repository_scopes("app", PULL)
APP_PUSH = repository_scopes("app", PUSH)
BASE_PULL = repository_scopes("base", PULL)


class Server:
    """Hands out numbered tokens that live 100 seconds."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.store = TokenStore(self.time.clock())
        self.fetched: list[Scopes] = []

    def get(self, scopes: Scopes, owner: TokenOwner = ANONYMOUS) -> str:
        def fetch() -> Token:
            self.fetched.append(scopes)
            return Token(f"token-{len(self.fetched)}", scopes, self.time.now + 100)

        return self.store.get(owner, scopes, fetch).value


def test_a_token_is_used_until_it_must_be_renewed() -> None:
    server = Server()
    assert server.get(APP_PULL) == "token-1"
    server.time.advance(99.9)
    assert server.get(APP_PULL) == "token-1"
    server.time.advance(0.1)
    assert server.get(APP_PULL) == "token-2"
    assert server.get(APP_PULL) == "token-2"


def test_a_token_serves_for_less_than_it_allows_and_not_for_more() -> None:
    server = Server()
    server.get(APP_PUSH)
    assert server.get(APP_PULL) == "token-1"
    assert server.get(APP_PULL | BASE_PULL) == "token-2"
    assert server.get(BASE_PULL) == "token-2"
    server.time.advance(100)
    assert server.get(BASE_PULL) == "token-3"


def test_tokens_are_not_shared_between_credentials_or_registries() -> None:
    server = Server()
    owners = [ANONYMOUS, TokenOwner("r.io", "file"), TokenOwner("else.io", "")]
    assert [server.get(APP_PULL, owner) for owner in owners] == ["token-1", "token-2", "token-3"]


def test_a_token_that_was_refused_is_not_used_again() -> None:
    server = Server()
    server.get(APP_PULL)
    server.get(BASE_PULL)
    assert not server.store.forget("else.io", "token-1")
    assert not server.store.forget("r.io", "token-9")
    assert server.store.forget("r.io", "token-1")
    assert not server.store.forget("r.io", "token-1")
    assert server.get(APP_PULL) == "token-3"
    assert server.get(BASE_PULL) == "token-2"


def test_a_server_that_fails_is_asked_again() -> None:
    server = Server()

    def fails() -> Token:
        raise RuntimeError("busy")

    with pytest.raises(RuntimeError, match="busy"):
        server.store.get(ANONYMOUS, APP_PULL, fails)
    assert server.get(APP_PULL) == "token-1"


def test_many_threads_fetch_one_token() -> None:
    server = Server()
    barrier = threading.Barrier(6)

    def get(_: int) -> str:
        barrier.wait(20)
        return server.get(APP_PULL)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(get, range(6))) == {"token-1"}
    assert len(server.fetched) == 1


def test_a_token_is_not_shown() -> None:
    assert "canary" not in repr(Token("canary", APP_PULL, 0.0))
