"""One platform is vetted for all that have the same source files."""

from __future__ import annotations

import pytest

from ko_pants.golang.directory import analyze_directory
from ko_pants.golang.vet_platforms import vet_platforms
from ko_pants.oci.platform import Platform

SOURCE = b"package p\n"


def vetted(names: list[str], platforms: str, tags: tuple[str, ...] = (), extra: bytes = b"") -> str:
    files = dict.fromkeys(names, SOURCE)
    if extra:
        files["extra.go"] = extra + SOURCE
    directory = analyze_directory("d", files)
    wanted = [Platform.parse(p) for p in platforms.split()]
    return " ".join(map(str, vet_platforms(wanted, [directory], tags)))


@pytest.mark.parametrize(
    ("names", "platforms", "expected"),
    [
        (["a.go"], "linux/amd64", "linux/amd64"),
        (["a.go"], "linux/arm64 linux/amd64 linux/s390x", "linux/arm64"),
        (["a.go"], "linux/amd64 linux/amd64/v3", "linux/amd64"),
        (["a.go"], "linux/amd64 windows/amd64 linux/arm64", "linux/amd64 windows/amd64"),
        # The sizes of types differ.
        (["a.go"], "linux/amd64 linux/386 linux/arm/v7", "linux/amd64 linux/386"),
        (["a.go", "b_arm64.go"], "linux/amd64 linux/arm64 linux/s390x", "linux/amd64 linux/arm64"),
        (["a.go", "b_amd64.s"], "linux/arm64 linux/amd64", "linux/arm64 linux/amd64"),
        # Files that are in no build, or in each.
        (["a.go", "b_darwin.go", "c_linux.go"], "linux/amd64 linux/arm64", "linux/amd64"),
        (["a.go", "b_arm64_test.go"], "linux/amd64 linux/arm64", "linux/amd64"),
    ],
)
def test_platforms(names: list[str], platforms: str, expected: str) -> None:
    assert vetted(names, platforms) == expected


def test_constraints_see_tags() -> None:
    both = "linux/amd64 linux/arm64"
    constraint = b"//go:build arm64 && x\n\n"
    assert vetted([], both, extra=constraint) == "linux/amd64"
    assert vetted([], both, ("x",), extra=constraint) == both
