"""How files of the repo are asked for, in the engine."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pants.engine.fs import DigestContents
from pants.engine.rules import QueryRule, rule
from pants.testutil.rule_runner import RuleRunner

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.engine import digest_contents
from ko_pants.rules.repo_files import (
    contents_of_matches,
    digest_of_files,
    existing_files,
    how_to_unignore,
    matching_files,
)

FILES = ("a/x.txt", "a/y.txt", "a/b/z.txt", "tree/deep/er/1", "tree/2", "treeless/3", "top.txt")


@dataclass(frozen=True)
class FilesRequest:
    files: tuple[str, ...]
    trees: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatchesRequest:
    patterns: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Found:
    paths: tuple[str, ...]
    contents: DigestContents


@rule
async def files_found(request: FilesRequest) -> Found:
    return Found(
        await existing_files(request.files, trees=request.trees),
        await digest_contents(await digest_of_files(request.files, trees=request.trees)),
    )


@dataclass(frozen=True)
class UnignoreRequest:
    path: str


@dataclass(frozen=True)
class Unignored:
    line: str


@rule
async def unignored(request: UnignoreRequest) -> Unignored:
    return Unignored(await how_to_unignore(request.path))


@rule
async def matches_found(request: MatchesRequest) -> Found:
    patterns = dict(request.patterns)
    return Found(await matching_files(patterns), await contents_of_matches(patterns))


@pytest.fixture(scope="module")
def runner() -> RuleRunner:
    runner = RuleRunner(
        rules=[
            files_found,
            matches_found,
            QueryRule(Found, [FilesRequest]),
            QueryRule(Found, [MatchesRequest]),
        ]
    )
    runner.write_files({path: path for path in FILES})
    return runner


def paths(runner: RuleRunner, request: FilesRequest | MatchesRequest) -> set[str]:
    """The paths that were found; the contents are those of the same files."""
    found = runner.request(Found, [request])
    contents = {file.path: file.content for file in found.contents}
    assert contents == {path: path.encode() for path in found.paths}
    return set(found.paths)


def test_files_that_exist(runner: RuleRunner) -> None:
    wanted = ("a/x.txt", "top.txt", "none", "a/none/x", "a/b")
    assert paths(runner, FilesRequest(wanted)) == {"a/x.txt", "top.txt"}
    assert paths(runner, FilesRequest(())) == set()


def test_trees(runner: RuleRunner) -> None:
    found = paths(runner, FilesRequest(("a/y.txt",), ("tree", "none")))
    assert found == {"a/y.txt", "tree/2", "tree/deep/er/1"}


def test_patterns_below_directories(runner: RuleRunner) -> None:
    found = paths(runner, MatchesRequest((("a", ("*.txt", "none")), ("tree", ("**",)))))
    assert found == {"a/x.txt", "a/y.txt", "tree/2", "tree/deep/er/1"}
    assert paths(runner, MatchesRequest((("", ("*.txt",)),))) == {"top.txt"}
    assert paths(runner, MatchesRequest(())) == set()


# Names that are wildcards, with a decoy that each of them would match as a pattern.
ODD = {
    "odd/[id].js": "odd/i.js",
    "odd/d/[slug]/page.js": "odd/d/s/page.js",
    "odd/*": "odd/star",
    "odd/wh?t": "odd/what",
    "odd/{a,b}": "odd/a",
    "odd/!not": "odd/not",
    "!top": "top",
    "odd/[!x]": "odd/y",
    "odd/back\\slash": "odd/backslash",
    "odd/ blank ": "odd/blank",
    "odd/**": "odd/more",
}


@pytest.fixture(scope="module")
def odd(runner: RuleRunner) -> RuleRunner:
    runner.write_files({path: path for pair in ODD.items() for path in pair})
    return runner


@pytest.mark.parametrize("path", ODD)
def test_a_path_is_no_pattern(odd: RuleRunner, path: str) -> None:
    assert paths(odd, FilesRequest((path,))) == {path}


@pytest.mark.parametrize("directory", ["tr[e]e", "!tree", "t*e", "t?e"])
def test_a_directory_is_no_pattern(runner: RuleRunner, directory: str) -> None:
    runner.write_files({f"{directory}/in/x.txt": f"{directory}/in/x.txt"})
    assert paths(runner, FilesRequest((), (directory,))) == {f"{directory}/in/x.txt"}
    found = paths(runner, MatchesRequest(((f"{directory}/in", ("*.txt",)),)))
    assert found == {f"{directory}/in/x.txt"}


@pytest.mark.parametrize(
    ("path", "patterns"),
    [
        ("app/made.bin", ["!/app/made.bin"]),
        ("app/.well-known/a", ["!/app/.well-known/", "!/app/.well-known/a"]),
        ("gen/deep/made.bin", ["!/gen/", "!/gen/deep/", "!/gen/deep/made.bin"]),
        ("made.bin", ["!/made.bin"]),
    ],
)
def test_the_line_with_which_pants_sees_an_ignored_file(path: str, patterns: list[str]) -> None:
    """Rules of gitignore take no file out of a directory that is itself ignored."""

    def engine(*more: str) -> RuleRunner:
        ignored = [".*/", "/gen/", "*.bin", *more]
        runner = RuleRunner(
            rules=[
                *(unignored, files_found),
                *(QueryRule(Unignored, [UnignoreRequest]), QueryRule(Found, [FilesRequest])),
            ],
            bootstrap_args=[f"--pants-ignore={ignored}"],
        )
        runner.write_files({"app/main.go": "", path: ""})
        return runner

    runner = engine()
    assert paths_of(runner, path) == set()
    found = runner.request(Unignored, [UnignoreRequest(path)])
    assert found.line == f"pants_ignore.add = {patterns}"
    assert paths_of(engine(*patterns), path) == {path}


def paths_of(runner: RuleRunner, path: str) -> set[str]:
    return set(runner.request(Found, [FilesRequest((path,))]).paths)
