"""The executable of an image has the bytes of the one that `go build` makes in the repository.

Its build info is what `go version -m` says of that one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Sequence

import pytest
from golang.trees import find_go, go_env, go_minor
from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    DigestSubset,
    FileDigest,
    FileEntry,
    PathGlobs,
)
from pants.engine.internals.scheduler import ExecutionError
from pants.util.frozendict import FrozenDict
from rules.engine_runner import configure, new_runner
from rules.layouts import LAYOUTS, Layout, program

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_info import BuildInfo, Module, parse_build_info
from ko_pants.literal_globs import literal_glob
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HostTools,
    HostToolsRequest,
)
from ko_pants.rules.image_layers import executable_content

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


def built_by_pants(go: str, layout: Layout) -> tuple[str, bytes]:
    """The sha256 of the executable that an image would have, or what the user is told.

    And its build info.
    """
    runner = new_runner(
        [
            (HostTools, [HostToolsRequest]),
            (GoExecutable, [GoExecutableRequest]),
            (Digest, [CreateDigest]),
            (Digest, [DigestSubset]),
            (DigestContents, [Digest]),
        ]
    )
    configure(runner, f"--ko-go-search-paths={[os.path.dirname(go)]}")
    write_layout(Path(runner.build_root), layout)
    platform = Platform.parse(layout.platform)
    build = GoBuild("app:image", layout.directory, layout.flags, env=layout.env)
    tools = runner.request(HostTools, [HostToolsRequest()])
    request = GoExecutableRequest(
        platform, (platform,), build, go=tools.go, environment=_NO_NETWORK
    )
    try:
        executable = runner.request(GoExecutable, [request])
    except ExecutionError as e:
        causes: Sequence[BaseException] = e.wrapped_exceptions
        (cause,) = causes
        assert isinstance(cause, KoPantsError), repr(cause)
        return str(cause), b""
    # The input of the layer process, and so its cache key, is the executable alone.
    file = FileDigest(executable.file_digest.partition(":")[2], executable.size)
    alone = FileEntry(executable.path, file, is_executable=True)
    content = executable_content(executable)
    subset = DigestSubset(content.inputs, PathGlobs([literal_glob(content.only_file)]))
    assert runner.request(Digest, [subset]) == runner.request(Digest, [CreateDigest([alone])])
    assert executable.build_info is not None
    written = runner.request(Digest, [CreateDigest([executable.build_info])])
    (info,) = runner.request(DigestContents, [written])
    return executable.file_digest, info.content


def read_by_go(go: str, executable: Path) -> bytes:
    """What `go version -m` says; empty if it can read nothing."""
    done = subprocess.run(
        [go, "version", "-m", f"./{executable.name}"], cwd=executable.parent, capture_output=True
    )
    return b"" if done.returncode else done.stdout


def info_of_json(text: bytes) -> BuildInfo:
    """What `go version -m -json` says."""

    def module(value: Any) -> Module:
        replace = value.get("Replace")
        return Module(
            value["Path"],
            value.get("Version", ""),
            value.get("Sum", ""),
            module(replace) if replace else None,
        )

    found = json.loads(text)
    main = found.get("Main")
    return BuildInfo(
        found["GoVersion"],
        found.get("Path", ""),
        module(main) if main and main.get("Path") else None,
        tuple(module(value) for value in found.get("Deps") or ()),
        tuple((s["Key"], s["Value"]) for s in found.get("Settings") or ()),
    )


def assert_build_info(go: str, executable: Path, found: bytes) -> None:
    """It is what the go tool reads in the executable, and means what Go says that it means."""
    expected = read_by_go(go, executable)
    assert found.split(b"\n")[1:] == expected.split(b"\n")[1:]
    if not expected or go_minor(go) < 25:
        return
    shown = subprocess.run(
        [go, "version", "-m", "-json", executable], capture_output=True, check=True
    ).stdout
    assert parse_build_info(found.decode()) == info_of_json(shown)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_executable_is_that_of_go_build(name: str, go: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    if go_minor(go) < layout.go_minor:
        pytest.skip(f"needs Go 1.{layout.go_minor}")
    write_layout(tmp_path / "repo", layout)
    expected = built_by_go(go, tmp_path / "repo", layout, tmp_path / "out")
    assert expected.startswith("sha256:") is not bool(layout.error), expected
    found, build_info = built_by_pants(go, layout)
    if layout.error:
        assert layout.error in expected
        assert layout.error in found
    else:
        assert found == expected
        assert_build_info(go, tmp_path / "out", build_info)


def test_a_program_that_is_called_as_the_file_of_build_info(go: str, tmp_path: Path) -> None:
    files = "-- go.mod --\nmodule example.com/build-info\ngo 1.21\n-- main.go --\n" + program()
    layout = Layout(files)
    write_layout(tmp_path / "repo", layout)
    expected = built_by_go(go, tmp_path / "repo", layout, tmp_path / "build-info")
    found, build_info = built_by_pants(go, layout)
    assert found == expected
    assert build_info == read_by_go(go, tmp_path / "build-info")
