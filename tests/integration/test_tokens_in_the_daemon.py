"""Publishing with tokens, by whole runs of one daemon, with a real registry and another login."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import RealRegistry, docker_registry
from registry_support import auth_env

IMAGES = 30


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry"), auth="token") as running:
        yield running


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    """One program, and 30 images of it in repositories of their own."""
    workspace = make_workspace()
    images = "".join(
        f'go_oci_image(name="app{n}", repository="team/app{n}")\n' for n in range(IMAGES)
    )
    workspace.write({"go.mod": go_mod("example.com/app"), "main.go": SMALL, "BUILD": images})
    return workspace


def test_a_second_run_is_one_request_for_each_image(
    repo: Workspace, registry: RealRegistry, tmp_path: Path
) -> None:
    tokens = registry.token_server
    assert tokens is not None
    config = registry.docker_config(tmp_path / "docker")
    env = {"KO_DOCKER_REPO": registry.host, "DOCKER_CONFIG": str(config)}
    repo.publish(env=env).ok()
    for daemon in ("warm", "warm", "new"):
        if daemon == "new":
            repo.end_daemon()
        before, asked = len(registry.requests()), len(tokens.asked)
        run = repo.publish(env=env).ok()
        assert all("up to date" in entry["status"] for entry in run.images.values())
        statuses = sorted(status for _, _, status in registry.requests()[before:])
        assert statuses == [200] * IMAGES + ([] if daemon == "warm" else [401])
        # A token is for 25 repositories. A new daemon knows them all before the first is asked for.
        assert len(tokens.asked) - asked == (0 if daemon == "warm" else 2)


def test_another_login_between_two_runs_of_a_daemon(repo: Workspace, tmp_path: Path) -> None:
    with fault_registry() as registry:
        registry.auth = "bearer"
        env = {"KO_DOCKER_REPO": registry.host, **auth_env(tmp_path, registry.host)}
        env.pop("HOME")
        repo.publish(env=env).ok()
        old = set(registry.tokens)
        used = _tokens_of_a_run(repo, registry, env)
        assert used
        assert used <= old
        # The same directory and user, and another password.
        auth_env(tmp_path, registry.host, "another-password")
        registry.seen.clear()
        assert repo.publish(env=env).exit_code == 1
        assert not _used(registry) & old


def _tokens_of_a_run(repo: Workspace, registry: FaultRegistry, env: dict[str, str]) -> set[str]:
    registry.seen.clear()
    repo.publish(env=env).ok()
    return _used(registry)


def _used(registry: FaultRegistry) -> set[str]:
    sent = (seen.headers.get("Authorization", "") for seen in registry.seen)
    return {value.partition(" ")[2] for value in sent if value.startswith("Bearer ")}
