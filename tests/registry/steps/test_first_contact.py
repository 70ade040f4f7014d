"""First contact: the scheme, the challenge, and who waits for whom."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from registry_support import StubStep, reply_of, request_to

from ko_pants.registry import tls
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.request import Reply, Request, TransferFailure
from ko_pants.registry.steps.first_contact import FirstContact

PATH = "/v2/app/manifests/v1"
URL = f"https://r.io{PATH}"
CHALLENGE = reply_of(401, URL, WWW_Authenticate='Bearer realm="https://auth.io/token"')


class Authorized:
    """Stands for the authorizing step: remembers what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Reply | None]] = []

    def send(self, request: Request, unauthorized: Reply | None = None) -> Reply:
        self.calls.append((request.url, unauthorized))
        return unauthorized or reply_of(200, request.url)


def first_contact(
    step: StubStep, authorized: Authorized, *, expects: bool = False
) -> tuple[FirstContact, Contacts]:
    contacts = Contacts(frozenset(), lambda origin: None)
    return FirstContact(step.send, authorized.send, contacts, lambda _: expects), contacts


def test_the_first_request_is_sent_without_authorization_and_the_next_is_not() -> None:
    step, authorized = StubStep(CHALLENGE), Authorized()
    first, contacts = first_contact(step, authorized)
    assert first.send(request_to(PATH)) is CHALLENGE
    first.send(request_to(PATH))
    assert step.urls == [URL]
    # The reply to the first goes on to the step that can answer a challenge.
    assert authorized.calls == [(URL, CHALLENGE), (URL, None)]
    challenge = contacts.of("r.io").challenge
    assert challenge is not None
    assert challenge.params["realm"] == "https://auth.io/token"


def test_a_failure_teaches_nothing() -> None:
    step, authorized = StubStep(TransferFailure("reset"), reply_of(200, URL)), Authorized()
    first, contacts = first_contact(step, authorized)
    with pytest.raises(TransferFailure):
        first.send(request_to(PATH))
    assert not contacts.of("r.io").known
    first.send(request_to(PATH))
    assert contacts.of("r.io").known
    assert len(step.requests) == 2


def test_an_absolute_url_is_sent_as_it_is() -> None:
    step, authorized = StubStep(reply_of(200, URL)), Authorized()
    first, _ = first_contact(step, authorized)
    first.send(request_to("https://cdn.io/x"))
    assert authorized.calls == [("https://cdn.io/x", None)]
    assert step.requests == []


LOOPBACK = Request(
    request_to(PATH).session, "GET", type(request_to(PATH).ref)("localhost:5000", "app"), PATH
)


@pytest.mark.parametrize(
    "signs", [reply_of(400, f"http://localhost:5000{PATH}"), TransferFailure("reset")]
)
def test_a_server_of_tls_on_loopback_is_found_out(
    monkeypatch: pytest.MonkeyPatch, signs: Reply | Exception
) -> None:
    monkeypatch.setattr(tls, "speaks_tls", lambda host, port, timeout: True)
    https = f"https://localhost:5000{PATH}"
    step, authorized = StubStep(signs, reply_of(200, https)), Authorized()
    first, contacts = first_contact(step, authorized)
    assert first.send(LOOPBACK).status == 200
    assert step.urls == [f"http://localhost:5000{PATH}", https]
    assert contacts.of("localhost:5000").home.scheme == "https"


def test_a_400_over_plain_http_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    probes: list[str] = []

    def speaks_tls(host: str, port: int, timeout: float) -> bool:
        probes.append(host)
        return False

    monkeypatch.setattr(tls, "speaks_tls", speaks_tls)
    step, authorized = StubStep(reply_of(400, f"http://localhost:5000{PATH}")), Authorized()
    first, contacts = first_contact(step, authorized)
    assert first.send(LOOPBACK).status == 400
    first.send(LOOPBACK)
    assert contacts.of("localhost:5000").scheme == "http"
    assert probes == ["localhost"]


def test_no_connection_says_nothing_of_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "speaks_tls", lambda *args: pytest.fail("probed"))
    step, authorized = StubStep(TransferFailure("refused", connect=True)), Authorized()
    first, _ = first_contact(step, authorized)
    with pytest.raises(TransferFailure):
        first.send(LOOPBACK)
    assert len(step.requests) == 1


class Slow(StubStep):
    """Answers the first request when the test says so."""

    def __init__(self, *outcomes: Reply | Exception) -> None:
        super().__init__(*outcomes)
        self.asked = threading.Event()
        self.answer = threading.Event()

    def send(self, request: Request) -> Reply:
        self.asked.set()
        assert self.answer.wait(20)
        return super().send(request)


def test_others_wait_for_the_first_reply_where_a_challenge_is_expected() -> None:
    step, authorized = Slow(CHALLENGE), Authorized()
    first, _ = first_contact(step, authorized, expects=True)
    with ThreadPoolExecutor(5) as pool:
        sent = [pool.submit(first.send, request_to(PATH)) for _ in range(5)]
        assert step.asked.wait(20)
        assert authorized.calls == []
        step.answer.set()
        for future in sent:
            future.result(20)
    assert len(step.requests) == 1
    assert len(authorized.calls) == 5


