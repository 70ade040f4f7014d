"""What is known of a registry: its scheme, its challenge, and who asks first."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Iterator

import pytest
from registry_support import reply_of

from ko_pants.registry import tls
from ko_pants.registry.contacts import Contact, Contacts
from ko_pants.registry.endpoints import Origin

BEARER = 'Bearer realm="https://auth.io/token"'


def direct(origin: Origin) -> str | None:
    return None


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The hosts that were probed for TLS; `both.lan` and port 5443 speak it."""
    seen: list[tuple[str, int]] = []

    def speaks_tls(host: str, port: int, timeout: float) -> bool:
        seen.append((host, port))
        return host == "both.lan" or port == 5443

    monkeypatch.setattr(tls, "speaks_tls", speaks_tls)
    return seen


def test_plain_http_is_spoken_with_no_host_that_is_not_allowed_to(
    probed: list[tuple[str, int]],
) -> None:
    contacts = Contacts(frozenset({"plain.lan:5000", "both.lan"}), direct)
    for _ in range(2):
        assert contacts.of("r.io").base_url == "https://r.io"
        assert contacts.of("plain.lan").base_url == "https://plain.lan"
        assert contacts.of("plain.lan:5000").base_url == "http://plain.lan:5000"
        assert contacts.of("both.lan").base_url == "https://both.lan"
    assert probed == [("plain.lan", 5000), ("both.lan", 443)]


def test_an_insecure_registry_behind_a_proxy_is_not_probed(probed: list[tuple[str, int]]) -> None:
    asked: list[Origin] = []

    def proxied(origin: Origin) -> str | None:
        asked.append(origin)
        return "http://proxy:3128"

    contact = Contacts(frozenset({"both.lan"}), proxied).of("both.lan")
    assert contact.base_url == "http://both.lan"
    assert asked == [Origin("http", "both.lan", 80)]
    assert probed == []


def test_loopback_is_http_until_a_reply_decides(probed: list[tuple[str, int]]) -> None:
    contact = Contacts(frozenset(), direct).of("127.0.0.1:5000")
    assert contact.home == Origin("http", "127.0.0.1", 5000)
    assert not contact.scheme
    contact.learn(reply_of(200, "http://127.0.0.1:5000/v2/"))
    assert contact.known
    assert contact.scheme == "http"
    assert probed == []


@pytest.mark.parametrize(("port", "scheme"), [(5443, "https"), (5000, "http")])
def test_a_bad_reply_of_loopback_makes_it_probed_once(
    probed: list[tuple[str, int]], port: int, scheme: str
) -> None:
    contact = Contacts(frozenset(), direct).of(f"localhost:{port}")
    assert contact.turns_out_tls("http") is (scheme == "https")
    # Another thread spoke http at the same time.
    assert contact.turns_out_tls("http") is (scheme == "https")
    assert not contact.turns_out_tls("https")
    assert contact.home.scheme == scheme
    assert probed == [("localhost", port)]


def test_a_bad_reply_of_another_host_says_nothing(probed: list[tuple[str, int]]) -> None:
    contact = Contacts(frozenset(), direct).of("both.lan:5443")
    assert contact.base_url == "https://both.lan:5443"
    assert not contact.turns_out_tls("https")
    assert probed == []


def test_the_last_challenge_counts_and_one_without_is_ignored() -> None:
    contact = Contact("r.io", False, direct)
    contact.learn(reply_of(200))
    assert contact.challenge is None
    other = Contact("else.io", False, direct)
    other.learn(reply_of(401, "https://else.io/v2/", WWW_Authenticate=BEARER))
    assert other.challenge is not None
    assert contact.note_challenge(reply_of(401, WWW_Authenticate="Basic realm=x"))
    found = contact.note_challenge(reply_of(401, WWW_Authenticate=BEARER))
    assert found is contact.challenge
    assert contact.note_challenge(reply_of(401)) is None
    assert contact.note_challenge(reply_of(403, WWW_Authenticate="Basic realm=x")) is None
    assert contact.challenge is found
    assert found is not None
    assert found.scheme == "bearer"


def test_registries_are_known_apart() -> None:
    contacts = Contacts(frozenset(), direct)
    assert contacts.of("r.io") is contacts.of("r.io")
    contacts.of("r.io").learn(reply_of(200))
    assert not contacts.of("r.io:5000").known


