"""Platforms as users write them, as indexes have them, and what Go and ko make of them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform, go_platforms, is_go_platform

VARIANTS = {
    "arm": ("v5", "v6", "v7"),
    "arm64": ("v8", "v8.1", "v8.9", "v9", "v9.1", "v9.5"),
    "amd64": ("v1", "v2", "v3", "v4"),
    "386": ("sse2", "softfloat"),
    "ppc64le": ("power8", "power9", "power10"),
    "riscv64": ("rva20u64", "rva22u64"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("windows/amd64", Platform("windows", "amd64")),
        ("windows/amd64:10.0.17763", Platform("windows", "amd64", "", "10.0.17763")),
        ("windows/amd64:10.0.17763.1879", Platform("windows", "amd64", "", "10.0.17763.1879")),
        ("linux/s390x", Platform("linux", "s390x")),
        ("wasip1/wasm", Platform("wasip1", "wasm")),
    ],
)
def test_what_users_write(text: str, expected: Platform) -> None:
    assert Platform.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["malformed", "''", "os/arch"]),
        ("linux", ["malformed", "'linux'", "linux/arm/v7"]),
        ("linux/", ["malformed"]),
        ("/amd64", ["malformed"]),
        ("linux//v7", ["malformed"]),
        ("linux/arm/v7/x", ["malformed"]),
        (" linux/amd64", ["malformed"]),
        ("linux/amd64\n", ["malformed"]),
        ("all", ["malformed", "'all'"]),
        ("Linux/amd64", ["operating system 'Linux'", "linux", "windows"]),
        ("plan10/amd64", ["operating system 'plan10'", "linux"]),
        ("linux/x86_64", ["architecture 'x86_64' for linux", "amd64"]),
        ("windows/s390x", ["architecture 's390x' for windows", "arm64"]),
        ("linux/arm/v8", ["arm has no variant 'v8'", "v5, v6, v7"]),
        ("linux/arm64/v7", ["arm64 has no variant 'v7'", "v8"]),
        ("linux/arm64/v9.6", ["arm64 has no variant 'v9.6'", "v9.5"]),
        ("linux/amd64/v5", ["amd64 has no variant 'v5'", "v1, v2, v3, v4"]),
        ("linux/s390x/z15", ["s390x has no variant 'z15'", "expected none"]),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(text: str, words: list[str]) -> None:
    with pytest.raises(KoPantsError) as e:
        Platform.parse(text)
    for word in (repr(text), *words):
        assert word in str(e.value)


@st.composite
def platforms(draw: st.DrawFn) -> Platform:
    bare = draw(st.sampled_from(go_platforms()))
    variant = draw(st.sampled_from(("", *VARIANTS.get(bare.architecture, ()))))
    version = draw(st.from_regex(r"(\d+(\.\d+){1,3})?", fullmatch=True))
    return Platform(bare.os, bare.architecture, variant, version)


@given(platforms())
def test_text_and_json_come_back_as_they_went(platform: Platform) -> None:
    assert Platform.parse(str(platform)) == platform
    assert Platform.from_json(json.loads(json.dumps(platform.to_json()))) == platform
    assert platform.matches(platform)
    assert is_go_platform(platform)


@given(st.one_of(st.text(), st.from_regex(r"linux/[a-z0-9]*(/[a-z0-9]*)?(:.*)?")))
def test_any_text_is_a_platform_or_an_error_for_the_user(text: str) -> None:
    with contextlib.suppress(KoPantsError):
        assert is_go_platform(Platform.parse(text))


@given(
    st.dictionaries(
        st.sampled_from(["os", "architecture", "variant", "os.version", "os.features"]),
        st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())),
    )
)
def test_any_platform_object_of_an_index_can_be_read(obj: dict[str, object]) -> None:
    platform = Platform.from_json(obj)
    for value in (platform.os, platform.architecture, platform.variant, platform.os_version):
        assert isinstance(value, str)


def test_json_has_only_the_keys_with_a_value_as_the_image_spec_spells_them() -> None:
    assert Platform("linux", "arm", "v7").to_json() == {
        "os": "linux",
        "architecture": "arm",
        "variant": "v7",
    }
    assert Platform("windows", "amd64", "", "10.0").to_json() == {
        "os": "windows",
        "architecture": "amd64",
        "os.version": "10.0",
    }


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("linux/amd64", {}),
        ("linux/amd64/v3", {"GOAMD64": "v3"}),
        ("linux/arm64", {}),
        ("linux/arm64/v8", {"GOARM64": "v8.0"}),
        ("linux/arm64/v9", {"GOARM64": "v9.0"}),
        ("linux/arm64/v8.4", {"GOARM64": "v8.4"}),
        ("linux/arm64/v9.5", {"GOARM64": "v9.5"}),
        # Without a variant Go looks at the host; every machine must build the same.
        ("linux/arm", {"GOARM": "7"}),
        ("windows/arm", {"GOARM": "7"}),
        ("freebsd/arm", {}),
        ("linux/arm/v5", {"GOARM": "5"}),
        ("linux/arm/v6", {"GOARM": "6"}),
        ("linux/arm/v7", {"GOARM": "7"}),
        ("linux/386/softfloat", {"GO386": "softfloat"}),
        ("linux/386/sse2", {"GO386": "sse2"}),
        *((f"linux/ppc64le/power{n}", {"GOPPC64": f"power{n}"}) for n in (8, 9, 10)),
        *((f"linux/ppc64/power{n}", {"GOPPC64": f"power{n}"}) for n in (8, 9, 10)),
        *((f"linux/riscv64/rva{n}u64", {"GORISCV64": f"rva{n}u64"}) for n in (20, 22, 23)),
        *((f"linux/amd64/v{n}", {"GOAMD64": f"v{n}"}) for n in (1, 2, 4)),
        ("windows/amd64:10.0.17763", {}),
    ],
)
def test_go_is_told_everything_that_decides_its_output(text: str, more: dict[str, str]) -> None:
    platform = Platform.parse(text)
    bare = {"GOOS": platform.os, "GOARCH": platform.architecture}
    assert platform.go_env() == {**bare, **more}


@pytest.mark.parametrize(
    ("variant", "goarm"),
    [
        # ko's getGoarm (pkg/build/gobuild.go). Without GOARM, Go cross-compiles for 7.
        ("v5", "5"),
        ("v6", "6"),
        ("v7", "7"),
        ("v8", "7"),
        ("v9", "7"),
        ("v4", "7"),
        ("", "7"),
    ],
)
def test_goarm_of_a_base_is_that_of_ko(variant: str, goarm: str) -> None:
    assert Platform("linux", "arm", variant).go_env()["GOARM"] == goarm


def test_a_variant_that_go_does_not_know_is_left_out() -> None:
    # Bases have them: `s390x/z13`, `arm/v8`.
    assert Platform("linux", "s390x", "z13").go_env() == {"GOOS": "linux", "GOARCH": "s390x"}
    # ko takes the last two for an error.
    for variant in ("v8", "vnot-a-number", "wrong-prefix"):
        assert Platform("linux", "arm", variant).go_env()["GOARM"] == "7"


def test_every_platform_is_one_of_the_go_tool() -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go")
    listed = subprocess.run(
        [go, "tool", "dist", "list"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    # Go 1.26 has dropped these; older ones, which serve as well, have them.
    dropped = {"windows/arm", "freebsd/riscv64"}
    assert {str(p) for p in go_platforms()} - set(listed) <= dropped


@pytest.mark.parametrize(
    ("base", "wanted", "expected"),
    [
        # What the target leaves out is not compared.
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("windows/amd64:10.0.17763.1879", "windows/amd64", True),
        ("linux/arm/v7", "linux/arm/v7", True),
        ("linux/arm/v6", "linux/arm/v7", False),
        ("linux/arm", "linux/arm/v7", False),
        ("linux/amd64", "linux/arm64", False),
        ("windows/amd64", "linux/amd64", False),
        # Three components of a Windows version match any fourth; nothing else is partial.
        ("windows/amd64:10.0.17763.1879", "windows/amd64:10.0.17763.1879", True),
        ("windows/amd64:10.0.17763.1879", "windows/amd64:10.0.17763", True),
        ("windows/amd64:10.0.17763", "windows/amd64:10.0.17763", True),
        ("windows/amd64:10.0.17763.1879", "windows/amd64:10.0.17763.2000", False),
        ("windows/amd64:10.0.17763.1879", "windows/amd64:10.0.20348", False),
        ("windows/amd64:10.0.17763.1879", "windows/amd64:10.0", False),
        ("windows/amd64:10.0.17763.1879.1", "windows/amd64:10.0.17763", False),
        ("windows/amd64:10.0.17763", "windows/amd64:10.0.17763.1879", False),
        ("windows/amd64:10.0.17763", "windows/amd64:10.0", False),
        ("windows/amd64:10.0.17763.1879.1", "windows/amd64:10.0.17763.1879", False),
        ("windows/amd64", "windows/amd64:10.0.17763", False),
        ("linux/amd64:1.2.3.4", "linux/amd64:1.2.3", False),
    ],
)
def test_a_base_matches_as_in_ko(base: str, wanted: str, expected: bool) -> None:
    assert Platform.parse(base).matches(Platform.parse(wanted)) is expected


@given(st.sampled_from(go_platforms()), st.text(max_size=5), st.text(max_size=5))
def test_every_variant_and_version_of_a_base_serves_a_bare_wish(
    bare: Platform, variant: str, version: str
) -> None:
    assert Platform(bare.os, bare.architecture, variant, version).matches(bare)


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        (Platform("linux", "arm", "v8"), True),
        (Platform("linux", "x86_64"), False),
        (Platform("unknown", "unknown"), False),
        (Platform("", ""), False),
    ],
)
def test_platforms_that_go_can_build_for(platform: Platform, expected: bool) -> None:
    assert is_go_platform(platform) is expected


def test_features_of_the_system_are_in_json_and_not_in_the_text() -> None:
    obj = {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.17763.1879",
        "os.features": ["win32k"],
    }
    platform = Platform.from_json(obj)
    assert platform.os_features == ("win32k",)
    assert platform.to_json() == obj
    assert str(platform) == "windows/amd64:10.0.17763.1879"
    assert platform.matches(Platform.parse("windows/amd64"))
    assert Platform.from_json({**obj, "os.features": "win32k"}).os_features == ()
