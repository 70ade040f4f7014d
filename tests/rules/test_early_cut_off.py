"""What the engine does not do again: after an edit, and in another engine with the same KOCACHE."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pants.engine.fs import CreateDigest, Digest, FileContent
from pants.testutil.rule_runner import QueryRule, RuleRunner
from rules.engine_runner import layer_request, rules_of_backend

from ko_pants import target_types
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.directory import analyze_directory
from ko_pants.layer_contents import TreeContent
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoClosure,
    GoClosureRequest,
    HostTools,
    HostToolsRequest,
    Layer,
    LayerRequest,
)
from ko_pants.rules import go_closure, go_directory, settings

LINUX = Platform.parse("linux/amd64")
WINDOWS = Platform.parse("windows/amd64")

FILES = {
    "mono/go.mod": "module example.com/mono\n\ngo 1.21\n",
    "mono/app/main.go": 'package main\n\nimport "example.com/mono/lib"\n\n'
    "func main() { lib.F() }\n",
    "mono/app/main_test.go": "package main\n",
    "mono/lib/lib.go": "package lib\n\nfunc F() {}\n",
    "mono/lib/lib_windows.go": 'package lib\n\nimport _ "example.com/mono/deep"\n',
    "mono/deep/deep.go": 'package deep\n\nimport _ "embed"\n\n//go:embed text\nvar Text string\n',
    "mono/deep/text": "embedded\n",
    "mono/other/other.go": "package other\n",
    "mono/README.md": "Text.\n",
}


class Runner:
    """A `RuleRunner` with the plugin's rules; caches below `directory`."""

    def __init__(self, directory: Path, store: str = "store") -> None:
        directories = [
            f"--local-store-dir={directory / store}",
            f"--named-caches-dir={directory / 'named'}",
        ]
        self.rules = RuleRunner(
            rules=[
                *rules_of_backend(),
                QueryRule(GoClosure, [GoClosureRequest]),
                QueryRule(Layer, [LayerRequest]),
                QueryRule(settings.Settings, []),
                QueryRule(HostTools, [HostToolsRequest]),
            ],
            target_types=target_types.target_types(),
            bootstrap_args=directories,
        )
        self.rules.set_options(directories, env={"KOCACHE": str(directory / "kocache")})

    def write(self, files: dict[str, str]) -> None:
        """Write files into the build root."""
        self.rules.write_files(files)

    def request(self, output: type[Any], *inputs: Any) -> Any:
        """Ask the engine."""
        return self.rules.request(output, inputs)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    runner = Runner(tmp_path)
    runner.write(FILES)
    return runner


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Directories analyzed and closures searched since the test cleared them."""
    seen: dict[str, list[str]] = {"analyzed": [], "searched": []}

    def counted_analyze(path: str, *args: Any) -> Any:
        seen["analyzed"].append(path)
        return analyze_directory(path, *args)

    def counted_search(workspace: Any, directory: str, *args: Any, **kwargs: Any) -> Any:
        seen["searched"].append(directory)
        return ClosureSearch(workspace, directory, *args, **kwargs)

    monkeypatch.setattr(go_directory, "analyze_directory", counted_analyze)
    monkeypatch.setattr(go_closure, "ClosureSearch", counted_search)
    return seen


def find(runner: Runner, *platforms: Platform) -> GoClosure:
    """The closure of `mono/app`."""
    closure = runner.request(GoClosure, GoClosureRequest("mono/app", platforms or (LINUX,)))
    assert isinstance(closure, GoClosure)
    return closure


def existing(closure: GoClosure) -> set[str]:
    """The closure's files that are there."""
    return set(closure.files) & set(FILES)


def test_closure_of_each_platform(runner: Runner) -> None:
    linux = {"mono/go.mod", "mono/app/main.go", "mono/lib/lib.go"}
    windows = {"mono/lib/lib_windows.go", "mono/deep/deep.go"}

    assert existing(find(runner, LINUX)) == linux
    assert existing(find(runner, LINUX, WINDOWS)) == linux | windows


