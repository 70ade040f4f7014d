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
from registry_support import FakeTime, auth_env, client_for

from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryError


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
