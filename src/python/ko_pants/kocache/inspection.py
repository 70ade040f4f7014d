"""What a KOCACHE holds, for a goal that shows it. Nothing here is on the way of a build."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Iterator

from ko_pants.errors import KoPantsError
from ko_pants.kocache import maps
from ko_pants.kocache.content import ContentStore
from ko_pants.kocache.keys import unescape_path
from ko_pants.kocache.map_files import (
    BUILD_IDS,
    KO_OUTPUT,
    descriptor_files,
    file_names,
    is_map,
    map_directories,
    read_map,
)
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.root import CacheRoot
from ko_pants.oci.descriptor import is_digest
from ko_pants.oci.platform import Platform


@dataclass(frozen=True)
class InspectedEntry:
    """One diffID in the maps of one import path and platform.

    :param import_path: as recorded; one that is too long for a file system is in its escaped form.
    :param platform: as in the directory's name.
    :param keys: the keys that lead to it, `<build id>[;kind=...][;variant=...]`.
    :param layer: None for a diffID without a sound descriptor.
    :param state: `own`, `foreign` (ko's), `half` (no descriptor), or `damaged`.
    """

    import_path: str
    platform: str
    diff_id: str
    keys: tuple[str, ...]
    layer: CachedLayer | None
    state: str


@dataclass(frozen=True)
class CacheUsage:
    """What a cache holds; sizes in bytes of the files.

    :param layers: sound entries of ours.
    :param foreign: sound entries of ko's.
    :param damaged: entries that are neither.
    :param contents: blobs in `img/`.
    :param ko_bytes: executables that ko keeps (`out`).
    """

    layers: int
    foreign: int
    damaged: int
    map_files: int
    map_bytes: int
    contents: int
    content_bytes: int
    ko_bytes: int


def inspect_entries(root: CacheRoot) -> Iterator[InspectedEntry]:
    """Everything in the maps, sound or not."""
    for directory in map_directories(root.path):
        yield from _entries_of(root, directory)


def measure_usage(root: CacheRoot) -> CacheUsage:
    """Count and measure everything. This reads all maps."""
    states = [entry.state for entry in inspect_entries(root)]
    map_sizes, ko_sizes = [], []
    for directory in map_directories(root.path):
        place = os.path.join(root.path, directory)
        for name in file_names(place):
            if is_map(name):
                map_sizes.append(_size_bytes(os.path.join(place, name)))
            elif name == KO_OUTPUT:
                ko_sizes.append(_size_bytes(os.path.join(place, name)))
    content = ContentStore(root.path, root.problems)
    content_sizes = [_size_bytes(content.path(digest)) for digest in content.digests()]
    return CacheUsage(
        layers=states.count("own"),
        foreign=states.count("foreign"),
        damaged=states.count("damaged"),
        map_files=len(map_sizes),
        map_bytes=sum(map_sizes),
        contents=len(content_sizes),
        content_bytes=sum(content_sizes),
        ko_bytes=sum(ko_sizes),
    )


def _entries_of(root: CacheRoot, directory: str) -> Iterator[InspectedEntry]:
    place = os.path.join(root.path, directory)
    import_path, platform = _split(directory)
    keys_of: dict[str, list[str]] = {}
    for key, diff_id in read_map(os.path.join(place, BUILD_IDS), root.problems).items():
        keys_of.setdefault(str(diff_id), []).append(key)
    described = set()
    for path in descriptor_files(place):
        for diff_id, value in read_map(path, root.problems).items():
            record = maps.own_record(directory, diff_id, value)
            layer = record.layer if record else maps.foreign_layer(diff_id, value)
            state = "own" if record else "foreign" if layer else "damaged"
            described.add(diff_id)
            keys = tuple(keys_of.get(diff_id, ()))
            yield InspectedEntry(import_path, platform, diff_id, keys, layer, state)
    for diff_id, found in keys_of.items():
        if diff_id not in described:
            state = "half" if is_digest(diff_id) else "damaged"
            yield InspectedEntry(import_path, platform, diff_id, tuple(found), None, state)


def _size_bytes(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _split(directory: str) -> tuple[str, str]:
    """Import path and platform of `bin/<import path>/<platform>`.

    A platform has three components if they are one that Go knows, else two.
    """
    parts = directory.split("/")[1:]
    try:
        Platform.parse(unescape_path("/".join(parts[-3:])))
        first = -3
    except KoPantsError:
        first = -2
    return unescape_path("/".join(parts[:first])), unescape_path("/".join(parts[first:]))
