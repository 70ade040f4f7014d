"""Symbolic links in what a process or a package has made."""

from __future__ import annotations

from typing import Mapping

import pytest
from pants.engine.fs import FileDigest, FileEntry

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.errors import KoPantsError
from ko_pants.rules.yielded_files import follow_links


def files(*paths: str) -> dict[str, FileEntry]:
    """Files, each with a size of its own."""
    return {
        path: FileEntry(path, FileDigest("0" * 64, number), is_executable=bool(number % 2))
        for number, path in enumerate(paths)
    }


def followed(links: Mapping[str, str], *paths: str) -> dict[str, str]:
    """The path of the file that stands at each path."""
    there = files(*paths)
    by_size = {entry.file_digest.serialized_bytes_length: path for path, entry in there.items()}
    found = follow_links(there, links, "app:etc")
    assert all(entry.path == path for path, entry in found.items())
    return {p: by_size[e.file_digest.serialized_bytes_length] for p, e in sorted(found.items())}


def test_a_link_to_a_file_is_the_file() -> None:
    assert followed({"d/link": "../a"}, "a", "b") == {"a": "a", "b": "b", "d/link": "a"}


def test_a_link_to_a_directory_has_its_files_and_links() -> None:
    found = followed({"d/up": "../a", "d/deep/x": "y", "link": "d"}, "a", "d/deep/y")
    assert found == {
        **{"a": "a", "d/up": "a", "d/deep/y": "d/deep/y", "d/deep/x": "d/deep/y"},
        **{"link/up": "a", "link/deep/y": "d/deep/y", "link/deep/x": "d/deep/y"},
    }


def test_links_to_links() -> None:
    assert followed({"x": "y", "y": "d/../z"}, "z", "d/a") == {
        **{"d/a": "d/a", "x": "z", "y": "z", "z": "z"}
    }


def test_a_path_through_a_link() -> None:
    found = followed({"current": "v1", "app": "current/app"}, "v1/app")
    assert found == {"app": "v1/app", "current/app": "v1/app", "v1/app": "v1/app"}


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ({"x": "../a"}, "leads out of what it yields"),
        ({"d/x": "../../a"}, "leads out of what it yields"),
        ({"x": "/etc/passwd"}, "leads to /etc/passwd; expected a relative link"),
        ({"x": "nowhere"}, "leads to nowhere, which is not there"),
        ({"x": "y", "y": "x"}, "leads back to itself"),
        ({"x": "x"}, "leads back to itself"),
        ({"d/x": "."}, "leads back to a directory"),
        ({"d/x": ".."}, "leads back to a directory"),
        ({"d/x": "../e", "e/y": "../d"}, "leads back to a directory"),
    ],
)
def test_links_that_cannot_be_followed(links: Mapping[str, str], words: str) -> None:
    with pytest.raises(KoPantsError, match=words) as error:
        followed(links, "a", "d/a", "e/a")
    assert str(error.value).startswith("app:etc: the link ")
