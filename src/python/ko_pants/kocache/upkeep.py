"""Looking at a KOCACHE and pruning it. Nothing here is on the way of a build.

Pruning never deletes what ko wrote: its `out` executables, the maps beside them, and what its
`img/index.json` reaches. The age of a file is the time since it was last written or, to the day,
hit.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterator

from ko_pants.errors import KoPantsError
from ko_pants.kocache import maps
from ko_pants.kocache.cache import BUILD_IDS, DESCRIPTORS, KO_OUTPUT, KoCache
from ko_pants.kocache.files import NotReadable, is_temporary, read_regular
from ko_pants.kocache.keys import unescape_path
from ko_pants.oci.descriptor import is_digest
from ko_pants.oci.platform import Platform

if TYPE_CHECKING:
    from ko_pants.kocache.maps import CachedLayer

# A writer needs milliseconds; a temporary file of this age has none.
_TEMPORARY_SECONDS = 3600.0
_MAX_MAP_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class MapEntry:
    """One diffID in the maps of one import path and platform.

    :param import_path: as recorded; for one too long for a file system, the escaped form.
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

    :param layers: sound entries of ours, `foreign` ones of ko's, `damaged` ones of neither.
    :param contents: blobs in `img/`.
    :param ko_bytes: executables that ko keeps (`out`), not part of `total_bytes`.
    """

    layers: int
    foreign: int
    damaged: int
    map_files: int
    map_bytes: int
    contents: int
    content_bytes: int
    ko_bytes: int

    @property
    def total_bytes(self) -> int:
        """Of maps and base image contents."""
        return self.map_bytes + self.content_bytes


@dataclass(frozen=True)
class PruneResult:
    """What `prune()` deleted and what is left; `kept_bytes` without what is ko's."""

    removed_files: int
    removed_bytes: int
    kept_bytes: int


def map_directories(cache: KoCache) -> Iterator[str]:
    """Every directory with maps, relative to the root, in byte order."""
    for place, directories, names in os.walk(os.path.join(cache.root, "bin")):
        directories.sort()
        if any(_is_map(name) or is_temporary(name) for name in names):
            yield os.path.relpath(place, cache.root).replace(os.sep, "/")


def entries(cache: KoCache) -> Iterator[MapEntry]:
    """Every diffID of every map."""
    for directory in map_directories(cache):
        place = os.path.join(cache.root, directory)
        import_path, platform = _split(directory)
        build_ids = _load(cache, os.path.join(place, BUILD_IDS))
        led_to: dict[str, list[str]] = {}
        for key, diff_id in build_ids.items():
            led_to.setdefault(str(diff_id), []).append(key)
        described = set()
        for name in sorted(os.listdir(place)):
            if not name.startswith(DESCRIPTORS) or is_temporary(name):
                continue
            for diff_id, value in _load(cache, os.path.join(place, name)).items():
                entry = maps.own_entry(directory, diff_id, value)
                layer = entry.layer if entry else maps.foreign_layer(diff_id, value)
                described.add(diff_id)
                yield MapEntry(
                    import_path,
                    platform,
                    diff_id,
                    tuple(led_to.get(diff_id, ())),
                    layer,
                    "own" if entry else "foreign" if layer else "damaged",
                )
        for diff_id, keys in led_to.items():
            if diff_id not in described:
                state = "half" if is_digest(diff_id) else "damaged"
                yield MapEntry(import_path, platform, diff_id, tuple(keys), None, state)


def usage(cache: KoCache) -> CacheUsage:
    """Count and measure everything."""
    states = [entry.state for entry in entries(cache)]
    files = [
        (name, _size(os.path.join(cache.root, directory, name)))
        for directory in map_directories(cache)
        for name in _names(os.path.join(cache.root, directory))
    ]
    contents = [_size(cache.content.path(digest)) for digest in cache.content.digests()]
    map_sizes = [size for name, size in files if _is_map(name)]
    return CacheUsage(
        layers=states.count("own"),
        foreign=states.count("foreign"),
        damaged=states.count("damaged"),
        map_files=len(map_sizes),
        map_bytes=sum(map_sizes),
        contents=len(contents),
        content_bytes=sum(contents),
        ko_bytes=sum(size for name, size in files if name == KO_OUTPUT),
    )


