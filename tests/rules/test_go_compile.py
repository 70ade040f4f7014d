"""How a program is compiled: the process, and what is tried again after which error.

The engine's answers are made up, so that each answer of Go can be tried.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from pants.engine.fs import Digest, MergeDigests
from pants.engine.process import Process
from pants.util.frozendict import FrozenDict

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.errors import KoPantsError
from ko_pants.golang.closure import Closure
from ko_pants.golang.go_build import build_argv
from ko_pants.golang.toolchain import Toolchain
from ko_pants.golang.workspace import find_workspace
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    BuildClosure,
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoExecutableRequest,
    GoTools,
    ModuleFiles,
    ModuleFilesRequest,
    ProgramInputs,
)
from ko_pants.rules import go_compile

GO = GoTools(Toolchain("go1-key"))
AMD = Platform("linux", "amd64")
ARM = Platform("linux", "arm64")
WINDOWS = Platform("windows", "amd64")
MAC = Platform("darwin", "arm64")
FILES = {"go.mod": b"module example.com/m\ngo 1.21\n"}
WHOLE, PART, BOTH = (Digest(letter * 64, 1) for letter in "abc")
LACKS_MODULE = b"main.go:3:8: no required module provides package t/x\n"


@dataclass(frozen=True)
class Result:
    """What a process said."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 1


BUILT = Result(b"head", exit_code=0)


def closure(directory: str = "cmd/app", extra: tuple[str, ...] = ()) -> GoClosure:
    """A closure of main package and `extra` packages of the module."""
    workspace = find_workspace(directory, FILES)
    found = Closure(
        import_path=f"example.com/m/{directory}".rstrip("/"),
        directory=directory,
        directories=(directory, *(path.partition("/m/")[2] for path in extra)),
        files=("go.mod", "main.go"),
        optional_files=("go.sum",),
        embeds=(),
        third_party=("t/x",),
    )
    return GoClosure(found, workspace, ("embedded.txt",))


class Engine:
    """Answers for the engine; notes what it was asked."""

    def __init__(self, *answers: Result, can_reduce: bool = True) -> None:
        self.answers = list(answers)
        self.can_reduce = can_reduce
        self.processes: list[Process] = []
        self.files: list[tuple[str, ...]] = []
        self.modules: list[ModuleFilesRequest] = []
        self.closures: list[GoClosureRequest] = []

    async def run_go(self, owner: str, tools: GoTools, process: Process) -> Any:
        """The next answer; the last one for good."""
        self.processes.append(process)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def module_files(self, request: ModuleFilesRequest) -> ModuleFiles:
        """A part of go.mod and go.sum."""
        self.modules.append(request)
        return ModuleFiles(("go.mod", "go.sum"), PART) if self.can_reduce else ModuleFiles()

    async def digest_of_files(self, paths: Any) -> Digest:
        """The same digest for all."""
        self.files.append(tuple(paths))
        return WHOLE

    async def merge_digests(self, request: MergeDigests) -> Digest:
        """What has the files, and what stands in for go.mod and go.sum."""
        assert request == MergeDigests([WHOLE, PART])
        return BOTH

    async def complete_closure(
        self, request: GoClosureRequest, root: str
    ) -> tuple[GoClosureRequest, GoClosure]:
        """A closure with the extra imports."""
        self.closures.append(request)
        return request, closure(request.directory, request.extra_imports)


def compile_with(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    platform: Platform = AMD,
    platforms: tuple[Platform, ...] = (AMD,),
    build: GoBuild | None = None,
    embedded: tuple[str, ...] = ("embedded.txt",),
) -> Any:
    """Compile `cmd/app` with made up answers."""
    for name in (
        "run_go",
        "module_files",
        "digest_of_files",
        "merge_digests",
        "complete_closure",
    ):
        monkeypatch.setattr(go_compile, name, getattr(engine, name))
    build = build or GoBuild("a:b", "cmd/app")
    request = GoExecutableRequest(
        platform, platforms, build, go=GO, environment=FrozenDict({"GOPROXY": "off"})
    )
    wanted = GoClosureRequest(build.directory, platforms, tags=("t",), mod="")
    found = dataclasses.replace(closure(build.directory), embedded=embedded)
    return asyncio.run(_compile(request, build, BuildClosure(wanted, found)))


