"""Files that Pants ignores and that Go reads are in the closure, as they are in each run."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest
from pants.base.build_root import BuildRoot
from pants.engine.fs import Digest, DigestContents
from pants.engine.rules import rule
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import configure, error_of, new_runner

from ko_pants import daemon_memory
from ko_pants.disk.disk import Disk, Entries
from ko_pants.engine import hidden_files
from ko_pants.oci.platform import Platform
from ko_pants.products import GoClosure, GoClosureRequest, HiddenFiles, HiddenFilesRequest
from ko_pants.rules.complete_closure import complete_closure
from ko_pants.rules.hidden_files import with_hidden
from ko_pants.rules.repo_files import digest_of_files

PLATFORMS = (Platform("linux", "amd64"),)
MAIN = 'package main\nimport _ "example.com/app/lib"\nfunc main() {}\n'
EMBEDS = 'package lib\nimport _ "embed"\n//go:embed {}\nvar s embed.FS\n'
# The option replaces the default, which has the directories that begin with a dot.
IGNORED = ["*.gen.go", "/ignored/", "go.work", "go.work.sum", "/lib/static/dist/", ".*/"]
# Files that `write` has made, with the build root.
_written: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class _Request:
    """Ask for the closure of `cmd` as a compile has it."""

    hidden: HiddenFiles


@dataclass(frozen=True)
class _Inputs:
    """The closure with the content of its files."""

    closure: GoClosure
    digest: Digest


@rule
async def inputs_of_cmd(request: _Request, build_root: BuildRoot) -> _Inputs:
    """The inputs of a compile of `cmd`."""
    _, closure = await complete_closure(GoClosureRequest("cmd", PLATFORMS), build_root.path)
    hidden = {file.path for file in closure.hidden}
    visible = await digest_of_files([path for path in closure.files if path not in hidden])
    return _Inputs(closure, await with_hidden(visible, closure.hidden))


@dataclass(frozen=True)
class _Looked:
    hidden: HiddenFiles


@dataclass(frozen=True)
class _Look:
    """Ask for what all builds of the daemon have looked at, as it is now."""


@rule
async def look(_: _Look) -> _Looked:
    """Look again."""
    return _Looked(await hidden_files(HiddenFilesRequest()))


def new_engine(*options: str) -> RuleRunner:
    """An engine with these options, in a repo of its own."""
    return new_runner(
        [(_Inputs, [_Request]), (_Looked, [_Look]), (DigestContents, [Digest])],
        rules=[inputs_of_cmd, look],
        options=options,
    )


@pytest.fixture(scope="module")
def engine() -> RuleRunner:
    return new_engine(f"--pants-ignore={IGNORED!r}")


@pytest.fixture
def runner(engine: RuleRunner) -> Iterator[RuleRunner]:
    daemon_memory.clear_all()
    engine.write_files(
        {
            "go.mod": "module example.com/app\ngo 1.21\n",
            "cmd/main.go": MAIN,
            "lib/lib.go": "package lib\n",
            "lib/static/a.txt": "a",
        }
    )
    yield engine
    for path in Path(engine.build_root).iterdir():
        if path.name != ".pants.d":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    engine.scheduler.scheduler.invalidate_all()
    daemon_memory.clear_all()
    _written.clear()


def write(runner: RuleRunner, path: str, text: str) -> Path:
    """Write a file without a word to the engine, for which it is ignored."""
    file = Path(runner.build_root, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    _written.add((runner.build_root, path))
    return file


def inputs(runner: RuleRunner) -> dict[str, str]:
    """The files of the closure in a new run."""
    configure(runner)
    looked = runner.request(_Looked, [_Look()])
    found = runner.request(_Inputs, [_Request(looked.hidden)])
    contents = runner.request(DigestContents, [found.digest])
    for file in found.closure.hidden:
        (content,) = (c.content for c in contents if c.path == file.path)
        assert file.fingerprint == hashlib.sha256(content).hexdigest()
    # What is not ignored, Pants sees when the system reports it: perhaps after this run.
    written = {path for root, path in _written if root == runner.build_root}
    assert written & {c.path for c in contents} <= {file.path for file in found.closure.hidden}
    return {file.path: file.content.decode() for file in contents}


def error_of_inputs(runner: RuleRunner) -> str:
    """The error of a new run."""
    configure(runner)
    looked = runner.request(_Looked, [_Look()]).hidden
    return error_of(runner, _Inputs, [_Request(looked)])


def test_nothing_is_hidden(runner: RuleRunner) -> None:
    assert set(inputs(runner)) == {"go.mod", "cmd/main.go", "lib/lib.go"}
    looked = runner.request(_Looked, [_Look()]).hidden
    assert looked.problems == ()


def test_an_ignored_go_file_comes_changes_and_goes(runner: RuleRunner) -> None:
    before = inputs(runner)
    generated = write(runner, "lib/x.gen.go", "package lib\nfunc init() {}\n")
    assert inputs(runner) == {**before, "lib/x.gen.go": "package lib\nfunc init() {}\n"}
    # Its imports count.
    text = 'package lib\nimport _ "example.com/app/more"\n'
    generated.write_text(text)
    write(runner, "more/y.gen.go", "package more\n")
    after = {**before, "lib/x.gen.go": text, "more/y.gen.go": "package more\n"}
    assert inputs(runner) == after
    assert inputs(runner) == after
    generated.unlink()
    assert inputs(runner) == before


def test_an_edit_during_a_run_that_is_undone_after_it(runner: RuleRunner) -> None:
    file = write(runner, "lib/x.gen.go", "package lib // one\n")
    before = inputs(runner)
    file.write_text("package lib // two\n")
    configure(runner)
    looked = runner.request(_Looked, [_Look()])
    file.write_text("package lib // three\n")
    found = runner.request(_Inputs, [_Request(looked.hidden)])
    contents = runner.request(DigestContents, [found.digest])
    assert b"package lib // three\n" in {file.content for file in contents}
    file.write_text("package lib // two\n")
    assert inputs(runner) == {**before, "lib/x.gen.go": "package lib // two\n"}


def test_a_file_that_comes_during_a_run_and_goes_after_it(runner: RuleRunner) -> None:
    runner.write_files({"lib/lib.go": EMBEDS.format("all:static")})
    write(runner, "lib/static/.a/one", "one")
    before = inputs(runner)
    write(runner, "lib/static/.a/one", "other")
    configure(runner)
    looked = runner.request(_Looked, [_Look()])
    more = write(runner, "lib/static/.a/more", "more")
    found = runner.request(_Inputs, [_Request(looked.hidden)])
    assert "lib/static/.a/more" in found.closure.files
    more.unlink()
    assert inputs(runner) == {**before, "lib/static/.a/one": "other"}


def test_an_ignored_file_of_another_platform(runner: RuleRunner) -> None:
    before = inputs(runner)
    write(runner, "lib/x_windows.gen.go", "package lib\n")
    write(runner, "lib/windows.gen.go", "//go:build windows\n\npackage lib\n")
    assert inputs(runner) == before


def test_a_package_that_is_ignored_as_a_whole(runner: RuleRunner) -> None:
    runner.write_files({"cmd/main.go": MAIN.replace("app/lib", "app/ignored/sub")})
    before = inputs(runner)
    assert "ignored/sub/x.go" not in before
    file = write(runner, "ignored/sub/x.go", "package sub\n")
    assert inputs(runner) == {**before, "ignored/sub/x.go": "package sub\n"}
    file.write_text("package sub\nvar x int\n")
    assert inputs(runner)["ignored/sub/x.go"] == "package sub\nvar x int\n"
    shutil.rmtree(Path(runner.build_root, "ignored"))
    assert inputs(runner) == before


def test_a_nested_module_that_is_ignored(runner: RuleRunner) -> None:
    """Go does not look into it, so a package there is not in the build."""
    runner.write_files({"cmd/main.go": MAIN.replace("app/lib", "app/ignored/sub")})
    write(runner, "ignored/sub/x.go", "package sub\n")
    assert "ignored/sub/x.go" in inputs(runner)
    write(runner, "ignored/go.mod", "module example.com/other\n")
    assert "ignored/sub/x.go" not in inputs(runner)


def test_an_ignored_go_work(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "cmd/main.go": MAIN.replace("app/lib", "lib"),
            "other/go.mod": "module example.com/lib\ngo 1.21\n",
            "other/other.go": "package lib\n",
        }
    )
    assert "other/other.go" not in inputs(runner)
    work = write(runner, "go.work", "go 1.21\nuse (\n\t.\n\t./other\n)\n")
    found = inputs(runner)
    assert {"go.work", "other/go.mod", "other/other.go"} <= set(found)
    work.write_text("go 1.21\nuse .\n")
    found = inputs(runner)
    assert found["go.work"] == "go 1.21\nuse .\n"
    assert "other/other.go" not in found
    work.unlink()
    assert "go.work" not in inputs(runner)


def test_modules_of_a_go_work_that_are_ignored(runner: RuleRunner) -> None:
    uses = "use (\n\t.\n\t./ignored/one\n\t./ignored/two\n)\n"
    runner.write_files({"cmd/main.go": MAIN.replace("app/lib", "one")})
    write(runner, "go.work", f"go 1.21\n{uses}")
    write(runner, "ignored/one/go.mod", "module example.com/one\ngo 1.21\n")
    write(runner, "ignored/one/one.go", 'package one\nimport _ "example.com/two"\n')
    missing = "`use` of './ignored/two', but ignored/two/go.mod does not exist"
    assert missing in error_of_inputs(runner)

    go_mod = write(runner, "ignored/two/go.mod", "module example.com/two\ngo 1.21\n")
    write(runner, "ignored/two/two.go", "package two\n")
    found = inputs(runner)
    assert {f"ignored/{n}/{f}" for n in ("one", "two") for f in ("go.mod", f"{n}.go")} <= set(found)
    go_mod.write_text("module example.com/two\ngo 1.22\n")
    assert inputs(runner)["ignored/two/go.mod"].endswith("go 1.22\n")
    go_mod.unlink()
    assert missing in error_of_inputs(runner)


def test_embedded_files_come_and_go(runner: RuleRunner) -> None:
    runner.write_files({"lib/lib.go": EMBEDS.format("static/*.txt"), "lib/static/b.bin": "b"})
    before = inputs(runner)
    assert "lib/static/a.txt" in before
    assert "lib/static/b.bin" not in before
    runner.write_files({"lib/static/c.txt": "c"})
    assert inputs(runner) == {**before, "lib/static/c.txt": "c"}


@pytest.mark.parametrize("pattern", ["all:static", "static/.well-known"])
def test_embedded_files_that_are_ignored(runner: RuleRunner, pattern: str) -> None:
    runner.write_files({"lib/lib.go": EMBEDS.format(pattern)})
    before = {k: v for k, v in inputs(runner).items() if k != "lib/static/.well-known/a"}
    file = write(runner, "lib/static/.well-known/a", "a")
    assert inputs(runner) == {**before, "lib/static/.well-known/a": "a"}
    file.write_text("edited")
    other = write(runner, "lib/static/.well-known/[id].js", "new")
    assert inputs(runner) == {
        **before,
        "lib/static/.well-known/a": "edited",
        "lib/static/.well-known/[id].js": "new",
    }
    other.unlink()
    assert inputs(runner) == {**before, "lib/static/.well-known/a": "edited"}


@pytest.mark.parametrize(
    "path",
    [
        *("go.sum", "cmd/default.pgo", "lib/x_amd64.s", "lib/x.h", "lib/x.syso", "lib/up/inc.inc"),
        "vendor/modules.txt",
    ],
)
def test_other_files_that_are_ignored(path: str) -> None:
    daemon_memory.clear_all()
    runner = new_engine(f"--pants-ignore=['/{path}']")
    runner.write_files(
        {
            "go.mod": "module example.com/app\ngo 1.21\n",
            "cmd/main.go": MAIN,
            "lib/lib.go": "package lib\n",
            "lib/y_amd64.s": '#include "up/inc.inc"\n',
        }
    )
    before = inputs(runner)
    for text in ("// one\n", "// other\n"):
        write(runner, path, text)
        assert inputs(runner) == {**before, path: text}
    Path(runner.build_root, path).unlink()
    assert inputs(runner) == before


def test_a_vendor_directory_that_is_ignored() -> None:
    daemon_memory.clear_all()
    runner = new_engine("--pants-ignore=['vendor/']")
    runner.write_files(
        {
            "go.mod": "module example.com/app\ngo 1.21\nrequire example.org/x v1.0.0\n",
            "cmd/main.go": MAIN.replace("example.com/app/lib", "example.org/x/a"),
        }
    )
    vendored = {
        "vendor/modules.txt": "# example.org/x v1.0.0\n## explicit\nexample.org/x/a\n",
        "vendor/example.org/x/a/a.go": "package a\n",
    }
    for path, text in vendored.items():
        write(runner, path, text)
    assert set(inputs(runner)) == {"go.mod", "cmd/main.go", *vendored}
    write(runner, "vendor/example.org/x/a/a.go", "package a // edited\n")
    assert inputs(runner)["vendor/example.org/x/a/a.go"] == "package a // edited\n"


@pytest.mark.parametrize(
    ("link", "target"),
    [("lib/l.gen.go", "other.txt"), ("lib/l.go", "../gen/x.gen.go"), ("lib/l.gen.go", "../gen/x")],
)
def test_links_to_and_from_ignored_files(runner: RuleRunner, link: str, target: str) -> None:
    before = inputs(runner)
    place = Path(runner.build_root, link)
    runner.write_files({f"lib/{target}": "package lib\n"})
    place.symlink_to(target)
    runner.scheduler.scheduler.invalidate_all()
    assert inputs(runner) == {**before, link: "package lib\n"}
    runner.write_files({f"lib/{target}": "package lib // edited\n"})
    assert inputs(runner) == {**before, link: "package lib // edited\n"}


def test_a_directory_that_comes_below_an_embedded_one(runner: RuleRunner) -> None:
    runner.write_files({"lib/lib.go": EMBEDS.format("static")})
    before = inputs(runner)
    assert "lib/static/a.txt" in before
    write(runner, "lib/static/dist/deep/app.js", "app")
    assert inputs(runner) == {**before, "lib/static/dist/deep/app.js": "app"}
    write(runner, "lib/static/dist/deep/more.js", "more")
    assert set(inputs(runner)) == {
        *before,
        "lib/static/dist/deep/app.js",
        "lib/static/dist/deep/more.js",
    }


def test_what_cannot_be_read_is_reported_and_then_mended(runner: RuleRunner) -> None:
    before = inputs(runner)
    link = Path(runner.build_root, "lib/y.gen.go")
    link.symlink_to("../../outside.go")
    configure(runner)
    looked = runner.request(_Looked, [_Look()]).hidden
    (problem,) = looked.problems
    assert problem.startswith("lib/y.gen.go is a symbolic link that leads out of the repo")
    assert problem in error_of(runner, _Inputs, [_Request(looked)])
    link.unlink()
    assert inputs(runner) == before


def test_a_run_without_a_change_finds_the_same(
    runner: RuleRunner,
) -> None:
    write(runner, "lib/x.gen.go", "package lib\n")
    inputs(runner)
    configure(runner)
    first = runner.request(_Looked, [_Look()]).hidden
    configure(runner)
    assert runner.request(_Looked, [_Look()]).hidden == first
    write(runner, "lib/x.gen.go", "package lib // changed\n")
    configure(runner)
    assert runner.request(_Looked, [_Look()]).hidden != first


def test_a_build_that_looks_at_more_is_no_change(runner: RuleRunner) -> None:
    """Otherwise the second run of a daemon does again what the first has done."""
    before = runner.request(_Looked, [_Look()]).hidden
    write(runner, "lib/x.gen.go", "package lib\n")
    inputs(runner)
    configure(runner)
    assert runner.request(_Looked, [_Look()]).hidden == before


def test_a_run_without_a_change_looks_at_no_directory_again(
    runner: RuleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is no kodata, no vendor and no go.work; that is known as well.
    write(runner, "lib/x.gen.go", "package lib\n")
    disk = Disk(runner.build_root)
    while any(
        disk.state(path) is None for path in ("", "cmd", "lib", "lib/static", "lib/x.gen.go")
    ):
        pass
    before = inputs(runner)
    looks: list[str] = []
    entries = Disk.entries

    def counted(disk: Disk, path: str) -> Entries:
        looks.append(path)
        return entries(disk, path)

    monkeypatch.setattr(Disk, "entries", counted)
    configure(runner)
    runner.request(_Looked, [_Look()])
    assert looks == []
    write(runner, "lib/vendor/modules.txt", "")
    configure(runner)
    runner.request(_Looked, [_Look()])
    assert looks
    shutil.rmtree(Path(runner.build_root, "lib/vendor"))
    assert inputs(runner) == before
