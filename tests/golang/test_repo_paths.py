from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.repo_paths import is_within, join, nearest, parents, resolve_directory


def test_join() -> None:
    assert join("", "a") == "a"
    assert join("a/b", "c") == "a/b/c"


@pytest.mark.parametrize(
    ("path", "directory", "within"),
    [
        ("a/b", "a", True),
        ("a", "a", True),
        ("ab", "a", False),
        ("a", "a/b", False),
        ("a", "", True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_is_within(path: str, directory: str, within: bool) -> None:
    assert is_within(path, directory) is within


def test_parents() -> None:
    assert list(parents("a/b/c")) == ["a/b/c", "a/b", "a", ""]
    assert list(parents("")) == [""]


@pytest.mark.parametrize(
    ("directory", "found"),
    [("a/b/c", "a"), ("a", "a"), ("ab", ""), ("", ""), ("x/y/z", "x/y")],
)
def test_nearest(directory: str, found: str) -> None:
    assert nearest(directory, {"", "a", "x/y"}) == found


def test_no_candidate_is_near() -> None:
    assert nearest("b/c", {"a", "b/c/d"}) is None


@pytest.mark.parametrize(
    ("base", "target", "directory"),
    [
        ("a", "./b", "a/b"),
        ("a", "../b", "b"),
        ("a", "..", ""),
        ("", ".", ""),
        ("a/b", "../c/./d/", "a/c/d"),
        ("a", "..b", "a/..b"),
    ],
)
def test_directories_in_the_repo(base: str, target: str, directory: str) -> None:
    assert resolve_directory(base, target, where="w", what="x") == directory


@pytest.mark.parametrize(
    ("base", "target", "text"),
    [
        (
            "a",
            "../../b",
            "a/go.mod:7: the path '../../b' is outside of the repo; move the module into the repo, "
            "or require a published version of it",
        ),
        (
            "",
            "..",
            "a/go.mod:7: the path '..' is outside of the repo; move the module into the repo, "
            "or require a published version of it",
        ),
        (
            "a",
            "/b",
            "a/go.mod:7: the path '/b' is an absolute path; expected one relative to go.mod, "
            "within the repo",
        ),
    ],
)
def test_directories_outside(base: str, target: str, text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        resolve_directory(base, target, where="a/go.mod:7", what="the path")
    assert str(error.value) == text
