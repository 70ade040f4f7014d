"""Changing the maps of one import path and platform, under their lock.

The files are read again each time, so what other processes recorded meanwhile is kept.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Sequence, Tuple

from ko_pants.kocache import maps
from ko_pants.kocache.map_files import (
    BUILD_IDS,
    DESCRIPTORS,
    MapContent,
    ko_diff_ids,
    ko_works_here,
    load_map,
    own_descriptors,
)
from ko_pants.kocache.maps import CachedLayer, LayerRecord
from ko_pants.kocache.root import CacheRoot
from ko_pants.kocache.shared_files import make_directories, sync_directory, write_atomically
from ko_pants.oci.descriptor import is_digest

MAX_LAYERS = 64
# Build ids are small, and several of them may lead to one layer.
_BUILD_IDS_PER_LAYER = 4
_ATTEMPTS = 3

KeyedLayer = Tuple[str, CachedLayer]


def record_layers(
    root: CacheRoot,
    directory: str,
    layers: Sequence[KeyedLayer],
    *,
    max_layers: int = MAX_LAYERS,
) -> bool:
    """Make each key of a map lead to its layer, in one change of the files.

    When this returns True, the change is on disk, and a crash neither tears nor loses it. It
    returns False, after one warning, where the cache cannot be written.

    :param directory: of the maps, relative to the root.
    :param layers: pairs of a key (`LayerKey.map_key`) and a layer from `maps.normalise()`.
    :param max_layers: how many layers of each compressor are kept; the oldest are dropped.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with root.maps_lock(directory) as has_lock:
                change = _MapChange(root, directory, max_layers)
                for map_key, layer in layers:
                    change.record(map_key, layer)
                change.write(locked=has_lock)
            return True
        except OSError as error:
            # Somebody deletes the cache now, or prunes the directory while it is empty.
            if error.errno not in (errno.ENOENT, errno.ESTALE) or attempt == _ATTEMPTS:
                root.problems.not_written(error)
                break
    return False


class _MapChange:
    """The maps of one directory, read when this is made, changed in memory, then written.

    The caller holds the lock.
    """

    def __init__(self, root: CacheRoot, directory: str, max_layers: int) -> None:
        self._root = root.path
        self._problems = root.problems
        self._directory = directory
        self._place = os.path.join(root.path, directory)
        self._max_layers = max_layers
        build_ids = self._load(BUILD_IDS)
        self._build_ids = {
            key: value for key, value in build_ids.values.items() if is_digest(value)
        }
        self._build_ids_changed = build_ids.damaged or len(self._build_ids) != len(build_ids.values)
        # By the name of a descriptor file: what we recorded in it by diffID, the oldest first.
        self._records: dict[str, dict[str, LayerRecord]] = {}
        self._changed: set[str] = set()
        shared = self._load(DESCRIPTORS)
        self._ko_diff_ids = set(ko_diff_ids(shared.values))
        self._ko_works_here = ko_works_here(self._place, shared.values)
        if not self._ko_works_here:
            self._take_records(DESCRIPTORS, shared)

    def record(self, map_key: str, layer: CachedLayer) -> None:
        """Make `map_key` lead to `layer`, as the newest entry of both maps."""
        if self._build_ids.get(map_key) != layer.diff_id:
            self._build_ids.pop(map_key, None)
            self._build_ids[map_key] = layer.diff_id
            self._build_ids_changed = True
        name = self._file_for(layer)
        records = self._records[name]
        present = records.get(layer.diff_id)
        if present is not None and present.layer == layer and map_key in present.keys:
            return
        self._changed.add(name)
        for diff_id, record in list(records.items()):
            if map_key in record.keys and record.layer.compressor == layer.compressor:
                records[diff_id] = record.without_key(map_key)
                if not records[diff_id].keys:
                    del records[diff_id]
        records.pop(layer.diff_id, None)
        # If the compressor has drifted, the new blob counts for every key: the tar is the same.
        keys = present.keys if present else ()
        records[layer.diff_id] = LayerRecord(layer, keys).with_key(map_key)
        while len(records) > self._max_layers:
            del records[next(iter(records))]

    def write(self, *, locked: bool) -> None:
        """Write the files that changed. Descriptors go first, so that no build id leads nowhere.

        :param locked: the lock is held, and not only wanted.
        :raises OSError: some files are not written; those that are, are whole.
        """
        contents: list[tuple[str, dict[str, Any]]] = [
            (
                name,
                {d: record.to_json(self._directory) for d, record in self._records[name].items()},
            )
            for name in sorted(self._changed)
        ]
        if self._build_ids_changed:
            self._drop_old_build_ids()
            contents.append((BUILD_IDS, self._build_ids))
        if not contents:
            return
        make_directories(self._root, self._directory)
        for name, content in contents:
            path = os.path.join(self._place, name)
            if os.path.isdir(path):
                # Whatever it is, it belongs to somebody: move it out of the way, do not delete it.
                aside = f".{name}.moved-{os.urandom(4).hex()}"
                os.rename(path, os.path.join(self._place, aside))
            write_atomically(path, maps.encode_map(content), locked=locked)
        sync_directory(self._place)

    def _file_for(self, layer: CachedLayer) -> str:
        """The name of the file for `layer`: ko's where it is free, else that of the compressor."""
        own = own_descriptors(layer.compressor)
        if own not in self._records:
            self._take_records(own, self._load(own))
        if self._ko_works_here or layer.diff_id in self._records[own]:
            return own
        other = self._records[DESCRIPTORS].get(layer.diff_id)
        if other is not None and other.layer.compressor != layer.compressor:
            return own
        return DESCRIPTORS

    def _load(self, name: str) -> MapContent:
        return load_map(os.path.join(self._place, name), self._problems)

    def _take_records(self, name: str, content: MapContent) -> None:
        """Keep the sound records of a file. Whatever else is in it, the next write drops."""
        records = {
            diff_id: maps.own_record(self._directory, diff_id, value)
            for diff_id, value in content.values.items()
        }
        self._records[name] = {d: record for d, record in records.items() if record is not None}
        if content.damaged or len(self._records[name]) != len(records):
            self._changed.add(name)

    def _drop_old_build_ids(self) -> None:
        """Drop the oldest build ids that are too many, but none that leads to ko's descriptors."""
        surplus = len(self._build_ids) - _BUILD_IDS_PER_LAYER * self._max_layers
        for map_key in list(self._build_ids):
            if surplus <= 0:
                break
            if self._build_ids[map_key] not in self._ko_diff_ids:
                del self._build_ids[map_key]
                surplus -= 1