def prune(cache: KoCache, max_age_seconds: float, max_bytes: int) -> PruneResult:
    """Delete by age, then by size the longest unused first.

    The maps of one import path and platform go together. Where ko works, only our files go.

    :raises OSError: the cache cannot be locked.
    """
    now = time.time()
    removed: list[int] = []
    for path in cache.content.temporaries():
        removed += _unlink_if_older(path, now - _TEMPORARY_SECONDS)
    try:
        kept_for_ko = cache.content.referenced()
    except NotReadable:
        # Without its list nobody knows what ko needs.
        kept_for_ko = set(cache.content.digests())
    # (last use, bytes, digest of a content or directory of maps), the longest unused first.
    units = [
        (*_use([cache.content.path(digest)]), digest)
        for digest in cache.content.digests()
        if digest not in kept_for_ko
    ]
    for directory in map_directories(cache):
        for path in _paths(cache, directory, is_temporary):
            removed += _unlink_if_older(path, now - _TEMPORARY_SECONDS)
        paths = _paths(cache, directory, _is_ours(cache, directory))
        if paths:
            units.append((*_use(paths), directory))
    units.sort()
    left = sum(size for _, size, _ in units)
    for last_use, size, unit in units:
        if last_use >= now - max_age_seconds and left <= max_bytes:
            break
        if is_digest(unit):
            removed += [cache.content.remove(unit)]
        else:
            removed += _remove_maps(cache, unit, last_use)
        left -= size
    return PruneResult(len(removed), sum(removed), max(left, 0))


def _remove_maps(cache: KoCache, directory: str, last_use: float) -> list[int]:
    removed: list[int] = []
    with cache.locked(directory):
        paths = _paths(cache, directory, _is_ours(cache, directory))
        if _use(paths)[0] > last_use:
            return []  # Used since we looked.
        # Build ids first: a descriptor without one is a miss like any other.
        for path in sorted(paths):
            removed += _unlink_if_older(path, float("inf"))
        place = os.path.join(cache.root, directory)
        top = os.path.join(cache.root, "bin")
        with contextlib.suppress(OSError):
            while place != top:
                os.rmdir(place)
                place = os.path.dirname(place)
    return removed


def _is_ours(cache: KoCache, directory: str) -> Callable[[str], bool]:
    place = os.path.join(cache.root, directory)
    shared = _load(cache, os.path.join(place, DESCRIPTORS))
    if os.path.exists(os.path.join(place, KO_OUTPUT)) or any(
        maps.foreign_layer(diff_id, value) for diff_id, value in shared.items()
    ):
        return _is_own_file
    return _is_map


def _is_own_file(name: str) -> bool:
    return name.startswith(DESCRIPTORS + ".") and not is_temporary(name)


def _is_map(name: str) -> bool:
    return name in (BUILD_IDS, DESCRIPTORS) or _is_own_file(name)


def _names(place: str) -> list[str]:
    try:
        return sorted(os.listdir(place))
    except OSError:
        return []


def _paths(cache: KoCache, directory: str, wanted: Callable[[str], bool]) -> list[str]:
    place = os.path.join(cache.root, directory)
    return [os.path.join(place, name) for name in _names(place) if wanted(name)]


def _use(paths: list[str]) -> tuple[float, int]:
    """Last use and bytes of files taken together."""
    last_use, size = 0.0, 0
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            last_use, size = max(last_use, status.st_mtime), size + status.st_size
    return last_use, size


def _size(path: str) -> int:
    return _use([path])[1]


def _unlink_if_older(path: str, moment: float) -> list[int]:
    """The bytes that this freed, or nothing."""
    with contextlib.suppress(OSError):
        status = os.stat(path)
        if status.st_mtime < moment:
            os.unlink(path)
            return [status.st_size]
    return []


def _load(cache: KoCache, path: str) -> dict[str, Any]:
    try:
        content = read_regular(path, _MAX_MAP_BYTES)
    except NotReadable as error:
        cache.problem(path, str(error))
        return {}
    entries = maps.parse_map(content)[0] if content else None
    if content is not None and entries is None:
        cache.problem(path, "it holds no JSON object")
    return entries or {}


def _split(directory: str) -> tuple[str, str]:
    """`bin/<import path>/<platform>` taken apart; the longest known platform counts."""
    parts = directory.split("/")[1:]
    for length in (3, 2):
        with contextlib.suppress(KoPantsError):
            platform = unescape_path("/".join(parts[-length:]))
            Platform.parse(platform)
            return unescape_path("/".join(parts[:-length])), platform
    return unescape_path("/".join(parts[:-2])), unescape_path("/".join(parts[-2:]))
