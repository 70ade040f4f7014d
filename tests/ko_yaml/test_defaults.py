"""Which value counts for a program: ko's order, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from ko_pants.ko_yaml.configuration import KoBuild, KoConfiguration
from ko_pants.ko_yaml.defaults import base_of, main_directory, program_defaults

DEFAULTS = KoConfiguration(
    default_flags=("-v",), default_ldflags=("-s",), default_env=("A=default",)
)


@pytest.mark.parametrize("field", ["flags", "ldflags", "env"])
@pytest.mark.parametrize("in_build", [True, False])
@pytest.mark.parametrize("in_defaults", [True, False])
def test_the_entry_counts_before_the_default(field: str, in_build: bool, in_defaults: bool) -> None:
    entry: dict[str, Any] = {field: ("X=entry",)} if in_build else {}
    configuration = KoConfiguration(
        builds=(KoBuild(main="./cmd/app", line=3, **entry),),
        **({f"default_{field}": ("X=default",)} if in_defaults else {}),  # type: ignore[arg-type]
    )
    found = program_defaults(configuration, ".ko.yaml", "cmd/app")
    assert found is not None
    expected = ("X=entry",) if in_build else ("X=default",) if in_defaults else ()
    assert getattr(found, field) == expected
    assert found.origin == ".ko.yaml:3"


def test_fields_are_chosen_one_by_one() -> None:
    configuration = KoConfiguration(
        **{**vars(DEFAULTS), "builds": (KoBuild(main="app", flags=("-race",), line=9),)}
    )
    found = program_defaults(configuration, ".ko.yaml", "app")
    assert found is not None
    assert (found.flags, found.ldflags, found.env) == (("-race",), ("-s",), ("A=default",))


def test_defaults_are_for_every_program() -> None:
    found = program_defaults(DEFAULTS, "ko/.ko.yaml", "any/where")
    assert found is not None
    assert (found.flags, found.origin) == (("-v",), "ko/.ko.yaml")


def test_nothing_is_said() -> None:
    assert program_defaults(KoConfiguration(), ".ko.yaml", "app") is None


def test_the_last_of_two_entries_counts() -> None:
    builds = (KoBuild(main="app", flags=("-a",), line=1), KoBuild(main="app/", line=5))
    found = program_defaults(KoConfiguration(builds=builds), ".ko.yaml", "app")
    assert found is not None
    assert (found.flags, found.origin) == ((), ".ko.yaml:5")


@pytest.mark.parametrize(
    ("directory", "main", "of_file", "expected"),
    [
        (".", ".", "", ""),
        (".", "./cmd/app", "", "cmd/app"),
        (".", "cmd/app/main.go", "", "cmd/app"),
        (".", "main.go", "", ""),
        ("services", "app", "", "services/app"),
        ("services/", "../tools/app", "", "tools/app"),
        (".", "app", "go", "go/app"),
        ("..", "app", "go", "app"),
    ],
)
def test_directories(directory: str, main: str, of_file: str, expected: str) -> None:
    assert main_directory(KoBuild(directory=directory, main=main), of_file) == expected


def test_overrides_have_no_case() -> None:
    configuration = KoConfiguration(base_image_overrides=(("example.com/app", "base"),))
    assert base_of(configuration, "example.com/App") == "base"
    assert base_of(configuration, "example.com/App2") == ""