def test_the_next_one_asks_first_where_the_first_had_no_reply() -> None:
    step, authorized = Slow(TransferFailure("reset"), CHALLENGE), Authorized()
    first, _ = first_contact(step, authorized, expects=True)
    with ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(first.send, request_to(PATH)) for _ in range(3)]
        assert step.asked.wait(20)
        step.answer.set()
        failed = [future for future in sent if future.exception(20)]
    assert len(failed) == 1
    assert len(step.requests) == 2
    assert len(authorized.calls) == 2


def test_nobody_waits_where_no_challenge_is_expected() -> None:
    together = threading.Barrier(3)

    class Together(StubStep):
        def send(self, request: Request) -> Reply:
            # Breaks unless all three are under way at the same time.
            together.wait(20)
            return super().send(request)

    step, authorized = Together(reply_of(200, URL)), Authorized()
    first, _ = first_contact(step, authorized)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: first.send(request_to(PATH)), range(3)))
    assert len(step.requests) == 3


# What is remembered of an earlier run


def remembered(home: str, challenge: str = "") -> None:
    """An earlier run of the daemon has met `localhost:5000`."""
    reply = reply_of(401 if challenge else 200, home, WWW_Authenticate=challenge)
    contact = Contacts(frozenset(), lambda origin: None).of("localhost:5000")
    contact.learn(reply)


BEARER = 'Bearer realm="https://auth.io/token",service="s",scope="repository:app:pull"'


@pytest.mark.parametrize("home", ["http://localhost:5000/v2/", "https://localhost:5000/v2/"])
@pytest.mark.parametrize("challenge", ["", BEARER])
def test_a_registry_of_an_earlier_run_is_not_asked_who_it_is(home: str, challenge: str) -> None:
    remembered(home, challenge)
    step, authorized = StubStep(reply_of(500)), Authorized()
    first, contacts = first_contact(step, authorized, expects=True)
    contact = contacts.of("localhost:5000")
    assert contact.remembered
    assert first.send(LOOPBACK).status == 200
    assert not contact.remembered
    assert step.requests == []
    assert authorized.calls == [(home[: -len("/v2/")] + PATH, None)]
    # A scope is of one request.
    params = contact.challenge.params if contact.challenge else {}
    assert dict(params) == ({"realm": "https://auth.io/token", "service": "s"} if challenge else {})


class Failing(Authorized):
    """The step behind, which fails once."""

    def __init__(self, outcome: Reply | Exception) -> None:
        super().__init__()
        self.outcome: Reply | Exception | None = outcome

    def send(self, request: Request, unauthorized: Reply | None = None) -> Reply:
        outcome, self.outcome = self.outcome, None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome or super().send(request, unauthorized)


@pytest.mark.parametrize(
    "signs", [reply_of(400, f"http://localhost:5000{PATH}"), TransferFailure("reset")]
)
def test_a_registry_on_loopback_that_speaks_tls_now(
    monkeypatch: pytest.MonkeyPatch, signs: Reply | Exception
) -> None:
    monkeypatch.setattr(tls, "speaks_tls", lambda host, port, timeout: True)
    remembered("http://localhost:5000/v2/", BEARER)
    https = f"https://localhost:5000{PATH}"
    step, authorized = StubStep(TransferFailure("reset"), reply_of(200, https)), Failing(signs)
    first, contacts = first_contact(step, authorized)
    assert first.send(LOOPBACK).status == 200
    assert step.urls == [f"http://localhost:5000{PATH}", https]
    contact = contacts.of("localhost:5000")
    assert (contact.home.scheme, contact.challenge, contact.known) == ("https", None, True)


def test_a_registry_on_loopback_that_speaks_tls_no_more() -> None:
    remembered("https://localhost:5000/v2/", BEARER)
    step = StubStep(reply_of(200, f"http://localhost:5000{PATH}"))
    first, contacts = first_contact(step, Failing(TransferFailure("TLS failed", tls=True)))
    assert first.send(LOOPBACK).status == 200
    assert contacts.of("localhost:5000").home.scheme == "http"
    # The next run knows that.
    _, later = first_contact(step, Authorized())
    assert later.of("localhost:5000").home.scheme == "http"


@pytest.mark.parametrize("connect", [True, False])
def test_no_other_registry_is_spoken_to_without_tls(connect: bool) -> None:
    Contacts(frozenset(), lambda origin: None).of("r.io").learn(reply_of(200))
    failure = TransferFailure("reset", connect=connect, tls=not connect)
    step = StubStep(reply_of(200, URL))
    first, contacts = first_contact(step, Failing(failure))
    with pytest.raises(TransferFailure):
        first.send(request_to(PATH))
    assert step.requests == []
    assert contacts.of("r.io").home.scheme == "https"
