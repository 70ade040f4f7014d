"""The build info of executables: of compiles and of prebuilt files, with real processes of Go."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest
from golang.trees import find_go, go_env
from integration.go_proxy import GoProxy
from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    FileContent,
    FileDigest,
    FileEntry,
)
from pants.engine.rules import QueryRule, rule
from pants.testutil.rule_runner import RuleRunner
from pants.util.frozendict import FrozenDict
from rules.engine_runner import configure, new_runner

from ko_pants.golang.build_info import BuildInfo, Module, parse_build_info
from ko_pants.golang.executable import inspect_executable
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HostTools,
    HostToolsRequest,
    PrebuiltFile,
)
from ko_pants.rules.executable_build_info import build_infos

AMD = Platform("linux", "amd64")
ARM = Platform("linux", "arm64")


@dataclass(frozen=True)
class Executables:
    """Ask for the build info of these."""

    executables: tuple[GoExecutable, ...]


@dataclass(frozen=True)
class BuildInfos:
    infos: tuple[BuildInfo | None, ...]


@rule
async def infos_of(request: Executables) -> BuildInfos:
    return BuildInfos(await build_infos(request.executables))


QUERIES: list[tuple[type, list[type]]] = [
    (HostTools, [HostToolsRequest]),
    (GoExecutable, [GoExecutableRequest]),
    (BuildInfos, [Executables]),
    (Digest, [CreateDigest]),
    (DigestContents, [Digest]),
]

MAIN = """package main

import (
\t"example.com/direct"
\t"example.com/lib"
\t"example.com/replaced"
)

func main() { println(direct.X, lib.X, replaced.X) }
"""
GO_MOD = """module example.com/app

go 1.21

require (
\texample.com/direct v1.0.0
\texample.com/lib v0.0.0
\texample.com/replaced v1.0.0
)

require example.com/indirect v1.2.0 // indirect

