"""Token requests: what is asked, of whom, and what a bad answer means."""

from __future__ import annotations

import urllib.parse
from typing import Any

import pytest
from registry_support import FakeTime, StubSession, StubStep, reply_of

from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import NO_SCOPES, PULL, PUSH, Challenge, repository_scopes
from ko_pants.registry.credentials import Credential, CredentialStore
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Reply
from ko_pants.registry.token_servers import TokenServers
from ko_pants.registry.tokens import Token

REALM = "https://auth.io/token"
SCOPES = repository_scopes("app", PUSH) | repository_scopes("base", PULL)
GOOD = reply_of(200, REALM, body=b'{"token": "canary-token", "expires_in": 300}')
USER = Credential("file", "user", "pass word")


class World:
    """Token servers that give one answer."""

    def __init__(self, answer: Reply = GOOD, insecure: frozenset[str] = frozenset()) -> None:
        self.step = StubStep(answer)
        self.redactor = Redactor()
        credentials = CredentialStore({}, self.redactor)
        self.session = StubSession()
        self.servers = TokenServers(
            self.step.send, credentials, self.redactor, insecure, FakeTime().clock()
        )

    def ask(
        self,
        realm: str = REALM,
        credential: Credential | None = None,
        home: str = "https://r.io",
        **params: Any,
    ) -> Token:
        challenge = Challenge("bearer", {"realm": realm, **params})
        return self.servers.ask(
            self.session, Origin.of(home), Reference("r.io", "app"), challenge, credential, SCOPES
        )


def test_a_token_for_several_scopes() -> None:
    world = World()
    token = world.ask(service="registry.io")
    assert (token.value, token.scopes) == ("canary-token", SCOPES)
    # The fake clock says 1000; 300 seconds, less 30.
    assert token.renew_at == 1270.0
    (request,) = world.step.requests
    assert request.method == "GET"
    assert request.session is world.session
    assert dict(request.headers) == {}
    assert request.max_reply_bytes == 1 << 20
    url, _, query = request.url.partition("?")
    assert url == REALM
    assert urllib.parse.parse_qsl(query) == [
        ("service", "registry.io"),
        ("scope", "repository:app:pull,push"),
        ("scope", "repository:base:pull"),
    ]
    assert world.redactor("canary-token") == "***"


def test_a_password_goes_along() -> None:
    world = World()
    world.ask(f"{REALM}?account=a", USER)
    (request,) = world.step.requests
    assert request.headers == {"Authorization": USER.basic()}
    assert request.url.startswith(f"{REALM}?account=a&scope=")


def test_an_identity_token_is_posted() -> None:
    world = World()
    world.ask(credential=Credential("helper", identity_token="refresh&me"), service="s")
    (request,) = world.step.requests
    assert (request.method, request.url) == ("POST", REALM)
    assert isinstance(request.body, bytes)
    assert dict(urllib.parse.parse_qsl(request.body.decode())) == {
        "grant_type": "refresh_token",
        "service": "s",
        "client_id": "ko-pants",
        "scope": "repository:app:pull,push repository:base:pull",
        "refresh_token": "refresh&me",
    }
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert request.max_reply_bytes == 1 << 20


@pytest.mark.parametrize(
    ("realm", "home", "problem"),
    [
        ("http://auth.io/token", "https://r.io", "from https to plain http"),
        ("http://auth.lan/token", "http://r.lan", "plain http on another host"),
        ("http://r.lan/token", "http://r.lan", "not allowed to be insecure"),
        ("https://169.254.169.254/token", "https://r.io", "link-local"),
        ("https://u:p@auth.io/token", "https://r.io", "user name"),
        ("ftp://auth.io/token", "https://r.io", "no http or https"),
    ],
)
def test_nothing_is_sent_to_an_unsafe_realm(realm: str, home: str, problem: str) -> None:
    world = World()
    with pytest.raises(RegistryError, match=problem) as caught:
        world.ask(realm, USER, home)
    assert "no credentials were sent" in str(caught.value)
    assert world.step.requests == []


@pytest.mark.parametrize("allowed", ["auth.lan", "auth.lan:80"])
def test_a_realm_that_the_options_allow(allowed: str) -> None:
    world = World(insecure=frozenset({allowed}))
    assert world.ask("http://auth.lan/token", home="http://r.lan").value == "canary-token"


def test_a_refusal_names_the_scopes_and_whose_credentials_they_are() -> None:
    body = b'{"errors": [{"code": "DENIED", "message": "no push"}]}'
    world = World(reply_of(403, REALM, body=body))
    with pytest.raises(RegistryError) as caught:
        world.ask(credential=USER)
    assert caught.value.status == 403
    assert caught.value.codes == ("DENIED",)
    assert str(caught.value) == (
        "r.io: the token server auth.io refuses repository:app:pull,push, repository:base:pull "
        "(DENIED: no push); the credentials are those of file"
    )
    with pytest.raises(RegistryError, match=r"docker login r\.io"):
        world.ask()


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"token": ""}'])
def test_a_reply_without_a_token(body: bytes) -> None:
    with pytest.raises(RegistryError, match=r"auth\.io answered no token"):
        World(reply_of(200, REALM, body=body)).ask()


def test_no_scopes_at_all() -> None:
    world = World(reply_of(401, REALM))
    challenge = Challenge("bearer", {"realm": REALM})
    ref, home = Reference("r.io", "app"), Origin.of("https://r.io")
    with pytest.raises(RegistryError, match=r"refuses a token \(HTTP 401\)"):
        world.servers.ask(world.session, home, ref, challenge, None, NO_SCOPES)
    assert world.step.urls == [REALM]
