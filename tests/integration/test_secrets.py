"""Passwords and tokens appear nowhere, at the most verbose level, whether a push works or fails."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Callable

import pytest
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import PASSWORD, USERNAME, RealRegistry, docker_registry

WRONG = "wr0ng-canary-passw0rd"
# How every token of the tests' token server begins: base64 of its header.
TOKEN = base64.b64encode(b'{"typ": "JWT"')[:12].decode()


def spellings(secret: str) -> list[bytes]:
    """A secret as it is, and in the base64 of Basic credentials."""
    pair = f"{USERNAME}:{secret}".encode()
    return [secret.encode(), base64.b64encode(pair)[:-4], base64.b64encode(secret.encode())[:-4]]


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/app"),
            "app/main.go": SMALL,
            "app/BUILD": "go_oci_image()\n",
        }
    )
    return workspace


def docker_config(directory: Path, registry: RealRegistry, password: str) -> str:
    """A directory for `DOCKER_CONFIG`."""
    directory.mkdir()
    auth = base64.b64encode(f"{USERNAME}:{password}".encode()).decode()
    config = {"auths": {registry.host: {"auth": auth}}}
    (directory / "config.json").write_text(json.dumps(config))
    return str(directory)


@pytest.mark.parametrize("auth", ["htpasswd", "token"])
def test_no_secret_is_left_anywhere(auth: str, repo: Workspace, tmp_path: Path) -> None:
    with docker_registry(tmp_path, auth=auth) as registry:
        env = {"KO_DOCKER_REPO": f"{registry.host}/private"}
        passing = {**env, "DOCKER_CONFIG": docker_config(tmp_path / "right", registry, PASSWORD)}
        failing = {**env, "DOCKER_CONFIG": docker_config(tmp_path / "wrong", registry, WRONG)}

        refused = repo.publish("app:", env=failing, flags=["-ltrace"])
        pushed = repo.publish("app:", env=passing, flags=["-ltrace"])
        again = repo.publish("app:", env=passing, flags=["-ltrace"])

        assert refused.exit_code != 0
        assert registry.host in refused.output
        assert "Traceback" not in refused.output
        assert pushed.ok().images["app:app"]["published"]
        assert "up to date" in again.ok().images["app:app"]["status"]
        if registry.token_server is not None:
            assert registry.token_server.asked

    secrets = [*spellings(PASSWORD), *spellings(WRONG), TOKEN.encode()]
    for run in (refused, pushed, again):
        for secret in secrets:
            assert secret.decode() not in run.output
    places = [repo.root, repo.store, repo.kocache, repo.temporary, repo.home]
    found = {
        (str(path), secret)
        for place in places
        for path in place.rglob("*")
        if path.is_file()
        for secret in secrets
        if contains(path, secret)
    }
    assert found == set()
    # The search itself works: it finds a text that is there.
    logs = list((repo.root / ".pants.d").rglob("pants.log"))
    assert any(contains(log, registry.host.encode()) for log in logs)


def contains(path: Path, text: bytes) -> bool:
    """True if the bytes are in the file."""
    return text in path.read_bytes()
