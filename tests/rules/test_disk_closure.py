"""Closures of many main packages, read from a disk that changes between two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping

import pytest

from ko_pants.disk.answers import look_again
from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform
from ko_pants.products import GoClosureRequest
from ko_pants.rules.disk_closure import closure_on_disk

LINUX = (Platform("linux", "amd64"),)
WINDOWS = (Platform("windows", "amd64"),)
FILES = {
    "go.mod": "module m\ngo 1.21\n",
    "one/main.go": 'package main\nimport _ "m/lib"\nfunc main() {}\n',
    "two/main.go": 'package main\nimport _ "m/lib"\nimport _ "m/own"\nfunc main() {}\n',
    "lib/lib.go": "package lib\n",
    "lib/lib_windows.go": 'package lib\nimport _ "m/win"\n',
    "own/own.go": "package own\n",
    "win/win.go": "package win\n",
    "new/new.go": 'package new\nimport _ "m/win"\n',
}
OF_ONE = {"go.mod", "one/main.go", "lib/lib.go"}

Write = Callable[[Mapping[str, str]], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(files: Mapping[str, str]) -> None:
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)

    written(FILES)
    return written


def files(root: Path, main: str, platforms: tuple[Platform, ...] = LINUX) -> set[str]:
    return set(closure_on_disk(GoClosureRequest(main, platforms), str(root)).closure.files)


def run_again(root: Path) -> None:
    """What the first step of a run does."""
    look_again(str(root))


def test_programs_share_packages(tmp_path: Path, write: Write) -> None:
    assert files(tmp_path, "one") == OF_ONE
    assert files(tmp_path, "two") == {"go.mod", "two/main.go", "lib/lib.go", "own/own.go"}


def test_programs_for_other_platforms_and_tags_have_other_closures(
    tmp_path: Path, write: Write
) -> None:
    write({"lib/tagged.go": '//go:build extra\n\npackage lib\nimport _ "m/own"\n'})
    assert files(tmp_path, "one") == OF_ONE
    assert files(tmp_path, "one", WINDOWS) == {*OF_ONE, "lib/lib_windows.go", "win/win.go"}
    request = GoClosureRequest("one", LINUX, tags=("extra",))
    assert {*OF_ONE, "lib/tagged.go", "own/own.go"} == set(
        closure_on_disk(request, str(tmp_path)).closure.files
    )


@pytest.mark.parametrize("again", [False, True])
def test_an_import_that_is_new_is_seen_in_the_next_run(
    tmp_path: Path, write: Write, again: bool
) -> None:
    for main in ("one", "two"):
        files(tmp_path, main)
    if again:
        run_again(tmp_path)
        assert files(tmp_path, "one") == OF_ONE
    write({"lib/lib.go": 'package lib\nimport _ "m/new"\n'})
    # In the middle of a run all programs see the same.
    assert files(tmp_path, "one") == OF_ONE
    run_again(tmp_path)
    for main in ("one", "two"):
        assert files(tmp_path, main) >= {"lib/lib.go", "new/new.go", "win/win.go"}
    write({"lib/lib.go": "package lib\n"})
    run_again(tmp_path)
    assert files(tmp_path, "one") == OF_ONE


def test_a_new_file_a_new_package_and_a_new_module(tmp_path: Path, write: Write) -> None:
    write({"lib/lib.go": 'package lib\nimport _ "m/sub/later"\n'})
    assert files(tmp_path, "one") == OF_ONE
    write({"sub/later/later.go": "package later\n", "lib/more.go": "package lib\n"})
    run_again(tmp_path)
    assert files(tmp_path, "one") == {*OF_ONE, "lib/more.go", "sub/later/later.go"}
    # The package is another module's now.
    write({"sub/go.mod": "module other\n"})
    run_again(tmp_path)
    assert files(tmp_path, "one") == {*OF_ONE, "lib/more.go"}


def test_packages_that_import_each_other_have_closures_too(tmp_path: Path, write: Write) -> None:
    write({"own/own.go": 'package own\nimport _ "m/lib"\n'})
    write({"lib/lib.go": 'package lib\nimport _ "m/own"\n'})
    assert files(tmp_path, "one") == {*OF_ONE, "own/own.go"}
    assert files(tmp_path, "two") == {"go.mod", "two/main.go", "lib/lib.go", "own/own.go"}


def test_a_directory_that_cannot_be_read_is_an_error_until_it_can(
    tmp_path: Path, write: Write
) -> None:
    (tmp_path / "lib/lib.go").unlink()
    (tmp_path / "lib/lib.go").symlink_to("nowhere.go")
    for main in ("one", "two", "one"):
        with pytest.raises(KoPantsError, match=r"lib/lib\.go is a symbolic link to 'nowhere\.go'"):
            files(tmp_path, main)
    (tmp_path / "lib/lib.go").unlink()
    write({"lib/lib.go": "package lib\n"})
    run_again(tmp_path)
    assert files(tmp_path, "one") == OF_ONE
