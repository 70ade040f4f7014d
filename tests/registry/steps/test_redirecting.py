"""Redirects: which are followed, how often, and where they may lead."""

from __future__ import annotations

from typing import Any

import pytest
from registry_support import StubStep, reply_of, request_to

from ko_pants.registry.errors import RegistryError
from ko_pants.registry.locations import Locations
from ko_pants.registry.request import Reply, Send
from ko_pants.registry.steps.redirecting import (
    MAX_REDIRECTS,
    FollowOfRegistry,
    KeepingSecrets,
    Redirecting,
)

URL = "https://r.io/v2/app/blobs/x"
DONE = reply_of(200, "https://cdn.io/x")


def of_registry(send: Send) -> Redirecting:
    return Redirecting(send, FollowOfRegistry(Locations(frozenset(), str)))


def redirect(status: int, location: str, url: str = URL) -> Reply:
    return reply_of(status, url, Location=location)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reads_are_sent_again_to_where_a_redirect_leads(status: int, method: str) -> None:
    step = StubStep(redirect(status, "https://cdn.io/x?sig=1"), DONE)
    request = request_to(URL, method, headers={"Range": "bytes=5-"})
    assert of_registry(step.send).send(request) is DONE
    assert step.urls == [URL, "https://cdn.io/x?sig=1"]
    assert [r.method for r in step.requests] == [method] * 2
    assert [r.headers for r in step.requests] == [{"Range": "bytes=5-"}] * 2


def test_a_location_is_relative_to_the_reply() -> None:
    there = "https://cdn.io/a/b"
    step = StubStep(redirect(307, there), redirect(307, "c?x=1", there), DONE)
    of_registry(step.send).send(request_to(URL))
    assert step.urls == [URL, there, "https://cdn.io/a/c?x=1"]


@pytest.mark.parametrize("reply", [reply_of(307), reply_of(304, Location="/x"), reply_of(200)])
def test_other_replies_are_final(reply: Reply) -> None:
    step = StubStep(reply)
    assert of_registry(step.send).send(request_to(URL)) is reply
    assert len(step.requests) == 1


@pytest.mark.parametrize(("status", "kept"), [(301, False), (303, False), (307, True), (308, True)])
def test_a_write_is_followed_only_if_it_stays_a_write(status: int, kept: bool) -> None:
    step = StubStep(redirect(status, "/v2/other"), DONE)
    request = request_to(URL, "PUT", body=b"x")
    if kept:
        assert of_registry(step.send).send(request) is DONE
        assert step.requests[1].method == "PUT"
        assert step.requests[1].body == b"x"
    else:
        with pytest.raises(RegistryError, match=f"HTTP {status}, which does not keep the method"):
            of_registry(step.send).send(request)
        assert len(step.requests) == 1


def test_a_loop_ends() -> None:
    step = StubStep(redirect(307, URL))
    with pytest.raises(RegistryError, match="more than 5 times"):
        of_registry(step.send).send(request_to(URL))
    assert len(step.requests) == 6


def test_as_many_redirects_as_allowed_are_followed() -> None:
    step = StubStep(*[redirect(307, URL)] * MAX_REDIRECTS, DONE)
    assert of_registry(step.send).send(request_to(URL)) is DONE


def test_nothing_is_sent_to_an_unsafe_place() -> None:
    step = StubStep(redirect(307, "http://169.254.169.254/latest"))
    with pytest.raises(RegistryError, match="unsafe Location"):
        of_registry(step.send).send(request_to(URL))
    assert step.urls == [URL]


TOKENS = "https://auth.io/token"
BASIC = {"Authorization": "Basic c2VjcmV0"}


def with_secrets(send: Send) -> Redirecting:
    return Redirecting(send, KeepingSecrets(FollowOfRegistry(Locations(frozenset(), str))))


@pytest.mark.parametrize(
    ("source", "status", "location"),
    [
        (TOKENS, 301, "/v2/token"),
        (TOKENS, 302, "https://auth.io/other"),
        (TOKENS, 303, "https://auth.io:443/other"),
        (TOKENS, 307, "there"),
        (TOKENS, 308, "http://auth.io/other"),
        ("http://auth.io/token", 308, "https://auth.io/token"),
        ("http://auth.io:5000/token", 302, "/other"),
    ],
)
def test_a_password_is_sent_again_within_its_host(source: str, status: int, location: str) -> None:
    step = StubStep(redirect(status, location, source), DONE)
    assert with_secrets(step.send).send(request_to(source, headers=BASIC)) is DONE
    assert [request.headers for request in step.requests] == [BASIC] * 2


@pytest.mark.parametrize(
    ("source", "location"),
    [
        (TOKENS, "https://else.io/token"),
        (TOKENS, "https://auth.io:8443/token"),
        ("http://auth.io:5000/token", "https://auth.io/token"),
        ("http://auth.io/token", "https://auth.io:5000/token"),
    ],
)
@pytest.mark.parametrize("secret", [{"headers": BASIC}, {"method": "POST", "body": b"token=x"}])
def test_a_password_is_sent_to_no_other_host(
    secret: dict[str, Any], source: str, location: str
) -> None:
    step = StubStep(redirect(307, location, source), DONE)
    with pytest.raises(RegistryError, match="with credentials to another host") as caught:
        with_secrets(step.send).send(request_to(source, **secret))
    assert "(at auth.io" in str(caught.value)
    assert step.urls == [source]


def test_a_request_without_secrets_goes_anywhere_that_is_safe() -> None:
    step = StubStep(redirect(302, "https://else.io/token", TOKENS), DONE)
    assert with_secrets(step.send).send(request_to(TOKENS)) is DONE
    step = StubStep(redirect(302, "http://169.254.169.254/", TOKENS), DONE)
    with pytest.raises(RegistryError, match=r"r\.io \(at auth\.io\) sends an unsafe Location"):
        with_secrets(step.send).send(request_to(TOKENS))


def test_a_loop_of_a_token_server_ends() -> None:
    step = StubStep(redirect(307, TOKENS, TOKENS))
    with pytest.raises(RegistryError, match="more than 5 times"):
        with_secrets(step.send).send(request_to(TOKENS))
    assert len(step.requests) == MAX_REDIRECTS + 1
