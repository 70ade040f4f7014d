"""The map files of one import path and platform: their names, and what they say of a key.

    buildid-to-diffid                      shared with ko
    diffid-to-descriptor                   ko's, and ours where ko does not work
    diffid-to-descriptor.<compressor>      ours alone
    out                                    ko's executable

What the files contain is in `maps`. Nothing here takes a lock or writes, and nothing raises for
what is on disk: a file that cannot be read or understood is empty, after one warning.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Iterator, Mapping, NamedTuple

from ko_pants.kocache import maps
from ko_pants.kocache.keys import LayerKey, escape_component
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.problems import Problems
from ko_pants.kocache.shared_files import NotReadable, is_temporary, read_regular
from ko_pants.oci.descriptor import is_digest

BUILD_IDS = "buildid-to-diffid"
DESCRIPTORS = "diffid-to-descriptor"
KO_OUTPUT = "out"

# One of our maps has 64 layers in about 40 kB. ko never drops an entry: each build adds about 165
# bytes to one map and 260 to the other, so this is room for 250,000 builds of one program. A larger
# map is taken as damaged, and the next write may replace it.
MAX_MAP_BYTES = 64 * 1024 * 1024


class MapPaths(NamedTuple):
    """The paths that a lookup depends on."""

    build_ids: str
    own_descriptors: str
    shared_descriptors: str
    ko_output: str

    @property
    def maps(self) -> tuple[str, str, str]:
        """Without ko's executable."""
        return self.build_ids, self.own_descriptors, self.shared_descriptors


def map_paths(root: str, directory: str, compressor: str) -> MapPaths:
    """The paths for the layers that `compressor` makes; `directory` is relative to `root`."""
    place = f"{root}/{directory}"
    return MapPaths(
        f"{place}/{BUILD_IDS}",
        f"{place}/{own_descriptors(compressor)}",
        f"{place}/{DESCRIPTORS}",
        f"{place}/{KO_OUTPUT}",
    )


@lru_cache(maxsize=64)
def own_descriptors(compressor: str) -> str:
    """The name of the descriptor file that only we write, for one compressor."""
    return f"{DESCRIPTORS}.{escape_component(compressor.replace('/', '_'))}"


def is_own_descriptors(name: str) -> bool:
    """True for the name of a descriptor file that only we write, whatever the compressor."""
    return name.startswith(DESCRIPTORS + ".")


def is_map(name: str) -> bool:
    """True for the name of any map file."""
    return name in (BUILD_IDS, DESCRIPTORS) or is_own_descriptors(name)


def file_names(place: str) -> list[str]:
    """The names in a directory, sorted; none if it cannot be listed."""
    try:
        return sorted(os.listdir(place))
    except OSError:
        return []


def descriptor_files(place: str) -> list[str]:
    """The paths of all descriptor files in a directory of maps, ko's first."""
    names = [name for name in file_names(place) if name == DESCRIPTORS or is_own_descriptors(name)]
    return [os.path.join(place, name) for name in names]


def map_directories(root: str) -> Iterator[str]:
    """Every directory with maps or unfinished writes, relative to `root`, in byte order.

    Symbolic links are not followed.
    """
    top = os.path.join(root, "bin")
    if os.path.islink(top):
        return
    for place, directories, names in os.walk(top):
        directories.sort()
        if any(is_map(name) or is_temporary(name) for name in names):
            yield os.path.relpath(place, root).replace(os.sep, "/")


class MapContent(NamedTuple):
    """What a map file holds, and whether the next write should repair the file."""

    values: dict[str, Any]
    damaged: bool


def load_map(path: str, problems: Problems) -> MapContent:
    """Read a map file; an absent one is empty and sound."""
    try:
        content = read_regular(path, MAX_MAP_BYTES)
    except NotReadable as error:
        problems.unreadable(path, str(error))
        return MapContent({}, damaged=True)
    if content is None:
        return MapContent({}, damaged=False)
    values, complete = maps.parse_map(content)
    if values is None:
        problems.unreadable(path, "it holds no JSON object" if content else "it is empty")
        return MapContent({}, damaged=True)
    return MapContent(values, damaged=not complete)


def read_map(path: str, problems: Problems) -> dict[str, Any]:
    """The values of a map file."""
    return load_map(path, problems).values


def ko_diff_ids(shared_descriptors: Mapping[str, Any]) -> Iterator[str]:
    """The diffIDs that ko described in `diffid-to-descriptor`, whose content is given."""
    for diff_id, value in shared_descriptors.items():
        if maps.foreign_layer(diff_id, value) is not None:
            yield diff_id


def ko_works_here(place: str, shared_descriptors: Mapping[str, Any]) -> bool:
    """True if ko works in a directory of maps too.

    Its executable is there, or it has recorded a descriptor. Then `diffid-to-descriptor` is ko's:
    we write nothing to it, and an entry of ours in it may be out of date.

    :param place: the directory of the maps.
    :param shared_descriptors: the content of its `diffid-to-descriptor`.
    """
    if os.path.exists(os.path.join(place, KO_OUTPUT)):
        return True
    return next(ko_diff_ids(shared_descriptors), None) is not None


def find_diff_id(key: LayerKey, build_ids: str, problems: Problems) -> str | None:
    """The diffID to which the map at the path `build_ids` leads `key`."""
    diff_id = read_map(build_ids, problems).get(key.map_key)
    return diff_id if isinstance(diff_id, str) and is_digest(diff_id) else None


def find_own_layer(
    key: LayerKey, compressor: str, paths: MapPaths, problems: Problems
) -> CachedLayer | None:
    """The layer that we recorded for `key`, as made by `compressor`."""
    diff_id = find_diff_id(key, paths.build_ids, problems)
    if diff_id is None:
        return None

    def layer_in(descriptors: dict[str, Any]) -> CachedLayer | None:
        record = maps.own_record(key.directory, diff_id, descriptors.get(diff_id))
        if record and record.layer.compressor == compressor and key.map_key in record.keys:
            return record.layer
        return None

    layer = layer_in(read_map(paths.own_descriptors, problems))
    # Where ko's executable is, ko works, and its file need not be read to know that.
    if layer is not None or os.path.exists(paths.ko_output):
        return layer
    shared = read_map(paths.shared_descriptors, problems)
    layer = layer_in(shared)
    if layer is not None and ko_works_here(os.path.dirname(paths.ko_output), shared):
        return None
    return layer


def find_foreign_layer(
    key: LayerKey, diff_id: str, compressor: str, place: str, problems: Problems
) -> CachedLayer | None:
    """A layer for `key` by another compressor or producer, encoded as by `compressor`.

    One of ours counts more than ko's.
    """
    foreign: CachedLayer | None = None
    for path in descriptor_files(place):
        value = read_map(path, problems).get(diff_id)
        record = maps.own_record(key.directory, diff_id, value)
        if record and key.map_key in record.keys and maps.same_encoding(record.layer, compressor):
            return record.layer
        if os.path.basename(path) == DESCRIPTORS:
            # Nobody else writes where a compressor's name is: what is foreign there is damaged.
            layer = maps.foreign_layer(diff_id, value)
            if layer is not None and maps.same_encoding(layer, compressor):
                foreign = layer
    return foreign