class CountedWaits(threading.Condition):
    """A condition that tells how many wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.release()
        assert super().wait(20), "nobody said that anything has changed"
        return True


class Crowd:
    """A first one in this thread, and three others that wait for it."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.contact = Contact("r.io", False, direct)
        self._waits = self.contact._changed = CountedWaits()
        self._pool = pool
        self.others: list[Future[bool]] = []

    def wait(self) -> None:
        """Let the others enter, and come back when they wait."""

        def enter() -> bool:
            with self.contact.first() as mine:
                return mine

        self.others = [self._pool.submit(enter) for _ in range(3)]
        for _ in range(3):
            assert self._waits.waits.acquire(timeout=60)

    def found(self) -> list[bool]:
        return [future.result(20) for future in self.others]


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with ThreadPoolExecutor(3) as pool:
        yield Crowd(pool)


def test_others_go_on_as_soon_as_the_first_has_a_reply(crowd: Crowd) -> None:
    contact = crowd.contact
    with contact.first() as mine:
        assert mine
        crowd.wait()
        contact.learn(reply_of(200))
        assert crowd.found() == [False] * 3
    assert not contact.failed
    with contact.first() as mine:
        assert not mine


def test_the_first_one_may_enter_again_while_others_wait(crowd: Crowd) -> None:
    with crowd.contact.first():
        crowd.wait()
        with crowd.contact.first() as again:
            assert again
        assert not any(future.done() for future in crowd.others)
        assert not crowd.contact.failed
        crowd.contact.learn(reply_of(200))
        assert crowd.found() == [False] * 3


def test_after_a_failure_others_go_on_and_the_next_may_be_first(crowd: Crowd) -> None:
    contact = crowd.contact
    assert not contact.failed
    with contact.first():
        crowd.wait()
    assert crowd.found() == [False] * 3
    assert contact.failed
    assert not contact.known
    with contact.first() as mine:
        assert mine
        contact.learn(reply_of(200))
    assert not contact.failed


# What an earlier run knew


def test_what_a_registry_was_like_is_remembered() -> None:
    Contacts(frozenset(), direct).of("r.io").learn(reply_of(401, WWW_Authenticate=BEARER))
    Contacts(frozenset(), direct).of("open.io").learn(reply_of(404, "https://open.io/v2/"))
    later = Contacts(frozenset(), direct)
    known, free, new = (later.of(name) for name in ("r.io", "open.io", "new.io"))
    assert (known.known, known.remembered) == (free.known, free.remembered) == (True, True)
    assert known.challenge is not None
    assert known.challenge.params == {"realm": "https://auth.io/token"}
    assert free.challenge is None
    assert not new.known


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_a_reply_of_failure_is_not_what_a_registry_is_like(status: int) -> None:
    Contacts(frozenset(), direct).of("r.io").learn(reply_of(status))
    assert not Contacts(frozenset(), direct).of("r.io").known


def test_a_challenge_over_plain_http_does_not_count_over_tls(
    probed: list[tuple[str, int]],
) -> None:
    insecure = frozenset({"plain.lan:5000"})
    reply = reply_of(401, "http://plain.lan:5000/v2/", WWW_Authenticate=BEARER)
    Contacts(insecure, direct).of("plain.lan:5000").learn(reply)
    # The option has gone.
    contact = Contacts(frozenset(), direct).of("plain.lan:5000")
    assert not contact.known
    assert contact.challenge is None
    # Whether it speaks TLS by now is asked in every run.
    probed.clear()
    assert Contacts(insecure, direct).of("plain.lan:5000").challenge is not None
    assert probed == [("plain.lan", 5000)]


def test_a_huge_challenge_is_not_remembered() -> None:
    huge = f'Bearer realm="https://auth.io/{"x" * 3000}"'
    contact = Contacts(frozenset(), direct).of("r.io")
    contact.learn(reply_of(401, WWW_Authenticate=huge))
    assert contact.challenge is not None
    assert not Contacts(frozenset(), direct).of("r.io").known


def test_what_is_known_by_now_is_not_forgotten() -> None:
    Contacts(frozenset(), direct).of("r.io").learn(reply_of(401, WWW_Authenticate=BEARER))
    contact = Contacts(frozenset(), direct).of("r.io")
    contact.confirm()
    contact.forget()
    contact.learn_again(reply_of(200))
    assert contact.known
    assert contact.challenge is not None


def test_a_registry_that_lets_everybody_in_by_now() -> None:
    Contacts(frozenset(), direct).of("r.io").learn(reply_of(401, WWW_Authenticate=BEARER))
    contact = Contacts(frozenset(), direct).of("r.io")
    contact.learn_again(reply_of(200))
    assert (contact.challenge, contact.remembered) == (None, False)
    assert Contacts(frozenset(), direct).of("r.io").challenge is None