async def _compile(request: GoExecutableRequest, build: GoBuild, found: BuildClosure) -> Any:
    inputs = ProgramInputs(found, *await go_compile.compile_sources(request, build, found))
    return await go_compile.compile_package(request, build, inputs, "/root")


def test_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(BUILT)
    build = GoBuild("a:b", "cmd/app", ("-race",), ("-s", "-X a=b"), (("GOFLAGS", "-x"),))
    assert compile_with(engine, monkeypatch, build=build) is BUILT
    (process,) = engine.processes
    flags = ("-race", "-ldflags=-s -X a=b")
    assert process.argv == build_argv(GO.toolchain, ".", "./cmd/app", "app", flags, reduced=True)
    assert process.input_digest == BOTH
    assert dict(process.env) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "GOPROXY": "off",
        "GOFLAGS": "-x -modcacherw",
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": "amd64",
    }
    assert dict(process.append_only_caches) == {
        "ko_pants_go": ".ko_pants/go",
        "ko_pants_gocache": ".ko_pants/gocache",
        "ko_pants_gopath": ".ko_pants/gopath",
    }
    assert process.output_files == (".ko_pants/build-info", ".ko_pants/out/app")
    assert process.description == "Compile example.com/m/cmd/app for linux/amd64"
    assert engine.files == [("main.go", "embedded.txt")]
    assert engine.closures == []


def test_a_program_for_windows_in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(BUILT, can_reduce=False)
    compile_with(engine, monkeypatch, WINDOWS, (WINDOWS,), GoBuild("a:b", ""))
    (process,) = engine.processes
    assert process.argv == build_argv(GO.toolchain, ".", ".", "m.exe", ())
    assert process.output_files == (".ko_pants/build-info", ".ko_pants/out/m.exe")
    assert process.input_digest == WHOLE
    assert engine.files == [("go.mod", "main.go", "go.sum", "embedded.txt")]


def test_modules_are_asked_for_with_one_platform_of_each_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(BUILT)
    platforms = (WINDOWS, ARM, AMD, MAC)
    build = GoBuild("a:b", "cmd/app", env=(("GOPRIVATE", "x"), ("GOPROXY", "own")))
    compile_with(engine, monkeypatch, AMD, platforms, build)
    assert engine.modules == [
        ModuleFilesRequest(
            "example.com/m/cmd/app",
            closure().workspace,
            ("t/x",),
            (MAC, ARM, WINDOWS),
            ("t",),
            "",
            GO,
            FrozenDict({"GOPROXY": "own", "GOPRIVATE": "x"}),
        )
    ]


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_a_program_that_embeds_go_mod_has_all_of_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = Engine(BUILT)
    assert compile_with(engine, monkeypatch, embedded=(name,)) is BUILT
    assert engine.modules == []
    assert [process.input_digest for process in engine.processes] == [WHOLE]


def test_a_program_that_embeds_the_go_mod_of_another_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(BUILT)
    assert compile_with(engine, monkeypatch, embedded=("testdata/go.mod",)) is BUILT
    assert platforms_asked(engine) == [(AMD,)]


def platforms_asked(engine: Engine) -> list[tuple[Platform, ...]]:
    return [request.platforms for request in engine.modules]


def test_a_module_that_only_this_architecture_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Result(stderr=LACKS_MODULE, exit_code=0), BUILT)
    assert compile_with(engine, monkeypatch, AMD, (ARM, AMD)) is BUILT
    assert platforms_asked(engine) == [(ARM,), (AMD,)]


