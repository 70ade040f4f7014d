"""CPU levels: which base holds a program of which level, and the order in the index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.oci.cpu_levels import base_variants, choose_offers, missing_platforms, plain_first
from ko_pants.oci.image import scratch_base
from ko_pants.oci.platform import Platform


@pytest.mark.parametrize(
    ("architecture", "variant", "bases"),
    [
        ("amd64", "v1", "v1 -"),
        ("amd64", "v3", "v3 v2 v1 -"),
        ("arm", "v5", "v5"),
        ("arm", "v6", "v6 v5"),
        # Plain arm is v7 to containerd and to Go.
        ("arm", "v7", "v7 - v6 v5"),
        ("arm64", "v8", "v8 -"),
        ("arm64", "v8.2", "v8.2 v8.1 v8 -"),
        ("arm64", "v9", "v9 v8.5 v8.4 v8.3 v8.2 v8.1 v8 -"),
        ("arm64", "v9.1", "v9.1 v9 v8.6 v8.5 v8.4 v8.3 v8.2 v8.1 v8 -"),
        # What a base may have, and Go does not know.
        ("arm64", "v3", "v3"),
        ("386", "softfloat", "softfloat"),
        ("386", "sse2", "sse2 - softfloat"),
        ("ppc64le", "power9", "power9 power8 -"),
        ("riscv64", "rva22u64", "rva22u64 rva20u64 -"),
        ("s390x", "z13", "z13"),
    ],
)
def test_a_base_of_a_lower_level_serves(architecture: str, variant: str, bases: str) -> None:
    found = base_variants(architecture, variant)
    assert " ".join(found_variant or "-" for found_variant in found) == bases


levels = st.sampled_from(
    [
        *(Platform("linux", "amd64", v) for v in ("", "v1", "v2", "v3", "v4")),
        *(Platform("linux", "arm", v) for v in ("", "v5", "v6", "v7")),
        *(Platform("linux", "arm64", v) for v in ("", "v8", "v8.5", "v9", "v9.2")),
        *(Platform("windows", "amd64", v, "10.0.1.2") for v in ("", "v3")),
    ]
)


@given(st.lists(levels, unique=True), st.lists(levels, unique=True))
def test_what_is_chosen(offered: list[Platform], wanted: list[Platform]) -> None:
    found = choose_offers(list(enumerate(offered)), wanted)
    missing = missing_platforms(offered, wanted)
    # In the base's order, and each platform once.
    assert [i for i, _ in found] == sorted(i for i, _ in found)
    assert len({platform for _, platform in found}) == len(found)
    for platform in wanted:
        assert (platform in missing) == (not any(p.matches(platform) for _, p in found))
    for index, platform in found:
        allowed = base_variants(platform.architecture, platform.variant)
        assert platform == offered[index] or offered[index].variant in allowed


@given(st.lists(levels, unique=True))
def test_what_has_no_variant_is_first(platforms: list[Platform]) -> None:
    found = plain_first(platforms)
    assert sorted(found) == sorted(platforms)
    for i, platform in enumerate(found):
        if not platform.variant:
            assert all(
                (p.os, p.architecture) != (platform.os, platform.architecture) for p in found[:i]
            )
    with_variant = [p for p in platforms if p.variant]
    assert [p for p in found if p.variant] == with_variant


def test_scratch_has_the_levels_that_are_wanted_the_plain_one_first() -> None:
    wanted = [Platform.parse(f"linux/{p}") for p in ("arm64", "amd64/v3", "arm/v7", "amd64")]
    base = scratch_base(wanted)
    assert [str(m.platform) for m in base.manifests] == [
        "linux/arm64",
        "linux/amd64",
        "linux/amd64/v3",
        "linux/arm/v7",
    ]
