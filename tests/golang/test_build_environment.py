from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import build_environment, parse_env_field
from ko_pants.oci.platform import Platform


def test_what_is_always_there() -> None:
    assert build_environment(Platform.parse("linux/arm/v7"), {}, {}) == {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "CGO_ENABLED": "0",
        "GOFLAGS": "-modcacherw",
        "GOOS": "linux",
        "GOARCH": "arm",
        "GOARM": "7",
    }


def test_the_target_wins_over_the_outside_and_the_platform_over_both() -> None:
    outside = {"A": "outside", "B": "outside", "PATH": "/opt", "GOOS": "windows"}
    own = {"B": "own", "GOARCH": "386", "CGO_ENABLED": "1"}
    env = build_environment(Platform.parse("linux/amd64"), outside, own)
    assert {name: env[name] for name in ("A", "B", "PATH", "GOOS", "GOARCH", "CGO_ENABLED")} == {
        **{"A": "outside", "B": "own", "PATH": "/opt", "GOOS": "linux", "GOARCH": "amd64"},
        "CGO_ENABLED": "0",
    }


def test_goflags_are_kept() -> None:
    linux = Platform.parse("linux/amd64")
    env = build_environment(linux, {"GOFLAGS": "-outside"}, {"GOFLAGS": "-mod=mod -x"})
    assert env["GOFLAGS"] == "-mod=mod -x -modcacherw"


def test_entries_of_the_field() -> None:
    entries = ["A=1", "B=", "C=a=b", "a b=c"]
    assert parse_env_field(entries, where="w") == (
        *(("A", "1"), ("B", ""), ("C", "a=b"), ("a b", "c")),
    )


@pytest.mark.parametrize("entry", ["A", "", "=1", "="])
def test_malformed_entries(entry: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field(["B=1", entry], where="a:b, field `env`")
    assert str(error.value) == f"a:b, field `env`: expected `NAME=value`, found {entry!r}"


@pytest.mark.parametrize(
    "name",
    [
        *("CGO_ENABLED", "GOOS", "GOARCH", "GOROOT", "GOCACHE", "GOPATH", "GOMODCACHE", "GOENV"),
        *("GOTOOLCHAIN", "GOTMPDIR"),
    ],
)
def test_variables_that_the_plugin_sets(name: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_env_field([f"{name}=x"], where="w")
    assert str(error.value) == (
        f"w: {name} is set by the plugin (platforms come from the image's `platforms`, and images "
        "are built with CGO_ENABLED=0); remove it"
    )
