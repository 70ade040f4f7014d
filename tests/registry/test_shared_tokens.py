"""Tokens of many repositories: how many requests a run makes, and servers that grant less."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest
from fault_registry import PASSWORD, USERNAME, FaultRegistry, fault_registry
from registry_support import (
    FakeTime,
    auth_env,
    client_for,
    descriptor_of,
    layer_of,
    manifest_of,
)

from ko_pants import daemon_memory
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.reference import Reference
from ko_pants.registry import token_groups
from ko_pants.registry.challenge import PUSH, Challenge, Scopes, repository_scopes
from ko_pants.registry.client import RegistryClient, RegistryError
from ko_pants.registry.token_groups import MAX_REPOSITORIES, TokenGroups

COUNT = 50
THREADS = 8


def content(number: int) -> bytes:
    return b'{"schemaVersion":2,"layers":[],"number":%d}' % number


@pytest.fixture
def registry(registry: FaultRegistry) -> FaultRegistry:
    """A registry with a token server and 50 images."""
    registry.auth = "bearer"
    for number in range(COUNT):
        registry.put_manifest(f"app{number}", media_types.OCI_MANIFEST, content(number), "v1")
    return registry


@pytest.fixture
def env(tmp_path: Path, registry: FaultRegistry) -> dict[str, str]:
    return auth_env(tmp_path, registry.host)


def names(count: int = COUNT) -> list[str]:
    return [f"app{number}" for number in range(count)]


def look(client: RegistryClient, registry: FaultRegistry, count: int = COUNT) -> list[bool]:
    """What a publish asks that finds nothing to do: rows in threads, then what is left alone."""
    refs = [Reference(registry.host, name, "v1") for name in names(count)]
    client.expect(refs)
    asked = [
        (client.session(push_to=[ref]), ref, sha256_digest(content(number)))
        for number, ref in enumerate(refs)
    ]
    length = -(-count // THREADS)
    batches = [asked[start : start + length] for start in range(0, count, length)]
    barrier = threading.Barrier(len(batches))

    def ask(batch: list[tuple[object, Reference, str]]) -> list[bool]:
        barrier.wait(20)
        answers = client.head_manifests(batch)  # type: ignore[arg-type]
        return [
            (found if answered else session.head_manifest(ref, forbidden_is_absent=True))  # type: ignore[attr-defined]
            is not None
            for (answered, found), (session, ref, _) in zip(answers, batch)
        ]

    with ThreadPoolExecutor(len(batches)) as pool:
        found = [answer for answers in pool.map(ask, batches) for answer in answers]
    client.close()
    return found


def counts(registry: FaultRegistry) -> tuple[int, int, int]:
    """HEADs that were answered, token requests, and requests that were refused; then forget."""
    heads = sum(s.endpoint == "HEAD manifest" and s.status in (200, 404) for s in registry.seen)
    tokens = registry.count("token")
    refused = sum(s.status in (400, 401, 403) and s.endpoint != "token" for s in registry.seen)
    registry.seen.clear()
    return heads, tokens, refused


# How many requests


def test_a_cold_daemon_asks_once_for_25_repositories(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    assert all(look(client_for(env), registry))
    # One request without authorization, whose challenge serves for all.
    assert counts(registry) == (COUNT, 2, 1)
    assert sorted(len(scopes) for scopes in registry.asked_scopes) == [25, 25]


def test_a_warm_daemon_asks_for_no_token_and_for_no_challenge(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    look(client_for(env), registry)
    counts(registry)
    for _ in range(2):
        assert all(look(client_for(env), registry))
        assert counts(registry) == (COUNT, 0, 0)


def test_an_identity_token_serves_for_many_repositories_too(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    entry = {"identitytoken": PASSWORD}
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: entry}}))
    assert all(look(client_for({"DOCKER_CONFIG": str(tmp_path)}), registry))
    posts = [s for s in registry.seen if s.endpoint == "token"]
    assert [s.method for s in posts] == ["POST"] * 2
    assert counts(registry) == (COUNT, 2, 1)


def test_a_repository_that_comes_later_joins_others_that_have_no_token(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    client = client_for(env)
    look(client, registry, 10)
    counts(registry)
    look(client, registry, 20)
    assert counts(registry) == (20, 1, 0)
    assert len(registry.asked_scopes[-1]) == 10


def test_long_names_are_split_by_their_length(registry: FaultRegistry, env: dict[str, str]) -> None:
    refs = [Reference(registry.host, f"{'group/' * 30}app{n}", "v1") for n in range(COUNT)]
    client = client_for(env)
    client.expect(refs)
    for ref in refs:
        client.session(push_to=[ref]).head_manifest(ref)
    urls = [seen.path for seen in registry.seen if seen.endpoint == "token"]
    assert len(urls) == -(-COUNT // 14)
    assert max(map(len, urls)) < 4096


def test_a_repository_to_mount_from_is_asked_for_with_the_others(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    layer = b"a layer of the base image"
    registry.put_blob("base", layer)
    client = client_for(env)
    refs = [Reference(registry.host, name) for name in names(10)]
    client.expect(refs)
    for ref in refs:
        outcome = client.session(push_to=[ref]).push_blob(
            ref, layer_of(layer), functools.partial(io.BytesIO, layer), mount_from=["base"]
        )
        assert outcome == "mounted"
    # Those for the repositories, and those with the base beside them.
    assert registry.count("token") <= 2
    assert sum(s.status == 401 for s in registry.seen) == 1


def test_credentials_of_a_namespace_are_not_mixed(registry: FaultRegistry, tmp_path: Path) -> None:
    auth = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(b"somebody:else").decode()
    auths = {registry.host: {"auth": auth}, f"{registry.host}/app7": {"auth": wrong}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    client = client_for({"DOCKER_CONFIG": str(tmp_path)})
    with pytest.raises(RegistryError, match=r"refuses repository:app7:pull,push"):
        look(client, registry, 20)
    assert not any("app7" in scope for scopes in registry.asked_scopes for scope in scopes)


def test_two_registries_with_one_realm_share_no_token(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    with fault_registry() as other:
        other.auth, other.realm = "bearer", f"http://{registry.host}/token"
        other.tokens = registry.tokens
        other.share(registry)
        auth = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        auths = {host: {"auth": auth} for host in (registry.host, other.host)}
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        env = {"DOCKER_CONFIG": str(tmp_path)}
        for place, tokens in ((registry, 1), (other, 2), (registry, 2), (other, 2)):
            assert all(look(client_for(env), place, 20))
            assert registry.count("token") == tokens
        sent = [
            {
                s.headers["Authorization"]
                for s in r.seen
                if s.headers.get("Authorization", "Basic")[:6] == "Bearer"
            }
            for r in (registry, other)
        ]
        assert not sent[0] & sent[1]


# Servers that grant less


REFUSALS = ["400", "403", "404", "414", "422", "500", "503"]


@pytest.mark.parametrize("jwt", [False, True], ids=["opaque", "jwt"])
@pytest.mark.parametrize("kind", [*REFUSALS, "first", "last", "none"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_server_of_one_repository_at_a_time(
    registry: FaultRegistry,
    env: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    kind: str,
    jwt: bool,
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG, token_groups.__name__)
    registry.several_scopes, registry.jwt, registry.insufficient_status = kind, jwt, status
    registry.expires_in = "1"
    for run in range(4):
        time = FakeTime()
        time.advance(run * 1000)
        assert all(look(client_for(env, time), registry))
        heads, tokens, refused = counts(registry)
        if run < 2:
            assert tokens <= 2 * COUNT
        else:
            assert (heads, tokens, refused) == (COUNT, COUNT, 0)
    said = [r.getMessage() for r in caplog.records if r.name == token_groups.__name__]
    assert said == [
        "the token server of tests grants one repository at a time; it is asked for each"
    ]


def test_with_a_server_of_one_at_a_time_a_warm_run_is_heads_and_nothing_else(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    registry.several_scopes = "400"
    assert all(look(client_for(env), registry))
    heads, tokens, refused = counts(registry)
    assert (heads, refused) == (COUNT, 1)
    # Two groups were asked for at the same time.
    assert COUNT < tokens <= COUNT + 2
    assert all(look(client_for(env), registry))
    assert counts(registry) == (COUNT, 0, 0)


def test_a_failure_that_passes_is_not_held_against_a_server(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    registry.fail("token", "503", 1)
    assert all(look(client_for(env), registry))
    assert counts(registry)[1] <= COUNT + 1
    daemon_memory_of_tokens().clear()
    assert all(look(client_for(env), registry))
    assert counts(registry) == (COUNT, 2, 0)


def daemon_memory_of_tokens() -> daemon_memory.BoundedMemory[object, object]:
    (found,) = (m for m in daemon_memory.all_memories() if m.name.endswith("bearer tokens"))
    return found


@pytest.mark.parametrize("jwt", [False, True], ids=["opaque", "jwt"])
@pytest.mark.parametrize("status", [401, 403])
def test_one_repository_without_permission_hinders_no_other(
    registry: FaultRegistry, env: dict[str, str], jwt: bool, status: int
) -> None:
    registry.jwt, registry.insufficient_status = jwt, status
    registry.protected = frozenset({"app3"})
    client = client_for(env)
    refs = [Reference(registry.host, name, "v1") for name in names(10)]
    client.expect(refs)
    for number, ref in enumerate(refs):
        session = client.session(push_to=[ref])
        descriptor, new = manifest_of(number=number)
        config = descriptor_of(b"{}", media_types.OCI_EMPTY)
        registry.put_blob(ref.repository, b"{}")
        if ref.repository == "app3":
            with pytest.raises(RegistryError) as caught:
                session.put_manifest(ref, descriptor, new)
            assert caught.value.status == status
        else:
            assert session.push_blob(ref, config, io.BytesIO) == "reused"
            session.put_manifest(ref, descriptor, new)
    # One for all, and as many as ever for the one that is refused.
    assert registry.count("token") <= 4
    # The server is not taken for one that grants one at a time.
    daemon_memory_of_tokens().clear()
    registry.seen.clear()
    look(client_for(env), registry, 10)
    assert len(registry.asked_scopes[-2 if jwt else -1]) == 10


def test_a_proxy_that_takes_no_long_token(registry: FaultRegistry, env: dict[str, str]) -> None:
    registry.jwt = True
    for number in range(25):
        name = f"{'a-rather-long-group/' * 3}app{number}"
        registry.put_manifest(name, media_types.OCI_MANIFEST, content(number), "v1")
    refs = [
        Reference(registry.host, f"{'a-rather-long-group/' * 3}app{n}", "v1") for n in range(25)
    ]
    registry.max_authorization = 4096
    for _ in range(2):
        client = client_for(env)
        client.expect(refs)
        for ref in refs:
            assert client.session(push_to=[ref]).head_manifest(ref)
    # One was too long, and the server is asked for no other.
    assert [len(scopes) for scopes in registry.asked_scopes] == [25] + [1] * 25


# Many threads


def test_threads_that_want_one_group_make_one_request(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    client = client_for(env)
    refs = [Reference(registry.host, name, "v1") for name in names(24)]
    client.expect(refs)
    barrier = threading.Barrier(24)

    def ask(ref: Reference) -> bool:
        barrier.wait(20)
        return client.session(push_to=[ref]).head_manifest(ref) is not None

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(ask, refs))
    assert counts(registry) == (24, 1, 1)


# Runs of one daemon


def test_another_login_uses_no_token_of_the_one_before(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    look(client_for(auth_env(tmp_path, registry.host)), registry)
    counts(registry)
    old = set(registry.tokens)
    # The same file, user and registry.
    with pytest.raises(RegistryError):
        look(client_for(auth_env(tmp_path, registry.host, "another-password")), registry)
    # And nobody.
    (tmp_path / "config.json").write_text("{}")
    registry.anonymous_actions = frozenset({"pull", "push"})
    look(client_for({"DOCKER_CONFIG": str(tmp_path)}), registry)
    used = {s.headers.get("Authorization", "").partition(" ")[2] for s in registry.seen}
    assert not used & old


def test_tokens_expire_between_runs(registry: FaultRegistry, env: dict[str, str]) -> None:
    time = FakeTime()
    # The server says 300 seconds; 30 seconds before that it is asked again.
    for seconds, tokens in ((0, 2), (269, 0), (2, 2)):
        time.advance(seconds)
        assert all(look(client_for(env, time), registry))
        assert counts(registry)[1:] == (tokens, 1 if seconds == 0 else 0)


def test_tokens_that_the_registry_no_longer_knows_are_replaced(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    look(client_for(env), registry)
    counts(registry)
    registry.tokens.clear()
    assert all(look(client_for(env), registry))
    assert counts(registry)[1] == 2
    assert all(look(client_for(env), registry))
    assert counts(registry) == (COUNT, 0, 0)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_permission_that_was_given_since_counts_at_once(
    registry: FaultRegistry, env: dict[str, str], status: int
) -> None:
    registry.insufficient_status = status
    registry.anonymous_actions = frozenset()
    base = Reference(registry.host, "app0", "v1")
    registry.several_scopes = "all"
    granting = registry.tokens

    def read() -> bool:
        return client_for(env).session().head_manifest(base, forbidden_is_absent=True) is not None

    assert read()
    # As if the token had been asked for before the permission was given.
    for token in granting:
        granting[token] = frozenset()
    assert read()


def test_no_secret_in_what_the_daemon_keeps(registry: FaultRegistry, env: dict[str, str]) -> None:
    look(client_for(env), registry)
    kept = daemon_memory_of_tokens()
    assert len(kept) > 0
    shown = repr(kept.items())
    assert not any(token in shown for token in registry.tokens)
    assert PASSWORD not in shown
    client = client_for(env)
    look(client, registry)
    # A run that has only recalled a token hides it too.
    assert client.redact(" ".join(registry.tokens)) == "*** ***"


# Registries that have changed since the last run


def test_another_realm(registry: FaultRegistry, env: dict[str, str]) -> None:
    look(client_for(env), registry)
    with fault_registry() as other:
        other.auth, other.tokens = "bearer", registry.tokens
        registry.tokens.clear()
        # Its tokens are not those of before.
        other.serials = itertools.count(1000)
        registry.realm = f"http://{other.host}/token"
        counts(registry)
        assert all(look(client_for(env), registry))
        # At most those that threads were about to ask for.
        assert counts(registry)[1] <= 2
        assert other.count("token") == 2
        assert all(look(client_for(env), registry))
        assert counts(registry) == (COUNT, 0, 0)


def test_another_realm_and_the_old_one_is_gone(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    with fault_registry() as old:
        old.auth, old.tokens = "bearer", registry.tokens
        registry.realm = f"http://{old.host}/token"
        look(client_for(env), registry)
    daemon_memory_of_tokens().clear()
    registry.realm = ""
    counts(registry)
    assert all(look(client_for(env), registry))
    assert counts(registry)[:2] == (COUNT, 2)


def test_a_realm_that_is_no_longer_safe_gets_nothing(
    registry: FaultRegistry, env: dict[str, str]
) -> None:
    look(client_for(env), registry)
    daemon_memory_of_tokens().clear()
    memory = next(m for m in daemon_memory.all_memories() if m.name.endswith(": registries"))
    (found,) = memory.values()
    unsafe = {"realm": "http://169.254.169.254/token", "service": "tests"}
    assert isinstance(found.challenge, Challenge)
    memory.put(registry.host, replace(found, challenge=Challenge("bearer", unsafe)))
    counts(registry)
    assert all(look(client_for(env), registry))
    assert counts(registry)[1] == 2


@pytest.mark.parametrize("tokens_stay", [True, False])
def test_anonymous_now(registry: FaultRegistry, env: dict[str, str], tokens_stay: bool) -> None:
    look(client_for(env), registry)
    registry.auth = "none"
    if not tokens_stay:
        daemon_memory_of_tokens().clear()
        registry.fail("token", "403", None)
    for _ in range(2):
        counts(registry)
        assert all(look(client_for(env), registry))
        heads, tokens, refused = counts(registry)
        assert (heads, refused) == (COUNT, 0)
    assert tokens == 0


CHANGES: dict[str, Callable[[FaultRegistry], None]] = {
    "basic": lambda registry: setattr(registry, "auth", "basic"),
    "bearer": lambda registry: setattr(registry, "auth", "bearer"),
    "none": lambda registry: setattr(registry, "auth", "none"),
}


@pytest.mark.parametrize("before", list(CHANGES))
@pytest.mark.parametrize("after", list(CHANGES))
def test_another_challenge(
    registry: FaultRegistry, env: dict[str, str], before: str, after: str
) -> None:
    CHANGES[before](registry)
    assert all(look(client_for(env), registry))
    CHANGES[after](registry)
    assert all(look(client_for(env), registry))
    counts(registry)
    assert all(look(client_for(env), registry))
    assert counts(registry) == (COUNT, 0, 0)


def test_what_is_covered_takes_no_room_in_a_group() -> None:
    """Otherwise the last repositories of hundreds would ask in small groups."""
    groups = TokenGroups()
    refs = [Reference("registry.example.com", f"team/service-{i:03}") for i in range(200)]
    groups.expect(refs)
    server = ("https://tokens.example.com/token", "registry")
    covered: set[str] = set()
    sizes = []

    def is_covered(scopes: Scopes) -> bool:
        return {name for _, name, _ in scopes} <= covered

    # Each thread begins somewhere else.
    for ref in [*refs[::8], *refs]:
        if ref.repository in covered:
            continue
        own = repository_scopes(ref.repository, PUSH)
        others = groups.others(server, ref, own)
        wanted = groups.widen(server, ref, others, own, is_covered)
        names = {name for _, name, _ in wanted}
        covered |= names
        sizes.append(len(names))
    assert sizes == [MAX_REPOSITORIES] * (len(refs) // MAX_REPOSITORIES)
