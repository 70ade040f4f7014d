"""The executable of an image has the bytes of the one that `go build` makes in the repository."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Sequence

import pytest
from golang.trees import find_go, go_env, go_minor
from pants.engine.internals.scheduler import ExecutionError
from pants.util.frozendict import FrozenDict
from rules.engine_runner import configure, new_runner
from rules.layouts import LAYOUTS, Layout

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HostTools,
    HostToolsRequest,
)

_NO_NETWORK = FrozenDict({"GOPROXY": "off"})


@pytest.fixture(scope="module")
def go() -> str:
    return find_go()


def write_layout(root: Path, layout: Layout) -> None:
    """Write files and links."""
    for name, content in layout.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name, target in layout.links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


def built_by_go(go: str, root: Path, layout: Layout, output: Path) -> str:
    """The sha256 of what `go build` makes in the repository, or what Go says."""
    done = subprocess.run(
        [go, "build", "-trimpath", "-buildvcs=false", *layout.flags, "-o", str(output), "."],
        cwd=root / layout.directory,
        env={**go_env(Platform.parse(layout.platform)), **dict(layout.env)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return done.stderr
    return "sha256:" + hashlib.sha256(output.read_bytes()).hexdigest()


def built_by_pants(go: str, layout: Layout) -> str:
    """The sha256 of the executable that an image would have, or what the user is told."""
    runner = new_runner([(HostTools, [HostToolsRequest]), (GoExecutable, [GoExecutableRequest])])
    configure(runner, f"--ko-go-search-paths={[os.path.dirname(go)]}")
    write_layout(Path(runner.build_root), layout)
    platform = Platform.parse(layout.platform)
    build = GoBuild("app:image", layout.directory, layout.flags, env=layout.env)
    tools = runner.request(HostTools, [HostToolsRequest()])
    request = GoExecutableRequest(
        platform, (platform,), build, go=tools.go, environment=_NO_NETWORK
    )
    try:
        return runner.request(GoExecutable, [request]).file_digest
    except ExecutionError as e:
        causes: Sequence[BaseException] = e.wrapped_exceptions
        (cause,) = causes
        assert isinstance(cause, KoPantsError), repr(cause)
        return str(cause)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_executable_is_that_of_go_build(name: str, go: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    if go_minor(go) < layout.go_minor:
        pytest.skip(f"needs Go 1.{layout.go_minor}")
    write_layout(tmp_path / "repo", layout)
    expected = built_by_go(go, tmp_path / "repo", layout, tmp_path / "out")
    assert expected.startswith("sha256:") is not bool(layout.error), expected
    found = built_by_pants(go, layout)
    if layout.error:
        assert layout.error in expected
        assert layout.error in found
    else:
        assert found == expected
