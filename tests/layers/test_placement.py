"""Places, modes and owners as BUILD files spell them, and paths that two layers both have."""

from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.placement import (
    clashes,
    directories_of,
    parse_mode,
    parse_owner,
    parse_place,
    parse_relative,
    windows_problem,
)


@pytest.mark.parametrize(
    ("text", "mode"), [("0644", 0o644), ("644", 0o644), ("4755", 0o4755), ("0000", 0)]
)
def test_modes_are_octal(text: str, mode: int) -> None:
    assert parse_mode(text) == mode


@pytest.mark.parametrize("text", ["", "64", "0o644", "0888", "u+x", "00644", "-644", " 0644"])
def test_other_modes_are_refused(text: str) -> None:
    with pytest.raises(KoPantsError, match="expected three or four octal digits") as error:
        parse_mode(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "ids"),
    [("0:0", (0, 0)), ("1000:65532", (1000, 65532)), ("4294967294:1", (4294967294, 1))],
)
def test_owners_are_numbers(text: str, ids: tuple[int, int]) -> None:
    assert parse_owner(text) == ids


@pytest.mark.parametrize(
    "text", ["", "1000", "1000:", ":1000", "app:app", "-1:0", "1:4294967295", "1:2:3", "٣:0"]
)
def test_other_owners_are_refused(text: str) -> None:
    with pytest.raises(KoPantsError, match="expected the numbers of user and group") as error:
        parse_owner(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize(
    ("text", "place"), [("/", "/"), ("/etc", "/etc"), ("/etc/app/", "/etc/app"), ("/a b", "/a b")]
)
def test_places_are_absolute(text: str, place: str) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "etc", "//", "/etc//a", "/etc/../a", "/./a", "/..", "/a\0"])
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(KoPantsError, match="expected an absolute path in the image"):
        parse_place(text)


@pytest.mark.parametrize("text", ["", "/a", "..", "a/../b", "a//b", ".", "a\0"])
def test_a_relative_path_stays_where_it_is(text: str) -> None:
    assert parse_relative("a/b/") == "a/b"
    with pytest.raises(KoPantsError, match="expected a relative path"):
        parse_relative(text)


def test_directories_are_all_those_above() -> None:
    assert directories_of(["/a/b/c", "/a/d", "/e"]) == {"/a", "/a/b"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (["/a/b"], ["/a/c"], []),
        (["/a/b"], ["/a/b"], ["/a/b"]),
        (["/a"], ["/a/b"], ["/a"]),
        (["/a/b/c"], ["/a/b"], ["/a/b"]),
        ([], ["/a"], []),
    ],
)
def test_a_path_has_one_file(one: list[str], other: list[str], expected: list[str]) -> None:
    found = clashes(set(one), directories_of(one), set(other), directories_of(other))
    assert found == expected


@pytest.mark.parametrize("path", ["/a:b", "/a/b\\c", "/a?", "/a.", "/a /b", '/"', "/a\n"])
def test_names_that_windows_does_not_have(path: str) -> None:
    problem = windows_problem(["/a/b.c d", path])
    assert problem == f"has the file {path}, a name that Windows does not have"


def test_names_that_are_one_for_windows() -> None:
    assert windows_problem(["/a", "/b"]) == ""
    assert (
        windows_problem(["/a/x", "/A/x"])
        == "has the files /A/x and /a/x, which are one for Windows"
    )
