"""A locked base image, from the first lock to a refresh, with a registry whose tag moves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest
from integration.bases import delete, make_base, push
from integration.published import published_on
from integration.traffic import Traffic
from integration.workspace import SMALL, Run, Workspace, go_mod, tool
from real_registry import RealRegistry, docker_registry

PLATFORMS = ["linux/amd64", "linux/arm64"]
LOCK = "images/static.lock.json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace], registry: RealRegistry) -> Workspace:
    workspace = make_workspace(options=f'docker_repo = "{registry.host}"')
    toml = workspace.root / "pants.toml"
    toml.write_text(toml.read_text().replace('"scratch"', '"//images:static"'))
    workspace.write(
        {
            "app/go.mod": go_mod("example.com/app"),
            "app/main.go": SMALL,
            "app/BUILD": f"go_oci_image(platforms={PLATFORMS!r})\n",
            "images/BUILD": (
                f"oci_base_image(name='static', image='{registry.host}/bases/static:stable')\n"
            ),
        }
    )
    return workspace


def publish(repo: Workspace) -> Run:
    return repo.publish("::").ok()


def move_tag(registry: RealRegistry, text: str) -> str:
    """Push a new base to the tag; returns its digest."""
    base = make_base([*PLATFORMS, "linux/s390x"], text=text)
    push(base, registry.host, "bases/static", "stable")
    return base.digest


def test_lock_publish_and_refresh(repo: Workspace, registry: RealRegistry) -> None:
    old = move_tag(registry, "old")

    unlocked = repo.pants("publish", "::")
    assert unlocked.exit_code == 1
    assert f"the lock file {LOCK} of images:static is missing" in unlocked.stderr
    assert "Traceback" not in unlocked.output
    # Pants' own goals do without the file.
    repo.pants("list", "peek", "dependencies", "::").ok()

    locked = repo.pants("ko-lock", "::").ok()
    assert f"✓ images:static: {LOCK} written\n    digest: {old}\n" in locked.stdout
    first = publish(repo).images["app:app"]
    assert first["published"]

    # The tag moves. Nobody asks for it, and the image stays.
    new = move_tag(registry, "new")
    traffic = Traffic(registry)
    again = publish(repo).images["app:app"]
    assert "up to date" in again["status"]
    assert again["digest"] == first["digest"]
    assert traffic.paths("/v2/bases/") == []
    assert repo.pants("ko-lock", "--check", "::").exit_code == 1

    refreshed = repo.pants("ko-lock", "images:static").ok()
    assert f"    digest: {old} -> {new}\n" in refreshed.stdout
    assert refreshed.stdout.count(" -> ") == 4
    written = (repo.root / LOCK).stat()
    run = publish(repo)
    moved = run.images["app:app"]
    assert moved["published"]
    assert moved["digest"] != first["digest"]
    assert run.processes == []
    image = published_on(registry.host, "app")
    assert b"new linux/amd64\n" in image.manifests[0].tars[0]
    annotations = image.index["annotations"]
    assert annotations["org.opencontainers.image.base.digest"] == new
    assert annotations["org.opencontainers.image.base.name"] == (
        f"{registry.host}/bases/static:stable"
    )

    assert "is up to date" in repo.pants("ko-lock", "--check", "::").ok().stdout
    after = (repo.root / LOCK).stat()
    assert (after.st_mtime_ns, after.st_ino) == (written.st_mtime_ns, written.st_ino)


@pytest.mark.parametrize("flags", [(), ("--no-pantsd",)], ids=["daemon", "no daemon"])
def test_refresh_and_publish_in_one_run(
    flags: tuple[str, ...], repo: Workspace, registry: RealRegistry
) -> None:
    move_tag(registry, f"before {flags}")
    repo.pants("ko-lock", "publish", "::").ok()
    new = move_tag(registry, f"after {flags}")

    repo.pants(*flags, "ko-lock", "publish", "::").ok()

    annotations = published_on(registry.host, "app").index["annotations"]
    assert annotations["org.opencontainers.image.base.digest"] == new


def test_changed_lock_selects_the_images(repo: Workspace, registry: RealRegistry) -> None:
    tool("git")
    move_tag(registry, "committed")
    repo.pants("ko-lock", "::").ok()

    def git(*args: str) -> None:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
        subprocess.run(["git", *identity, *args], cwd=repo.root, check=True, capture_output=True)

    git("init", "-q")
    (repo.root / ".gitignore").write_text("/.pants.d\n/.pids\n/dist\n")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    move_tag(registry, "changed")
    repo.pants("ko-lock", "::").ok()

    changed = repo.pants("--changed-since=HEAD", "--changed-dependents=transitive", "list").ok()

    assert changed.stdout.split() == ["app:app", "images:static"]


def test_locked_image_is_gone(repo: Workspace, registry: RealRegistry, tmp_path: Path) -> None:
    move_tag(registry, "gone")
    repo.pants("ko-lock", "::").ok()
    digest = json.loads((repo.root / LOCK).read_text())["digest"]
    delete(registry.host, "bases/static", "manifests", digest)

    # On a machine whose KOCACHE does not have it.
    run = repo.pants("publish", "::", env={"KOCACHE": str(tmp_path / "kocache")})

    assert run.exit_code == 1
    assert f"images:static is locked to {digest} in {LOCK}" in run.stderr
    assert "The locked image is gone from the registry. Run `./pants ko-lock images:static`" in (
        run.stderr
    )
    assert "Traceback" not in run.output


def test_layer_of_the_locked_image_is_gone(
    repo: Workspace, registry: RealRegistry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = make_base(PLATFORMS, text="a layer is gone")
    push(base, registry.host, "bases/static", "stable")
    repo.pants("ko-lock", "::").ok()
    for layer in base.layers:
        delete(registry.host, "bases/static", "blobs", layer)

    with docker_registry(tmp_path_factory.mktemp("elsewhere")) as elsewhere:
        run = repo.pants(f"--ko-docker-repo={elsewhere.host}", "publish", "::")

    assert run.exit_code == 1
    assert (
        f"It is a layer of the base image {registry.host}/bases/static:stable ({base.digest}), "
        "which is gone from the registry. Run `./pants ko-lock images:static`"
    ) in run.stderr
    assert "Traceback" not in run.output
