"""The directories whose module files matter to one main package."""

from __future__ import annotations

from typing import Mapping

import pytest

from ko_pants.golang.module_directories import module_directories, module_file_paths

APP = "module example.com/app\ngo 1.21\n"
LIB = "module example.com/lib\ngo 1.21\n"


def directories(files: Mapping[str, str], directory: str, *, use_go_work: bool = True) -> set[str]:
    """What is found once everything that is asked for is known."""
    contents = {path: text.encode() for path, text in files.items()}
    read: frozenset[str] = frozenset()
    known: dict[str, bytes] = {}
    for _ in range(10):
        wanted = module_directories(directory, known, use_go_work=use_go_work)
        if wanted <= read:
            return set(read)
        names = module_file_paths(wanted - read)
        known.update({path: contents[path] for path in names if path in contents})
        read |= wanted
    raise AssertionError("there is no end")


def test_the_names_of_module_files() -> None:
    assert module_file_paths(["", "a/b"]) == [
        *("go.mod", "go.work", "vendor/modules.txt"),
        *("a/b/go.mod", "a/b/go.work", "a/b/vendor/modules.txt"),
    ]


def test_without_module_files_they_are_those_above() -> None:
    assert directories({}, "a/b/c") == {"", "a", "a/b", "a/b/c"}
    assert directories({}, "") == {""}


def test_other_modules_are_not_looked_at() -> None:
    files = {"app/go.mod": APP, "lib/go.mod": LIB, "app/nested/go.mod": LIB}
    assert directories(files, "app/cmd") == {"", "app", "app/cmd"}


def test_replacements_of_the_module() -> None:
    files = {
        "app/go.mod": APP + "require (\n\texample.com/lib v1.0.0\n\texample.com/gone v1.0.0\n"
        "\texample.com/x v1.0.0\n)\nreplace example.com/lib => ../lib\n"
        "replace example.com/gone => ./gone\nreplace example.com/x => example.com/y v1.0.0\n"
        "replace example.com/unused => ../unused\n",
        # Go follows the replacements of the main module alone.
        "lib/go.mod": LIB + "replace example.com/more => ../more\n",
        # The nearest module is the main one.
        "go.mod": "module example.com/root\nreplace example.com/far => ./far\n",
    }
    assert directories(files, "app/cmd") == {"", "app", "app/cmd", "app/gone", "lib"}


def test_the_modules_that_a_go_work_uses() -> None:
    files = {
        "go.work": "go 1.21\nuse (\n\t./app\n\t./lib\n)\nreplace example.com/fork => ./fork\n",
        "app/go.mod": APP + "require example.com/one v1.0.0\nreplace example.com/one => ../one\n",
        "lib/go.mod": LIB + "replace example.com/two => ./two\n",
        "other/go.mod": "module example.com/other\n",
    }
    assert directories(files, "app/cmd") == {
        *("", "app", "app/cmd", "lib", "fork", "one", "lib/two"),
    }
    assert directories(files, "app/cmd", use_go_work=False) == {"", "app", "app/cmd", "one"}


def test_the_nearest_go_work_counts() -> None:
    files = {
        "go.work": "go 1.21\nuse ./far\n",
        "near/go.work": "go 1.21\nuse .\n",
        "near/app/go.work": "go 1.21\nuse ../../lib\n",
    }
    assert directories(files, "near/app") == {"", "near", "near/app", "lib"}
    assert directories(files, "near") == {"", "near"}


@pytest.mark.parametrize(
    "files",
    [
        {"go.work": "use (\n"},
        {"go.work": "go 1.21\nuse ../outside\nuse /absolute\n"},
        {"go.mod": "replace (\n"},
        {"go.mod": APP + "require example.com/x v1.0.0\nreplace example.com/x => ../outside\n"},
        {"go.mod": APP + "require example.com/x v1.0.0\nreplace example.com/x => /absolute\n"},
    ],
)
def test_what_is_malformed_or_outside_names_nothing(files: Mapping[str, str]) -> None:
    assert directories(files, "cmd") == {"", "cmd"}