def test_in_the_end_all_of_go_mod_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = Result(stderr=LACKS_MODULE, exit_code=0)
    engine = Engine(lacks, lacks, BUILT)
    assert compile_with(engine, monkeypatch, AMD, (ARM, AMD)) is BUILT
    assert platforms_asked(engine) == [(ARM,), (AMD,)]
    assert engine.files[-1] == ("go.mod", "main.go", "go.sum", "embedded.txt")
    assert [process.input_digest for process in engine.processes] == [BOTH, BOTH, WHOLE]


def test_no_try_is_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Result(stderr=LACKS_MODULE, exit_code=0), BUILT)
    assert compile_with(engine, monkeypatch) is BUILT
    assert platforms_asked(engine) == [(AMD,)]


def test_another_error_before_compiling_is_tried_with_all_of_go_mod(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine(Result(stderr=b"go: something else\n"), BUILT)
    assert compile_with(engine, monkeypatch, AMD, (ARM, AMD)) is BUILT
    assert platforms_asked(engine) == [(ARM,)]
    assert engine.processes[-1].input_digest == WHOLE


@pytest.mark.parametrize(
    ("result", "can_reduce", "tries"),
    [
        # Go compiled, so no module is missing.
        (Result(stderr=b"# example.com/m/cmd/app\nmain.go:1: syntax error\n"), True, 1),
        (Result(stderr=b"main.go:1: syntax error\n"), False, 1),
        (Result(stderr=b"# of what\nmain.go:1: syntax error\n"), False, 1),
        # All of go.mod does not help either.
        (Result(stderr=b"go: something else\n"), True, 2),
        (Result(stderr=LACKS_MODULE, exit_code=0), True, 2),
    ],
)
def test_errors_of_the_program(
    monkeypatch: pytest.MonkeyPatch, result: Result, can_reduce: bool, tries: int
) -> None:
    engine = Engine(result, can_reduce=can_reduce)
    with pytest.raises(KoPantsError) as error:
        compile_with(engine, monkeypatch)
    text = result.stderr.decode().strip()
    assert str(error.value) == f"a:b: `go build` failed for linux/amd64 in cmd/app:\n{text}"
    assert len(engine.processes) == tries
    assert engine.closures == []


def test_an_error_in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Result(stderr=b"\xff\n"), can_reduce=False)
    with pytest.raises(KoPantsError, match=r"^o: `go build` failed for linux/amd64 in the build "):
        compile_with(engine, monkeypatch, build=GoBuild("o", ""))


def test_packages_that_only_a_third_party_module_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(
        Result(stderr=b"package example.com/m/fork is not in std"),
        Result(stderr=b"example.com/m/fork example.com/m/more", exit_code=0),
        BUILT,
    )
    assert compile_with(engine, monkeypatch) is BUILT
    assert [request.extra_imports for request in engine.closures] == [
        ("example.com/m/fork",),
        ("example.com/m/fork", "example.com/m/more"),
    ]
    assert engine.closures[0] == GoClosureRequest(
        "cmd/app", (AMD,), ("t",), extra_imports=("example.com/m/fork",)
    )
    # Still with the part of go.mod.
    assert [process.input_digest for process in engine.processes] == [BOTH] * 3


def test_a_package_that_stays_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Result(stderr=b"# x\nno example.com/m/none"), can_reduce=False)
    monkeypatch.setattr(engine, "complete_closure", _without_extra_imports)
    with pytest.raises(KoPantsError, match=r"no example.com/m/none$"):
        compile_with(engine, monkeypatch)
    assert len(engine.processes) == 2


async def _without_extra_imports(
    request: GoClosureRequest, root: str
) -> tuple[GoClosureRequest, GoClosure]:
    return request, closure(request.directory)


def test_tries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [Result(stderr=f"no example.com/m/p{n}".encode()) for n in range(20)]
    engine = Engine(*answers)
    with pytest.raises(KoPantsError, match=r"in cmd/app:\nno example.com/m/p6$"):
        compile_with(engine, monkeypatch)
    assert len(engine.processes) == 7
