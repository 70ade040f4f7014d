from __future__ import annotations

import pytest

from ko_pants.golang.toolchain import level_problem, meets_minimum, parse_version
from ko_pants.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("go version go1.26.8 linux/amd64\n", (1, 26, 8)),
        ("go1.21.0\ntime 2023-08-04T20:14:06Z\n", (1, 21, 0)),
        ("go1.22rc1", (1, 22, 0)),
        ("go1.20", (1, 20, 0)),
        ("go1.24.1 X:nocoverageredesign", (1, 24, 1)),
        ("go1.21.5-corp2", (1, 21, 5)),
        ("devel go1.27-0123abcd Mon Jan 1 00:00:00 2026 +0000", (1, 27, 0)),
        ("devel +0123abcd", None),
        ("", None),
        ("cargo1.2", None),
        ("go2", None),
    ],
)
def test_versions(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("version", "enough"),
    [((1, 20, 14), False), ((1, 21, 0), True), ((1, 26, 8), True), ((2, 0, 0), True)],
)
def test_minimum(version: tuple[int, int, int], enough: bool) -> None:
    assert meets_minimum(version) is enough


@pytest.mark.parametrize(
    ("go", "platform", "words"),
    [
        ("go1.26.8-abc", "linux/arm64/v9", ""),
        ("go1.23.0-abc", "linux/riscv64/rva22u64", ""),
        (
            "go1.22.9-abc",
            "linux/arm64/v9",
            "GOARM64=v9.0, which Go has since 1.23; found Go 1.22.9",
        ),
        ("go1.21.0-abc", "linux/riscv64/rva22u64", "GORISCV64=rva22u64"),
        # What Go compiles for anyway.
        ("go1.22.9-abc", "linux/arm64/v8", ""),
        ("go1.22.9-abc", "linux/arm64", ""),
        ("go1.22.9-abc", "linux/amd64/v3", ""),
    ],
)
def test_a_go_that_would_ignore_a_level(go: str, platform: str, words: str) -> None:
    found = level_problem(go, Platform.parse(platform))
    assert words in found
    assert bool(words) == bool(found)
