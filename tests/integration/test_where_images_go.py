"""Where images go, under what names and in what form: one workspace for all of it."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import RealRegistry, docker_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def repo(make_workspace: Callable[..., Workspace]) -> Workspace:
    workspace = make_workspace()
    workspace.write(
        {
            "go.mod": go_mod("example.com/Team/tools"),
            "cmd/App/main.go": SMALL,
            "cmd/App/BUILD": "go_oci_image(name='image')\n",
        }
    )
    return workspace


@pytest.mark.parametrize(
    ("naming", "expected"),
    [
        ("md5", "team/app-78b35505089fa103d71b5f0224389548"),
        ("preserve-import-paths", "team/example.com/team/tools/cmd/app"),
        ("base-import-paths", "team/app"),
        ("bare", "team"),
    ],
)
def test_the_names_of_ko(
    repo: Workspace, registry: RealRegistry, naming: str, expected: str
) -> None:
    run = repo.publish(
        f"--ko-naming={naming}", "::", env={"KO_DOCKER_REPO": f"{registry.host}/team"}
    ).ok()
    image = run.images["cmd/App:image"]
    assert image["names"] == [f"{registry.host}/{expected}:latest"]