replace (
\texample.com/lib => ../lib
\texample.com/replaced => example.com/fork v1.5.0
)
"""


def package(name: str, imported: str = "") -> str:
    value = f"{imported.rpartition('/')[2]}.X" if imported else '"x"'
    clause = f'import "{imported}"\n' if imported else ""
    return f"package {name}\n\n{clause}\nvar X = {value}\n"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> GoProxy:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    proxy.add("example.com/indirect", "v1.2.0", {"x.go": package("indirect")})
    proxy.add(
        "example.com/direct",
        "v1.0.0",
        {"x.go": package("direct", "example.com/indirect")},
        ("example.com/indirect", "v1.2.0"),
    )
    proxy.add("example.com/fork", "v1.5.0", {"x.go": package("replaced")})
    return proxy


def repository(root: Path, proxy: GoProxy, tmp_path: Path, *, workspace: bool) -> None:
    """A program with modules of a proxy and of the repo."""
    files = {
        "app/go.mod": GO_MOD,
        "app/main.go": MAIN,
        "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
        "lib/x.go": package("lib"),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    go_mod = root / "app/go.mod"
    proxy.go("mod", "tidy", cwd=root / "app", cache=tmp_path / "cache")
    if workspace:
        lines = go_mod.read_text().splitlines()
        go_mod.write_text("\n".join(line for line in lines if "example.com/lib" not in line))
        (root / "go.work").write_text("go 1.21\n\nuse (\n\t./app\n\t./lib\n)\n")


def new_engine() -> RuleRunner:
    runner = new_runner(QUERIES, rules=[infos_of, QueryRule(BuildInfos, [Executables])])
    configure(runner, f"--ko-go-search-paths={[os.path.dirname(find_go())]}")
    return runner


def compiled(
    runner: RuleRunner, proxy: GoProxy, platform: Platform, directory: str
) -> GoExecutable:
    tools = runner.request(HostTools, [HostToolsRequest()])
    request = GoExecutableRequest(
        platform,
        (AMD, ARM),
        GoBuild("app:image", directory),
        go=tools.go,
        environment=FrozenDict(proxy.env),
    )
    return runner.request(GoExecutable, [request])


def infos(runner: RuleRunner, *executables: GoExecutable) -> tuple[BuildInfo | None, ...]:
    return runner.request(BuildInfos, [Executables(executables)]).infos


def read_by_go(runner: RuleRunner, executable: GoExecutable, tmp_path: Path) -> BuildInfo | None:
    """What the go tool reads in the bytes that are in the image."""
    written = runner.request(DigestContents, [executable.digest])
    (file,) = (file for file in written if file.path == executable.path)
    path = tmp_path / "executable"
    path.write_bytes(file.content)
    done = subprocess.run(
        [find_go(), "version", "-m", path], capture_output=True, check=True, text=True
    )
    return parse_build_info(done.stdout)


@pytest.mark.parametrize("workspace", [False, True])
def test_a_program_of_several_modules(workspace: bool, proxy: GoProxy, tmp_path: Path) -> None:
    runner = new_engine()
    repository(Path(runner.build_root), proxy, tmp_path, workspace=workspace)
    executables = [compiled(runner, proxy, platform, "app") for platform in (AMD, ARM)]
    found = infos(runner, *executables)
    for executable, info in zip(executables, found):
        assert info is not None
        assert info == read_by_go(runner, executable, tmp_path)
        assert info.main == Module("example.com/app", "(devel)")
        assert dict(info.settings)["GOARCH"] == executable.platform.architecture
        modules = {module.path: module for module in info.modules}
        assert modules["example.com/indirect"].version == "v1.2.0"
        fork = modules["example.com/replaced"].built
        assert (fork.path, fork.version) == ("example.com/fork", "v1.5.0")
        lib = modules["example.com/lib"]
        assert lib.built.version == "(devel)"
        assert (lib.replaced_by is None) is workspace


def test_the_executable_itself_is_not_read() -> None:
    """A compile that comes from a remote cache has left its executable there."""
    runner = new_engine()
    missing = FileContent("build-info", b"./app: go1.26.8\n\tpath\texample.com/app\n")
    build_info = file_in(runner, missing)
    # Nobody has these bytes.
    absent = Digest("0" * 64, 1_000_000)
    executable = executable_of(absent, build_info, compiled=True)
    assert infos(runner, executable, executable) == (BuildInfo("go1.26.8", "example.com/app"),) * 2


def file_in(runner: RuleRunner, file: FileContent) -> FileEntry:
    """A file that the engine has."""
    runner.request(Digest, [CreateDigest([file])])
    fingerprint = hashlib.sha256(file.content).hexdigest()
    return FileEntry(file.path, FileDigest(fingerprint, len(file.content)))


def executable_of(
    digest: Digest,
    build_info: Optional[FileEntry] = None,
    *,
    path: str = "app",
    compiled: bool = False,
) -> GoExecutable:
    return GoExecutable(
        digest=digest,
        path=path,
        file_digest="sha256:" + "0" * 64,
        size=1,
        header=inspect_executable(b""),
        import_path="example.com/app",
        app_name="app",
        platform=AMD,
        compiled=compiled,
        build_info=build_info,
    )


def test_an_executable_that_go_could_not_read() -> None:
    runner = new_engine()
    empty = file_in(runner, FileContent("build-info", b""))
    assert infos(runner, executable_of(Digest("0" * 64, 1), empty, compiled=True)) == (None,)


def test_no_executables() -> None:
    assert infos(new_engine()) == ()


def test_prebuilt_files(tmp_path: Path) -> None:
    """A Go program, a script, and one of them twice; at the side of a compiled program."""
    runner = new_engine()
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module example.com/tool\n\ngo 1.21\n")
    (source / "main.go").write_text("package main\n\nfunc main() {}\n")
    subprocess.run([find_go(), "build", "-o", "tool", "."], cwd=source, env=go_env(AMD), check=True)
    files = {"bin/tool": (source / "tool").read_bytes(), "bin/script": b"#!/bin/sh\n", "none": b""}
    prebuilt = {}
    for path, content in files.items():
        digest = runner.request(
            Digest, [CreateDigest([FileContent(path, content, is_executable=True)])]
        )
        request = GoExecutableRequest(AMD, (AMD,), prebuilt=PrebuiltFile("app:x", path, digest))
        prebuilt[path] = runner.request(GoExecutable, [request])
    text = FileContent("build-info", b"./app: go1.26.8\n")
    build_info = file_in(runner, text)
    program = executable_of(Digest("0" * 64, 1), build_info, compiled=True)
    tool, script, none = prebuilt.values()
    found = infos(runner, script, tool, program, tool, none)
    assert found[0] is found[4] is None
    assert found[2] == BuildInfo("go1.26.8")
    assert found[1] == found[3] == read_by_go(runner, tool, tmp_path)
    assert found[1] is not None
    assert found[1].main == Module("example.com/tool", "(devel)")
