"""Who we say we are, as a registry hears it."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fault_registry import PASSWORD, USERNAME, FaultRegistry, fault_registry
from registry_support import FakeTime, auth_env, client_for, reply_of, request_to

from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.authenticator import Authenticator
from ko_pants.registry.bearer_tokens import BearerTokens
from ko_pants.registry.challenge import NO_SCOPES, PULL, PUSH, Scopes, repository_scopes
from ko_pants.registry.client import RegistryError
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.credentials import CredentialStore
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Reply, Request
from ko_pants.registry.token_groups import TokenGroups
from ko_pants.registry.token_servers import TokenServers
from ko_pants.registry.tokens import TokenStore


@pytest.fixture
def registry(registry: FaultRegistry) -> FaultRegistry:
    """A registry with one image."""
    registry.put_manifest("app", media_types.OCI_INDEX, b"{}", "v1")
    return registry


@pytest.fixture
def helper(tmp_path: Path) -> Path:
    """A credential helper; it logs each call, and answers what `answer` says."""
    program = tmp_path / "bin" / "docker-credential-tests"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'server=$(cat); echo "$1 $server $CANARY" >> {tmp_path}/calls\n'
        f". {tmp_path}/answer\n"
    )
    program.chmod(0o755)
    answer = json.dumps({"ServerURL": "", "Username": USERNAME, "Secret": PASSWORD})
    (tmp_path / "answer").write_text(f"echo '{answer}'\n")
    return program


def _write(path: Path, **content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def _helper_env(tmp_path: Path, **config: Any) -> dict[str, str]:
    _write(tmp_path / "config.json", **config)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    return {"DOCKER_CONFIG": str(tmp_path), "PATH": path, "CANARY": "env"}


def test_a_helper_runs_once_for_a_host_and_run(
    tmp_path: Path, helper: Path, registry: FaultRegistry
) -> None:
    registry.auth = "basic"
    client = client_for(_helper_env(tmp_path, credHelpers={registry.host: "tests"}))
    ref = Reference(registry.host, "app", "v1")
    barrier = threading.Barrier(8)

    def look(_: int) -> bool:
        barrier.wait()
        return client.session().head_manifest(ref) is not None

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(look, range(8)))
    assert (tmp_path / "calls").read_text() == f"get {registry.host} env\n"
    # One was asked who it is, and all knew afterwards.
    assert len(registry.seen) == 9


def test_basic(tmp_path: Path, registry: FaultRegistry) -> None:
    registry.auth = "basic"
    session = client_for(auth_env(tmp_path, registry.host)).session()
    ref = Reference(registry.host, "app", "v1")
    assert session.head_manifest(ref)
    assert session.head_manifest(ref)
    assert session.requests == 3
    assert "Authorization" not in registry.seen[0].headers


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_wrong_password(tmp_path: Path, registry: FaultRegistry, auth: str) -> None:
    registry.auth = auth
    client = client_for(auth_env(tmp_path, registry.host, "wrong-canary"))
    with pytest.raises(RegistryError, match=r"config\.json") as caught:
        client.session().head_manifest(Reference(registry.host, "app", "v1"))
    assert caught.value.status == 401
    assert "canary" not in str(caught.value)
    assert len(registry.seen) <= 3


def test_anonymous_pull_and_refused_push(tmp_path: Path, registry: FaultRegistry) -> None:
    registry.auth = "bearer"
    client = client_for({})
    ref = Reference(registry.host, "app", "v1")
    assert client.session().head_manifest(ref)
    found, content = client.session().get_manifest(ref)
    with pytest.raises(RegistryError, match=f"docker login {registry.host}") as caught:
        client.session().put_manifest(ref, found, content)
    assert caught.value.status == 401


def test_a_token_serves_the_whole_run_and_asks_for_push_at_once(
    tmp_path: Path, registry: FaultRegistry
) -> None:
    registry.auth = "bearer"
    client = client_for(auth_env(tmp_path, registry.host))
    ref = Reference(registry.host, "app", "v1")
    found, content = client.session(push_to=[ref]).get_manifest(ref)
    client.session(push_to=[ref]).put_manifest(ref, found, content)
    # Less than what the token allows needs no other one.
    client.session().head_manifest(ref)
    assert registry.count("token") == 1


def test_a_token_is_renewed_before_it_expires(tmp_path: Path, registry: FaultRegistry) -> None:
    registry.auth = "bearer"
    time = FakeTime()
    session = client_for(auth_env(tmp_path, registry.host), time).session()
    ref = Reference(registry.host, "app", "v1")
    # The token server says 300 seconds; 30 seconds before that it is asked again.
    for expected, seconds in ((3, 200), (4, 69.9), (5, 0.1), (7, 269.9), (8, 0)):
        session.head_manifest(ref)
        assert session.requests == expected
        time.advance(seconds)


def test_identity_and_registry_tokens(tmp_path: Path, registry: FaultRegistry) -> None:
    registry.auth = "bearer"
    ref = Reference(registry.host, "app", "v1")
    entry: dict[str, str] = {"identitytoken": PASSWORD}
    _write(tmp_path / "config.json", auths={registry.host: entry})
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert client_for(env).session(push_to=[ref]).head_manifest(ref)
    asked = [s for s in registry.seen if s.endpoint == "token"]
    assert [s.method for s in asked] == ["POST"]
    assert PASSWORD not in asked[0].path
    token, _ = registry.tokens.popitem()
    registry.tokens[token] = frozenset({"app:pull"})
    _write(tmp_path / "config.json", auths={registry.host: {"registrytoken": token}})
    assert client_for(env).session().head_manifest(ref)
    assert registry.count("token") == 1


def test_credentials_do_not_go_to_other_hosts(tmp_path: Path, registry: FaultRegistry) -> None:
    # A redirect, within which the other host asks for a password in the name of the first.
    with fault_registry() as other:
        registry.auth = "bearer"
        other.auth = "basic"
        other.share(registry)
        registry.elsewhere = f"http://localhost:{other.port}"
        registry.fail("GET manifest", "redirect elsewhere", None)
        client = client_for(auth_env(tmp_path, registry.host))
        with pytest.raises(RegistryError, match=f"localhost:{other.port}"):
            client.session().get_manifest(Reference(registry.host, "app", "v1"))
        assert other.seen
        assert not any("Authorization" in seen.headers for seen in other.seen)


def test_the_most_verbose_log_has_no_secret(
    tmp_path: Path, registry: FaultRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    registry.auth = "bearer"
    registry.warning = f'299 - "say {PASSWORD} no more"'
    ref = Reference(registry.host, "app", "v1")
    client = client_for(auth_env(tmp_path, registry.host))
    found, content = client.session(push_to=[ref]).get_manifest(ref)
    registry.fail("PUT tag", "403", None, f"DENIED-{PASSWORD}")
    with pytest.raises(RegistryError, match=r"DENIED-\*\*\*") as caught:
        client.session(push_to=[ref]).put_manifest(ref.with_tag("v2"), found, content)
    basic = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    everything = caplog.text + str(caught.value) + repr(caught.value) + repr(vars(client))
    assert "urllib3" in caplog.text, "the log is not verbose"
    assert "say *** no more" in caplog.text
    for secret in (PASSWORD, basic, *registry.tokens):
        assert secret not in everything


def test_a_missing_helper_is_named_where_credentials_are_wanted(
    tmp_path: Path, registry: FaultRegistry
) -> None:
    registry.auth = "basic"
    env = _helper_env(tmp_path, credsStore="not-there")
    with pytest.raises(RegistryError, match="docker-credential-not-there is not on PATH") as caught:
        client_for(env).session().head_manifest(Reference(registry.host, "app", "v1"))
    assert caught.value.status == 401


# Without a registry


class World:
    """An authenticator for `r.io`, whose token server hands out numbered tokens."""

    def __init__(self, directory: Path, **entry: str) -> None:
        if entry:
            _write(directory / "config.json", auths={"r.io": entry})
        redactor, clock = Redactor(), FakeTime().clock()
        credentials = CredentialStore({"DOCKER_CONFIG": str(directory)}, redactor)
        self.contacts = Contacts(frozenset(), lambda origin: None)
        self.asked: list[str] = []
        servers = TokenServers(self._answer, credentials, redactor, frozenset(), clock)
        tokens = BearerTokens(credentials, TokenStore(clock), servers, TokenGroups(), clock)
        self.authenticator = Authenticator(credentials, self.contacts, tokens)
        self.request = request_to("https://r.io/v2/app/manifests/v1")

    def _answer(self, request: Request) -> Reply:
        self.asked.append(request.url.partition("?")[2])
        return reply_of(200, request.url, body=b'{"token": "token-%d"}' % len(self.asked))

    def meet(self, challenge: str = "") -> None:
        """The registry answers for the first time, with a challenge or without."""
        self.contacts.of("r.io").learn(self.refusal(challenge) if challenge else reply_of(200))

    def refusal(self, challenge: str = "") -> Reply:
        return reply_of(401, WWW_Authenticate=challenge)

    def authorization(self) -> str | None:
        return self.authenticator.authorization(self.request)

    def answer(self, challenge: str, sent: str | None) -> tuple[bool, Scopes]:
        return self.authenticator.answer_challenge(self.request, self.refusal(challenge), sent)


LOGIN = base64.b64encode(b"user:password").decode()
BASIC = f"Basic {LOGIN}"
BEARER = 'Bearer realm="https://auth.io/token"'


def test_nothing_is_said_before_somebody_asks(tmp_path: Path) -> None:
    world = World(tmp_path, auth=LOGIN)
    assert world.authorization() is None
    world.meet()
    assert world.authorization() is None
    world.meet("Basic realm=x")
    assert world.authorization() == BASIC
    assert World(tmp_path / "none").authorization() is None


def test_a_password_that_was_refused_is_not_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path, auth=LOGIN)
    assert world.answer("Basic realm=x", None) == (True, NO_SCOPES)
    assert world.answer("Basic realm=x", BASIC) == (False, NO_SCOPES)
    assert World(tmp_path / "none").answer("Basic realm=x", None) == (False, NO_SCOPES)


def test_a_token_that_was_refused_is_replaced_with_one_for_what_was_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.meet(BEARER)
    assert world.authorization() == "Bearer token-1"
    assert world.authorization() == "Bearer token-1"
    named = repository_scopes("app", PULL)
    assert world.answer(f'{BEARER},scope="repository:app:pull"', "Bearer token-1") == (True, named)
    assert world.authorization() == "Bearer token-2"


def test_a_gateway_that_drops_the_challenge_of_an_expired_token(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.meet(BEARER)
    assert world.authorization() == "Bearer token-1"
    assert world.answer("", "Bearer token-1") == (True, NO_SCOPES)
    assert world.authorization() == "Bearer token-2"
    # One that we do not know, or none at all: another try would be the same.
    assert world.answer("", "Bearer token-1") == (False, NO_SCOPES)
    assert world.answer("", None) == (False, NO_SCOPES)


def test_a_registry_token_is_sent_as_it_is_and_once(tmp_path: Path) -> None:
    world = World(tmp_path, registrytoken="mine")
    world.meet(BEARER)
    assert world.authorization() == "Bearer mine"
    assert world.answer(BEARER, None) == (True, NO_SCOPES)
    assert world.answer(BEARER, "Bearer mine") == (False, NO_SCOPES)
    assert world.asked == []


def test_a_token_is_for_what_the_request_does_and_for_what_it_needs_beyond(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.meet(BEARER)
    world.request = request_to(
        "https://r.io/v2/app", "POST", actions=PUSH, scopes=repository_scopes("base", PULL)
    )
    world.authorization()
    assert world.asked == ["scope=repository:app:pull%2Cpush&scope=repository:base:pull"]


@pytest.mark.parametrize(
    ("challenge", "login", "known", "value"),
    [
        ("", True, True, None),
        ("Basic realm=x", True, True, BASIC),
        ("Basic realm=x", False, True, None),
        (BEARER, True, False, None),
    ],
)
def test_what_is_known_without_a_request(
    tmp_path: Path, challenge: str, login: bool, known: bool, value: str | None
) -> None:
    world = World(tmp_path, **({"auth": LOGIN} if login else {}))
    find, session = world.authenticator.authorization_in_a_row, world.request.session
    assert find(session, world.request.ref) == (False, None)
    world.meet(challenge)
    assert find(session, world.request.ref) == (known, value)
    assert world.asked == []
