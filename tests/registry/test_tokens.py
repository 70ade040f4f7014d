"""Tokens: read from replies, shared, and renewed in time."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_support import FakeTime

from ko_pants.registry.challenge import PULL, PUSH, Scopes, repository_scopes
from ko_pants.registry.clock import Clock
from ko_pants.registry.tokens import (
    Token,
    TokenOwner,
    TokenStore,
    granted_scopes,
    new_token,
    parse_token,
    renewal_time,
)


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


ANONYMOUS = TokenOwner("r.io", "https", "https://auth.io/token", "registry", "")
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
        def fetch(wanted: Scopes) -> list[Token]:
            self.fetched.append(wanted)
            return [Token(f"token-{len(self.fetched)}", wanted, self.time.now + 100)]

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


def test_tokens_are_shared_with_nobody_else() -> None:
    server = Server()
    owners = [
        ANONYMOUS,
        replace(ANONYMOUS, registry="else.io"),
        replace(ANONYMOUS, scheme="http"),
        replace(ANONYMOUS, realm="https://other.io/token"),
        replace(ANONYMOUS, service="other"),
        replace(ANONYMOUS, credential="somebody"),
    ]
    for _ in range(2):
        values = [server.get(APP_PULL, owner) for owner in owners]
        assert values == [f"token-{n}" for n in range(1, 7)]


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

    def fails(wanted: Scopes) -> list[Token]:
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


def jwt(payload: str) -> str:
    return f"h.{base64.urlsafe_b64encode(payload.encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (
            jwt('{"access": [{"type": "repository", "name": "app", "actions": ["pull", "push"]}]}'),
            APP_PUSH,
        ),
        (jwt('{"access": []}'), frozenset()),
        (jwt('{"access": [{"type": "repository", "name": "app", "actions": ["*"]}]}'), None),
        (jwt('{"access": [{"type": "repository", "name": "team/*", "actions": []}]}'), None),
        (jwt('{"access": [7]}'), None),
        (jwt('{"access": null}'), None),
        (jwt("[]"), None),
        (jwt("[" * 10000), None),
        ("opaque", None),
        ("a.b.c", None),
        ("a.\u00e9.c", None),
        ("", None),
    ],
)
def test_what_a_token_says_that_it_allows(token: str, expected: Scopes | None) -> None:
    assert granted_scopes(token) == expected


# Groups


def test_a_group_is_fetched_once_and_serves_each_of_its_repositories() -> None:
    server = Server()
    wanted = APP_PUSH | BASE_PULL

    def fetch(scopes: Scopes) -> list[Token]:
        server.fetched.append(scopes)
        return [Token("group", scopes, server.time.now + 100)]

    found = server.store.get(ANONYMOUS, APP_PUSH, fetch, lambda scopes, covered: wanted)
    assert (found.value, server.get(BASE_PULL)) == ("group", "group")
    assert server.fetched == [wanted]


def test_what_others_have_or_ask_for_is_covered() -> None:
    server = Server()
    server.get(APP_PULL)
    seen: list[bool] = []

    def fetch(scopes: Scopes) -> list[Token]:
        other = repository_scopes("other", PULL)

        def widen(scopes: Scopes, covered: Callable[[Scopes], bool]) -> Scopes:
            seen.extend(covered(s) for s in (APP_PULL, BASE_PULL, APP_PUSH))
            return scopes

        # While the first is under way.
        if scopes == BASE_PULL:
            server.store.get(ANONYMOUS, other, fetch, widen)
        return [Token("t", scopes, server.time.now + 100)]

    server.store.get(ANONYMOUS, BASE_PULL, fetch)
    assert seen == [True, True, False]


def test_a_repository_that_left_its_group_gets_a_token_of_its_own() -> None:
    server = Server()
    group = Token("group", APP_PUSH | BASE_PULL, server.time.now + 100, shared=True)
    server.store.get(ANONYMOUS, group.scopes, lambda scopes: [group])
    assert server.store.narrow("r.io", "group", "app")
    assert server.get(BASE_PULL) == "group"
    assert server.get(APP_PUSH) == "token-1"
    assert server.store.find(ANONYMOUS, BASE_PULL, shared=False) is None


def test_whoever_waited_for_a_group_in_vain_asks_alone() -> None:
    server = Server()
    entered, second = threading.Event(), threading.Event()

    def fails(scopes: Scopes) -> list[Token]:
        entered.set()
        assert second.wait(20)
        raise RuntimeError("busy")

    def get() -> str:
        second.set()
        return server.get(BASE_PULL)

    with ThreadPoolExecutor(2) as pool:
        both = APP_PUSH | BASE_PULL
        failing = pool.submit(server.store.get, ANONYMOUS, APP_PUSH, fails, lambda s, c: both)
        assert entered.wait(20)
        waiting = pool.submit(get)
        assert isinstance(failing.exception(20), RuntimeError)
        assert waiting.result(20) == "token-1"


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=12),
    st.integers(1, 10),
)
def test_every_thread_gets_a_token_for_what_it_wants_and_nothing_is_fetched_twice(
    wants: list[set[int]], size: int
) -> None:
    server = Server()
    scopes_of = [repository_scopes(f"app{n}", PUSH) for n in range(10)]

    def widen(scopes: Scopes, covered: Callable[[Scopes], bool]) -> Scopes:
        free = [more for more in scopes_of if not covered(more)]
        return scopes.union(*free[:size])

    def fetch(scopes: Scopes) -> list[Token]:
        server.fetched.append(scopes)
        return [Token(f"t{len(server.fetched)}", scopes, server.time.now + 100)]

    barrier = threading.Barrier(len(wants))

    def get(numbers: set[int]) -> bool:
        wanted: Scopes = frozenset().union(*(scopes_of[n] for n in numbers))
        barrier.wait(20)
        return wanted <= server.store.get(ANONYMOUS, wanted, fetch, widen).scopes

    with ThreadPoolExecutor(len(wants)) as pool:
        assert all(pool.map(get, wants))
    assert len(server.fetched) == len(set(server.fetched)) <= len(wants)
    if size == 10:
        assert len(server.fetched) == 1


# Runs of one daemon


def keep(server: Server, lifetime: float) -> None:
    now = server.time.now
    token = new_token("kept", APP_PULL, lifetime, now, now)
    server.store.get(ANONYMOUS, APP_PULL, lambda scopes: [token])


def test_a_later_run_finds_the_tokens_of_an_earlier_one() -> None:
    first, later = Server(), Server()
    keep(first, 300)
    assert later.get(APP_PULL) == "kept"
    assert later.store.is_recalled("kept")
    assert not first.store.is_recalled("kept")
    other = replace(ANONYMOUS, credential="another")
    assert later.get(APP_PULL, other) == "token-1"


def test_a_token_that_is_refused_is_gone_for_later_runs_too() -> None:
    keep(Server(), 300)
    later = Server()
    later.get(APP_PULL)
    assert later.store.forget("r.io", "kept")
    assert Server().get(APP_PULL) == "token-1"


@pytest.mark.parametrize(
    ("lifetime", "passed", "expected"),
    [
        (300, 269, "kept"),
        (300, 271, "token-1"),
        # However long it lives, a later run uses it for a quarter of an hour.
        (36000, 899, "kept"),
        (36000, 901, "token-1"),
    ],
)
def test_how_long_later_runs_use_a_token(lifetime: float, passed: float, expected: str) -> None:
    keep(Server(), lifetime)
    later = Server()
    later.time.advance(passed)
    assert later.get(APP_PULL) == expected


def test_a_laptop_that_slept() -> None:
    keep(Server(), 300)
    fake = FakeTime()
    # The monotonic clock stood still.
    clock = Clock(monotonic=lambda: fake.now, wall=lambda: fake.now + 400)
    assert TokenStore(clock).find(ANONYMOUS, APP_PULL) is None


def test_a_run_hears_of_the_tokens_that_it_recalls() -> None:
    keep(Server(), 300)
    heard: list[str] = []
    store = TokenStore(FakeTime().clock(), heard.extend)
    assert heard == []
    assert store.find(ANONYMOUS, BASE_PULL) is None
    assert heard == ["kept"]
