"""The `Authorization` header: who gets it, and what happens after a 401."""

from __future__ import annotations

from typing import Iterator

import pytest
from registry_support import StubStep, reply_of, request_to

from ko_pants.registry.api_root import ApiRoot
from ko_pants.registry.challenge import NO_SCOPES, Scopes, repository_scopes
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.notices import Notices
from ko_pants.registry.request import Reply, Request, StreamBody, TransferFailure
from ko_pants.registry.steps.authorizing import Authorizing

URL = "https://r.io/v2/app/manifests/v1"
DONE = reply_of(200, URL)
REFUSED = reply_of(401, URL)


class StubAuthorizer:
    """Has a new value for every request, and answers challenges as told."""

    def __init__(
        self, again: bool = True, scopes: Scopes = NO_SCOPES, *, known: bool = True
    ) -> None:
        self.again = again
        self.scopes = scopes
        self.known = known
        self.asked: list[Scopes] = []
        self.refused: list[str | None] = []
        self.forgotten: list[str] = []
        self.doubts = False
        self.doubted: list[tuple[int, str]] = []
        self.outcomes: list[int] = []

    def authorization(self, request: Request) -> str | None:
        self.asked.append(request.scopes)
        return f"Bearer {len(self.asked)}" if self.known else None

    def answer_challenge(
        self, request: Request, reply: Reply, sent: str | None
    ) -> tuple[bool, Scopes]:
        self.refused.append(sent)
        self.known = True
        return self.again, self.scopes

    def answer_refusal(self, request: Request, reply: Reply, sent: str) -> bool:
        self.doubted.append((reply.status, sent))
        return self.doubts

    def note_outcome(self, request: Request, reply: Reply) -> None:
        self.outcomes.append(reply.status)

    def forget(self, registry: str, sent: str) -> None:
        self.forgotten.append(sent)


def authorizing(step: StubStep, authorizer: StubAuthorizer) -> Authorizing:
    contacts = Contacts(frozenset({"plain.lan"}), lambda origin: "http://proxy")
    root = ApiRoot(step.send, contacts, lambda registry: True)
    return Authorizing(step.send, authorizer, contacts, Notices(str), root)


def sent_headers(step: StubStep) -> list[str | None]:
    return [request.headers.get("Authorization") for request in step.requests]


def test_the_registry_gets_the_header() -> None:
    step = StubStep(DONE)
    request = request_to(URL, headers={"Accept": "x"})
    assert authorizing(step, StubAuthorizer()).send(request) is DONE
    assert step.requests[0].headers == {"Accept": "x", "Authorization": "Bearer 1"}


def test_nothing_is_said_where_nothing_was_asked() -> None:
    step = StubStep(DONE)
    authorizing(step, StubAuthorizer(known=False)).send(request_to(URL))
    assert sent_headers(step) == [None]


@pytest.mark.parametrize(
    "url", ["https://cdn.io/x", "http://r.io/v2/app", "https://r.io:8443/v2/app"]
)
def test_other_origins_get_no_header_and_no_second_request(url: str) -> None:
    step, authorizer = StubStep(reply_of(401, url)), StubAuthorizer()
    assert authorizing(step, authorizer).send(request_to(url)).status == 401
    assert sent_headers(step) == [None]
    assert authorizer.asked == []
    assert authorizer.refused == []


def test_a_401_is_answered_with_the_scopes_that_it_names() -> None:
    step = StubStep(REFUSED, DONE)
    authorizer = StubAuthorizer(scopes=repository_scopes("other", ("pull",)))
    mine = repository_scopes("base", ("pull",))
    assert authorizing(step, authorizer).send(request_to(URL, scopes=mine)) is DONE
    assert authorizer.refused == ["Bearer 1"]
    assert authorizer.asked == [mine, mine | authorizer.scopes]
    assert sent_headers(step) == ["Bearer 1", "Bearer 2"]


def test_a_401_is_final_where_asking_again_is_useless() -> None:
    step = StubStep(REFUSED)
    assert authorizing(step, StubAuthorizer(again=False)).send(request_to(URL)) is REFUSED
    assert len(step.requests) == 1


def test_a_registry_that_always_refuses_is_not_asked_for_ever() -> None:
    step = StubStep(REFUSED)
    assert authorizing(step, StubAuthorizer()).send(request_to(URL)) is REFUSED
    assert len(step.requests) == 3


def test_a_reply_that_has_come_already_counts_as_the_first() -> None:
    step, authorizer = StubStep(REFUSED), StubAuthorizer()
    assert authorizing(step, authorizer).send(request_to(URL), REFUSED) is REFUSED
    assert len(step.requests) == 2
    assert authorizer.refused[0] is None
    assert authorizing(step, authorizer).send(request_to(URL), DONE) is DONE
    assert len(step.requests) == 2


def test_a_reset_in_mid_upload_may_be_a_refusal() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"

    for body, forgotten in ((StreamBody(chunks, 1), ["Bearer 1"]), (b"x", []), (None, [])):
        step, authorizer = StubStep(TransferFailure("reset")), StubAuthorizer()
        with pytest.raises(TransferFailure):
            authorizing(step, authorizer).send(request_to(URL, "PUT", body=body))
        assert authorizer.forgotten == forgotten


def test_credentials_over_plain_http_are_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    step, authorizer = StubStep(reply_of(200, "http://plain.lan/v2/")), StubAuthorizer()
    steps = authorizing(step, authorizer)
    request = request_to("http://plain.lan/v2/")
    plain = Request(request.session, "GET", type(request.ref)("plain.lan", "app"), request.url)
    steps.send(plain)
    steps.send(plain)
    assert [r.getMessage() for r in caplog.records] == [
        "plain.lan: credentials go to it unencrypted (plain HTTP), as the options allow"
    ]
    assert sent_headers(step) == ["Bearer 1", "Bearer 2"]