def work_after(
    runner: Runner,
    calls: dict[str, list[str]],
    edit: dict[str, str],
    expected: dict[str, list[str]],
) -> dict[str, list[str]]:
    """What the engine does after an edit; `{n}` in it makes it a new one each time.

    The system may tell late of a file that was written before, and the engine then looks once more:
    so an edit waits for a look that finds nothing to do, and this is tried until no more is done
    than is `expected`, a few times.
    """
    before = find(runner)
    for n in range(10):
        for _ in range(100):
            for seen in calls.values():
                seen.clear()
            find(runner)
            if not any(calls.values()):
                break
        runner.write({path: text.replace("{n}", str(n)) for path, text in edit.items()})
        assert find(runner) == before
        if calls == expected:
            break
    return calls


def test_edit_of_a_body_searches_nothing(runner: Runner, calls: dict[str, list[str]]) -> None:
    edit = {"mono/lib/lib.go": "package lib\n\nfunc F() { println({n}) }\n"}
    # One directory is read again; equal imports end it there.
    expected: dict[str, list[str]] = {"analyzed": ["mono/lib"], "searched": []}

    assert work_after(runner, calls, edit, expected) == expected


def test_edit_outside_of_the_closure_does_nothing(
    runner: Runner, calls: dict[str, list[str]]
) -> None:
    edit = {"mono/other/other.go": "package other\n\nvar X = {n}\n", "mono/README.md": "{n}\n"}
    expected: dict[str, list[str]] = {"analyzed": [], "searched": []}

    assert work_after(runner, calls, edit, expected) == expected


def test_new_file_beside_the_closure_searches_nothing(
    runner: Runner, calls: dict[str, list[str]]
) -> None:
    before = find(runner)
    calls["searched"].clear()
    runner.write({"mono/lib/note.txt": "a note\n", "mono/new/new.go": "package new\n"})

    assert find(runner) == before
    assert calls["searched"] == []


def test_edit_of_an_import_finds_the_new_package(
    runner: Runner, calls: dict[str, list[str]]
) -> None:
    find(runner)
    calls["analyzed"].clear()
    runner.write({"mono/lib/lib.go": 'package lib\n\nimport _ "example.com/mono/other"\n'})

    assert "mono/other/other.go" in find(runner).files
    assert set(calls["analyzed"]) >= {"mono/lib", "mono/other"}


def kodata(runner: Runner, text: str) -> LayerRequest:
    """A request for a kodata layer with one file."""
    digest = runner.request(Digest, CreateDigest([FileContent("kodata/note.txt", text.encode())]))
    return layer_request(runner.rules, LINUX, TreeContent("kodata", digest))


def test_layer_comes_from_kocache_without_a_process(tmp_path: Path) -> None:
    first = Runner(tmp_path)
    made = first.request(Layer, kodata(first, "Hello there\n"))
    # Another engine, which knows nothing but KOCACHE.
    second = Runner(tmp_path, store="another-store")

    found = second.request(Layer, kodata(second, "Hello there\n"))

    assert made.source.metadata is not None
    assert found.source.metadata is None
    assert (found.diff_id, found.descriptor) == (made.diff_id, made.descriptor)


@pytest.mark.parametrize("lose", ["kocache", "store"])
def test_layer_is_the_same_from_whatever_is_left(lose: str, tmp_path: Path) -> None:
    first = Runner(tmp_path)
    made = first.request(Layer, kodata(first, "a note\n"))
    if lose == "kocache":
        shutil.rmtree(tmp_path / "kocache")
    second = Runner(tmp_path, store="store" if lose == "kocache" else "empty")

    found = second.request(Layer, kodata(second, "a note\n"))

    assert (found.diff_id, found.descriptor) == (made.diff_id, made.descriptor)
    assert (found.source.metadata is None) == (lose == "store")


def test_another_content_is_another_layer(tmp_path: Path) -> None:
    runner = Runner(tmp_path)

    one, two = (runner.request(Layer, kodata(runner, text)) for text in ("one\n", "two\n"))

    assert one.diff_id != two.diff_id
    assert two.source.metadata is not None
