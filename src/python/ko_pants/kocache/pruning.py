"""Keeping a KOCACHE small: what nobody has used for long is deleted, then what is too much.

The age of a file is the time since it was written, or since it was last used, to the day. What ko
wrote is never deleted: its executables (`out`), the maps beside them, and what `img/index.json`
reaches. The records of images (`explanation/store.py`) are here too, and count like all else.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import Callable, NamedTuple

from ko_pants.explanation.upkeep import RecordsOfImage, records_of_images, remove_records
from ko_pants.kocache.content import ContentStore
from ko_pants.kocache.map_files import (
    DESCRIPTORS,
    file_names,
    is_map,
    is_own_descriptors,
    ko_works_here,
    map_directories,
    read_map,
)
from ko_pants.kocache.root import CacheRoot, KoCacheUnusable
from ko_pants.kocache.shared_files import DAY_SECONDS, NotReadable, is_temporary, reason
from ko_pants.oci.descriptor import is_digest

MAX_AGE_SECONDS = 90.0 * DAY_SECONDS
MAX_BYTES = 256 * 1024 * 1024

# A writer needs milliseconds. The writer of a temporary file that is older than this was killed.
_MAX_TEMPORARY_AGE_SECONDS = 3600.0


@dataclass(frozen=True)
class PruneResult:
    """What `prune()` deleted, and how many bytes are left that it could delete."""

    removed_files: int
    removed_bytes: int
    kept_bytes: int


class _Unit(NamedTuple):
    """What is deleted together: one blob, the maps of one import path and platform, or the records
    of one image.

    The longest unused sort first.

    :param last_use: the newest modification time of its files, in seconds since the epoch.
    :param name: the digest of the blob, the directory of the maps relative to the root, or the name
        of the image's file.
    :param is_record: it is the records of an image.
    """

    last_use: float
    size_bytes: int
    name: str
    is_record: bool = False


def prune(
    root: CacheRoot, max_age_seconds: float = MAX_AGE_SECONDS, max_bytes: int = MAX_BYTES
) -> PruneResult:
    """Delete what nobody has used for `max_age_seconds`.

    Then delete what is unused longest, until no more than `max_bytes` are left.

    :raises KoCacheUnusable: the cache cannot be locked, because it is read-only for instance.
    """
    try:
        return _prune(root, max_age_seconds, max_bytes)
    except OSError as error:
        raise KoCacheUnusable(
            f"KOCACHE is {root.path}, which cannot be pruned ({reason(error)}): make it "
            "writable for this user, or end the process that holds its lock"
        ) from None


def _prune(root: CacheRoot, max_age_seconds: float, max_bytes: int) -> PruneResult:
    now = time.time()
    content = ContentStore(root.path, root.problems)
    removed_sizes = _remove_temporaries(root, content, now - _MAX_TEMPORARY_AGE_SECONDS)
    units = sorted([*_blob_units(content), *_map_units(root), *_record_units(root)])
    left_bytes = sum(unit.size_bytes for unit in units)
    unwanted: dict[str, float] = {}
    for unit in units:
        if unit.last_use >= now - max_age_seconds and left_bytes <= max_bytes:
            break
        if unit.is_record:
            unwanted[unit.name] = unit.last_use
            left_bytes -= unit.size_bytes
            continue
        if is_digest(unit.name):
            size_bytes = content.remove(unit.name)
            sizes = [] if size_bytes is None else [size_bytes]
        else:
            sizes = _remove_maps(root, unit)
        removed_sizes += sizes
        left_bytes -= sum(sizes)

    def is_unwanted(image: RecordsOfImage) -> bool:
        # Somebody may have used them since they were looked at.
        return image.name in unwanted and image.last_use <= unwanted[image.name]

    removed_sizes += remove_records(root, is_unwanted)
    return PruneResult(len(removed_sizes), sum(removed_sizes), max(left_bytes, 0))


def _blob_units(content: ContentStore) -> list[_Unit]:
    if content.is_elsewhere():
        return []
    digests = content.digests()
    try:
        kept_for_ko = content.referenced()
    except NotReadable:
        # Without ko's list nobody knows what ko needs.
        return []
    return [
        _unit([content.path(digest)], digest) for digest in digests if digest not in kept_for_ko
    ]


def _map_units(root: CacheRoot) -> list[_Unit]:
    found = []
    for directory in map_directories(root.path):
        paths = _our_maps(root, directory)
        if paths:
            found.append(_unit(paths, directory))
    return found


def _record_units(root: CacheRoot) -> list[_Unit]:
    return [
        _Unit(image.last_use, image.size, image.name, is_record=True)
        for image in records_of_images(root)
    ]


def _remove_temporaries(root: CacheRoot, content: ContentStore, before: float) -> list[int]:
    """Delete unfinished writes that began `before` (seconds since the epoch); their sizes."""
    paths = [] if content.is_elsewhere() else content.temporaries()
    for directory in map_directories(root.path):
        paths += _paths(root, directory, is_temporary)
    removed_sizes: list[int] = []
    for path in paths:
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime < before:
                removed_sizes += _unlink(path)
    return removed_sizes


def _remove_maps(root: CacheRoot, unit: _Unit) -> list[int]:
    """Delete our maps in a directory and the directories that are empty then; the files' sizes."""
    removed_sizes: list[int] = []
    with root.maps_lock(unit.name):
        paths = _our_maps(root, unit.name)
        if _unit(paths, unit.name).last_use > unit.last_use:
            # Somebody has used them since they were looked at.
            return []
        # Build ids go first: a descriptor without one is a miss like any other.
        for path in sorted(paths):
            removed_sizes += _unlink(path)
        place = os.path.join(root.path, unit.name)
        top = os.path.join(root.path, "bin")
        with contextlib.suppress(OSError):
            while place != top:
                os.rmdir(place)
                place = os.path.dirname(place)
    return removed_sizes


def _our_maps(root: CacheRoot, directory: str) -> list[str]:
    """The paths of the maps that may be deleted: all of them, or where ko works only ours."""
    place = os.path.join(root.path, directory)
    shared = read_map(os.path.join(place, DESCRIPTORS), root.problems)
    return _paths(root, directory, is_own_descriptors if ko_works_here(place, shared) else is_map)


def _paths(root: CacheRoot, directory: str, wanted: Callable[[str], bool]) -> list[str]:
    place = os.path.join(root.path, directory)
    return [os.path.join(place, name) for name in file_names(place) if wanted(name)]


def _unit(paths: list[str], name: str) -> _Unit:
    last_use, size_bytes = 0.0, 0
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            last_use = max(last_use, status.st_mtime)
            size_bytes += status.st_size
    return _Unit(last_use, size_bytes, name)


def _unlink(path: str) -> list[int]:
    """Delete a file; its size in bytes, or nothing if it could not be deleted."""
    with contextlib.suppress(OSError):
        size_bytes = os.stat(path).st_size
        os.unlink(path)
        return [size_bytes]
    return []
