"""The part of go.mod and go.sum that a build reads, with made up answers of Go."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Sequence

import pytest
from pants.engine.fs import CreateDigest, Digest, FileContent
from pants.engine.process import Process
from pants.util.frozendict import FrozenDict

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.golang.go_build import list_argv
from ko_pants.golang.toolchain import Toolchain
from ko_pants.golang.workspace import find_workspace
from ko_pants.oci.platform import Platform
from ko_pants.products import GoModules, GoModulesRequest, GoTools, ModuleFiles, ModuleFilesRequest
from ko_pants.rules import module_files

PLATFORMS = (Platform("linux", "amd64"), Platform("windows", "amd64"))
GO_MOD = (
    "module example.com/m\ngo 1.21\nrequire a.com/a v1.0.0\nrequire b.com/b v1.0.0\n"
    "require c.com/c v1.0.0\nrequire d.com/d v1.0.0\nreplace b.com/b => f.com/f v1.0.0\n"
    "replace d.com/d => ./d\n"
)
FILES = {"m/go.mod": GO_MOD, "m/d/go.mod": "module d.com/d\n"}
GO_SUM = b"a.com/a v1.0.0 h1:a=\nb.com/b v1.0.0 h1:b=\nc.com/c v1.0.0 h1:c=\nf.com/f v1.0.0 h1:f=\n"
SOURCES, MADE = Digest("a" * 64, 1), Digest("b" * 64, 1)


GO = GoTools(Toolchain("go1-key"))


@dataclass(frozen=True)
class Result:
    """What a process said."""

    stdout: bytes
    exit_code: int = 0


class Engine:
    """Answers for the engine; notes what it was asked."""

    def __init__(self, *answers: Result, files: dict[str, str], go_sum: bytes | None) -> None:
        self.answers = list(answers)
        self.modules = {path: content.encode() for path, content in files.items()}
        self.go_sum = go_sum
        self.processes: list[Process] = []
        self.asked: list[tuple[str, ...]] = []
        self.made: list[CreateDigest] = []

    async def go_modules(self, requests: Sequence[GoModulesRequest]) -> tuple[GoModules, ...]:
        """The module files of the repo."""
        return tuple(GoModules(tuple(self.modules.items())) for _ in requests)

    async def digest_of_files(self, paths: tuple[str, ...]) -> Digest:
        """The same digest for all."""
        self.asked.append(tuple(paths))
        return SOURCES

    async def digest_contents(self, digest: Digest) -> list[FileContent]:
        """go.sum, if there is one."""
        return [] if self.go_sum is None else [FileContent("m/go.sum", self.go_sum)]

    async def create_digest(self, request: CreateDigest) -> Digest:
        """The digest of what was made."""
        self.made.append(request)
        return MADE

    async def run_go(self, owner: str, tools: GoTools, process: Process) -> Any:
        """The next answer."""
        self.processes.append(process)
        return self.answers.pop(0)


def find(
    monkeypatch: pytest.MonkeyPatch,
    *answers: Result,
    files: dict[str, str] = FILES,
    imports: tuple[str, ...] = ("a.com/a/x",),
    mod: str = "",
    go_sum: bytes | None = GO_SUM,
) -> tuple[ModuleFiles, Engine]:
    """Ask for the module files of `m/cmd`."""
    engine = Engine(*answers, files=files, go_sum=go_sum)
    for name in ("go_modules", "digest_of_files", "digest_contents", "create_digest"):
        monkeypatch.setattr(module_files, name, getattr(engine, name))
    monkeypatch.setattr(module_files, "run_go", engine.run_go)
    workspace = find_workspace("m/cmd", engine.modules, mod=mod)
    environment = FrozenDict({"GOPROXY": "off"})
    request = ModuleFilesRequest(
        "example.com/m/cmd", workspace, imports, PLATFORMS, ("t",), mod, GO, environment
    )
    rule: Any = module_files.find_module_files
    body: Callable[[ModuleFilesRequest], Awaitable[ModuleFiles]] = rule.rule.func

    async def run() -> ModuleFiles:
        return await body(request)

    return asyncio.run(run()), engine


def contents(engine: Engine) -> dict[str, str]:
    (made,) = engine.made
    return {file.path: file.content.decode() for file in made if isinstance(file, FileContent)}


def test_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    _, engine = find(monkeypatch, Result(b""), Result(b""), imports=("a.com/a/x", "b.com/b"))
    argv = list_argv(Toolchain("go1-key"), "m", ("t",), ("a.com/a/x", "b.com/b"))
    assert [process.argv for process in engine.processes] == [argv, argv]
    assert [process.env["GOOS"] for process in engine.processes] == ["linux", "windows"]
    assert {process.input_digest for process in engine.processes} == {SOURCES}
    assert engine.processes[0].env["GOPROXY"] == "off"
    assert "ko_pants_gopath" in engine.processes[0].append_only_caches
    assert (
        engine.processes[0].description == "Find the modules of example.com/m/cmd for linux/amd64"
    )
    # Module files alone, so that an edit of a source does not run it again.
    assert set(engine.asked[0]) == {"m/go.mod", "m/d/go.mod", "m/go.sum"}


def test_only_modules_that_go_names_and_those_of_the_repo(monkeypatch: pytest.MonkeyPatch) -> None:
    found, engine = find(monkeypatch, Result(b"a.com/a\n"), Result(b"a.com/a\nb.com/b\n"))
    assert found == ModuleFiles(("m/go.mod", "m/go.sum"), MADE)
    assert contents(engine) == {
        "m/go.mod": (
            "module example.com/m\ngo 1.21\nrequire a.com/a v1.0.0\nrequire b.com/b v1.0.0\n"
            "require d.com/d v1.0.0\nreplace b.com/b => f.com/f v1.0.0\nreplace d.com/d => ./d\n"
        ),
        "m/go.sum": "a.com/a v1.0.0 h1:a=\nb.com/b v1.0.0 h1:b=\nf.com/f v1.0.0 h1:f=\n",
    }


def test_a_program_without_third_party_imports_asks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, engine = find(monkeypatch, imports=(), go_sum=None)
    assert found == ModuleFiles(("m/go.mod", "m/go.sum"), MADE)
    assert engine.processes == []
    assert contents(engine) == {
        "m/go.mod": (
            "module example.com/m\ngo 1.21\nrequire d.com/d v1.0.0\nreplace d.com/d => ./d\n"
        )
    }


@pytest.mark.parametrize(
    ("answers", "files", "mod"),
    [
        # Go cannot tell.
        ((Result(b"a.com/a\n"), Result(b"", 1)), FILES, ""),
        # Go may change go.mod.
        ((), FILES, "mod"),
        # An older go.mod does not name all modules.
        ((), {"m/go.mod": "module m\ngo 1.16\n"}, ""),
        # A directive that is not known.
        (
            (Result(b""), Result(b"")),
            {"m/go.mod": "module m\ngo 1.21\nfuture x\n"},
            "",
        ),
    ],
)
def test_all_of_go_mod_where_a_part_cannot_stand_for_it(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[Result, ...], files: dict[str, str], mod: str
) -> None:
    found, engine = find(monkeypatch, *answers, files=files, mod=mod)
    assert found == ModuleFiles()
    assert engine.made == []
    assert engine.answers == []
