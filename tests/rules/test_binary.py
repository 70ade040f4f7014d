"""What a `go_executable` says of how it is compiled."""

from __future__ import annotations

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidFieldException

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.build_fields import GoExecutablePackageField
from ko_pants.products import GoBuild
from ko_pants.rules.binary import build_of_fields
from ko_pants.target_types import (
    GoExecutableEnvField,
    GoExecutableFlagsField,
    GoExecutableLdflagsField,
    GoExecutableMainField,
)


def build(
    main: str | None = None,
    *,
    flags: tuple[str, ...] = (),
    ldflags: tuple[str, ...] = (),
    env: tuple[str, ...] = (),
    package: str | None = None,
    directory: str = "services/app",
) -> GoBuild:
    address = Address(directory, target_name="exe")
    return build_of_fields(
        address,
        GoExecutableMainField(main, address),
        GoExecutableFlagsField(flags, address),
        GoExecutableLdflagsField(ldflags, address),
        GoExecutableEnvField(env, address),
        GoExecutablePackageField(package, address),
    )


def test_all_fields() -> None:
    found = build("cmd/x", flags=("-race",), ldflags=("-s", "-w"), env=("A=1", "B=c=d"))
    assert found == GoBuild(
        "services/app:exe",
        "services/app/cmd/x",
        ("-race",),
        ("-s", "-w"),
        (("A", "1"), ("B", "c=d")),
    )


@pytest.mark.parametrize(
    ("main", "directory", "expected"),
    [
        (None, "services/app", "services/app"),
        (".", "services/app", "services/app"),
        ("./cmd/../x/", "services/app", "services/app/x"),
        ("../other", "services/app", "services/other"),
        ("../..", "services/app", ""),
        ("cmd", "", "cmd"),
        (None, "", ""),
    ],
)
def test_directories(main: str | None, directory: str, expected: str) -> None:
    assert build(main, directory=directory).directory == expected


@pytest.mark.parametrize(("main", "directory"), [("/cmd", "a"), ("../../x", "a"), ("..", "")])
def test_directories_outside_of_the_repo(main: str, directory: str) -> None:
    with pytest.raises(InvalidFieldException) as error:
        build(main, directory=directory)
    assert str(error.value) == (
        f"{directory or '//'}:exe, field `main`: expected a directory relative to the BUILD file, "
        f"within the build root; found {main!r}"
    )


def test_errors_name_target_and_field() -> None:
    with pytest.raises(InvalidFieldException, match=r"field `flags`: the flag '-o=x'"):
        build(flags=("-o=x",))
    with pytest.raises(
        InvalidFieldException, match=r"^services/app:exe, field `env`: expected `NAME=value`"
    ):
        build(env=("A",))


@pytest.mark.parametrize(
    ("fields", "field", "word"),
    [
        ({"flags": ("-overlay", "o.json")}, "flags", "-overlay"),
        ({"flags": ("-pgo=/tmp/cpu.pprof",)}, "flags", "-pgo=/tmp/cpu.pprof"),
        ({"flags": ("netgo",)}, "flags", "found 'netgo'"),
        ({"ldflags": ("-s", "-extld=/bin/x")}, "ldflags", "-extld"),
        ({"env": ("GOFLAGS=-toolexec=/bin/x",)}, "env", "GOFLAGS: the flag '-toolexec=/bin/x'"),
        ({"env": ("GOCACHEPROG=/bin/x",)}, "env", "GOCACHEPROG"),
    ],
)
def test_what_would_decide_the_result_beside_the_inputs_is_refused(
    fields: dict[str, tuple[str, ...]], field: str, word: str
) -> None:
    with pytest.raises(InvalidFieldException) as error:
        build(**fields)  # type: ignore[arg-type]
    assert str(error.value).startswith(f"services/app:exe, field `{field}`: ")
    assert word in str(error.value)


def test_a_package_of_another_module() -> None:
    found = build(package="example.com/tools/cmd/tool", flags=("-v",))
    assert (found.directory, found.package) == ("services/app", "example.com/tools/cmd/tool")


@pytest.mark.parametrize(
    "package", ["tool", "./cmd", "example.com/x@v1.2.3", "example.com/x/", "/a"]
)
def test_what_is_no_import_path_of_another_module(package: str) -> None:
    with pytest.raises(InvalidFieldException, match=r"field `package`: expected an import path"):
        build(package=package)
