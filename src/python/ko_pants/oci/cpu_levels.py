"""CPU levels: which variants of a base can hold a program that is compiled for a variant.

A machine of a higher level runs the code of a lower one, so a base for plain `linux/amd64` serves a
program for `linux/amd64/v3`. The ladders are those by which containerd chooses from an index
(`platformVector` and `normalizeArch` of github.com/containerd/platforms), and Go's for the rest
(`go help environment`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Iterable, Sequence, TypeVar

from ko_pants.oci.platform import Platform

_T = TypeVar("_T")

# By architecture: variants from the lowest to the highest. `""` stands beside its equal.
_LADDERS: dict[str, tuple[str, ...]] = {
    "amd64": ("", "v1", "v2", "v3", "v4"),
    "arm": ("v5", "v6", "", "v7"),
    "386": ("softfloat", "", "sse2"),
    "ppc64": ("", "power8", "power9", "power10"),
    "ppc64le": ("", "power8", "power9", "power10"),
    "riscv64": ("", "rva20u64", "rva22u64", "rva23u64"),
}

_ARM64 = re.compile(r"v[89](\.[0-9])?")


def base_variants(architecture: str, variant: str) -> tuple[str, ...]:
    """The variants of bases for a program of this variant, the best first.

    :param variant: of the program; not empty.
    """
    if architecture == "arm64" and _ARM64.fullmatch(variant):
        return _arm64_variants(variant)
    ladder = _LADDERS.get(architecture, ())
    if variant not in ladder:
        return (variant,)
    return tuple(reversed(ladder[: ladder.index(variant) + 1]))


def _arm64_variants(variant: str) -> tuple[str, ...]:
    """Arm's v9.N has all of v8.(N+5)."""
    major, _, minor = variant[1:].partition(".")
    number = int(minor or 0)
    found = []
    if major == "9":
        found = [_arm64_name(9, n) for n in range(number, -1, -1)]
        number += 5
    return (*found, *(_arm64_name(8, n) for n in range(number, -1, -1)), "")


def _arm64_name(major: int, minor: int) -> str:
    return f"v{major}.{minor}" if minor else f"v{major}"


def base_platforms(platform: Platform) -> tuple[Platform, ...]:
    """The platforms of bases for a program of this platform: its own, then the lower levels."""
    if not platform.variant:
        return (platform,)
    variants = base_variants(platform.architecture, platform.variant)
    return tuple(replace(platform, variant=variant) for variant in variants)


def choose_offers(
    offers: Sequence[tuple[_T, Platform]], wanted: Sequence[Platform]
) -> list[tuple[_T, Platform]]:
    """What a base offers for the wanted platforms, in the base's order, with the image's platforms.

    A wanted platform without variant takes every offer that matches, as in ko. One with a variant
    takes that of the base, or the next lower one, and the image's platform has the wanted variant.
    Where one offer serves several, its own platform comes first: a client that knows no variants
    takes the first entry of its architecture.

    :param offers: entries of the base, with their platforms.
    """
    serving: list[list[Platform]] = [[] for _ in offers]
    for platform in wanted:
        for index in _offers_for(platform, [offered for _, offered in offers]):
            found = offers[index][1]
            if platform.variant:
                found = replace(found, variant=platform.variant)
            if found not in serving[index]:
                serving[index].append(found)
    return [
        (entry, platform)
        for (entry, offered), platforms in zip(offers, serving)
        for platform in sorted(platforms, key=lambda p: p != offered)
    ]


def missing_platforms(
    offered: Iterable[Platform], wanted: Sequence[Platform]
) -> tuple[Platform, ...]:
    """The wanted platforms that no platform of a base serves."""
    available = tuple(offered)
    return tuple(p for p in wanted if not _offers_for(p, available))


def _offers_for(wanted: Platform, offered: Sequence[Platform]) -> list[int]:
    """The indexes of the offers that are taken for a wanted platform."""
    if not wanted.variant:
        return [i for i, platform in enumerate(offered) if platform.matches(wanted)]
    # Each version of Windows for itself.
    by_version: dict[str, list[int]] = {}
    for i, platform in enumerate(offered):
        if replace(platform, variant=wanted.variant).matches(wanted):
            by_version.setdefault(platform.os_version, []).append(i)
    taken: list[int] = []
    for indexes in by_version.values():
        for variant in base_variants(wanted.architecture, wanted.variant):
            best = [i for i in indexes if offered[i].variant == variant]
            if best:
                taken += best
                break
    return taken


def plain_first(platforms: Iterable[Platform]) -> list[Platform]:
    """The platforms in their order, but one without a variant before its siblings that have one."""
    found: list[Platform] = []
    for platform in platforms:
        index = len(found)
        if not platform.variant:
            siblings = (i for i, p in enumerate(found) if replace(p, variant="") == platform)
            index = next(siblings, index)
        found.insert(index, platform)
    return found
