"""What loads images of this machine, and which platform of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from pants.engine.rules import rule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants.oci.platform import Platform
from ko_pants.publishing.container_engines import ContainerEngine, machine_platform
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.local_loading import Loader
from ko_pants.rules.local_loader import local_loader
from ko_pants.rules.settings import Settings


@dataclass(frozen=True)
class Ask:
    """For a destination on this registry."""

    registry: str


@dataclass(frozen=True)
class Found:
    """What loads, and the platform."""

    loader: Loader | None = None
    platform: Platform | None = None


@rule
async def ask(request: Ask, settings: Settings) -> Found:
    """Ask the module."""
    found = await local_loader([Destination("app", ("v1",), registry=request.registry)], settings)
    return Found() if found is None else Found(*found)


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    return new_runner([(Found, [Ask])], rules=[ask])


def install(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)


def test_nothing_is_looked_for_unless_it_is_wanted(runner: RuleRunner, tmp_path: Path) -> None:
    configure(runner, "--ko-load-with=podman", PATH=str(tmp_path))
    assert runner.request(Found, [Ask("registry.example.com")]) == Found()


def test_podman_for_the_platform_of_this_machine(runner: RuleRunner, tmp_path: Path) -> None:
    install(tmp_path, "podman", "docker")
    environment = {"PATH": str(tmp_path), "HOME": "/h", "SECRET": "s"}
    configure(runner, "--ko-load-with=podman", **environment)
    found = runner.request(Found, [Ask("ko.local")])
    assert found.loader is not None
    assert found.loader.engine == ContainerEngine("podman", f"{tmp_path}/podman")
    assert dict(found.loader.env) == {"PATH": str(tmp_path), "HOME": "/h"}
    assert found.platform == machine_platform("linux")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"GOARCH": "s390x"}, "linux/s390x"), ({"GOOS": "windows", "GOARCH": "386"}, "windows/386")],
)
def test_another_platform_as_in_ko(
    runner: RuleRunner, tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    install(tmp_path, "podman")
    configure(runner, PATH=str(tmp_path), **environment)
    assert str(runner.request(Found, [Ask("ko.local")]).platform) == expected


def test_kind_and_its_cluster(runner: RuleRunner, tmp_path: Path) -> None:
    install(tmp_path, "kind")
    configure(runner, PATH=str(tmp_path), KIND_CLUSTER_NAME="dev")
    loader = runner.request(Found, [Ask("kind.local")]).loader
    assert loader is not None
    assert (loader.engine.name, loader.cluster) == ("kind", "dev")


@pytest.mark.parametrize(
    ("domain", "wanted"), [("ko.local", "`docker` or `podman`"), ("kind.local", "`kind`")]
)
def test_nothing_to_load_with(runner: RuleRunner, tmp_path: Path, domain: str, wanted: str) -> None:
    configure(runner, PATH=str(tmp_path))
    text = error_of(runner, Found, [Ask(domain)])
    for word in ("KO_DOCKER_REPO", domain, wanted, "registry.example.com"):
        assert word in text
