"""For which platforms of an image `go vet` is run.

What `go vet` finds depends on the source files that are built, and on types whose sizes and fields
are those of the system. Most programs have the same files on all architectures, so one platform
stands for them.
"""

from __future__ import annotations

from typing import Iterable, Sequence

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.directory import GoDirectory
from ko_pants.oci.platform import Platform

_OF_32_BITS = frozenset({"386", "arm", "mips", "mipsle"})


def vet_platforms(
    platforms: Sequence[Platform], directories: Iterable[GoDirectory], tags: Sequence[str]
) -> tuple[Platform, ...]:
    """The first platform of each operating system, size of words and set of source files.

    :param directories: of the packages of the repo that the program is made of.
    :param tags: those of `-tags`.
    """
    context = BuildContext.of(platforms, tags)
    masks: set[int] = set()
    for directory in directories:
        masks.update(map(context.mask, directory.files))
        masks.update(map(context.mask, directory.other_files))
    of_some = sorted(masks - {0, context.all_platforms})
    chosen: dict[tuple[object, ...], Platform] = {}
    for platform in platforms:
        bit = 1 << context.pairs.index((platform.os, platform.architecture))
        files = tuple(bool(mask & bit) for mask in of_some)
        key = (platform.os, platform.architecture in _OF_32_BITS, files)
        chosen.setdefault(key, platform)
    return tuple(chosen.values())
