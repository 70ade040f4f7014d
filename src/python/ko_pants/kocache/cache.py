"""KOCACHE: from what a Go program was built from to the layer that it becomes, without bytes.

Two small maps per import path and platform, as ko keeps them (pkg/build/cache.go): build id to
diffID, and diffID to descriptor.

    <root>/bin/<import path>/<platform>/buildid-to-diffid
    <root>/bin/<import path>/<platform>/diffid-to-descriptor
    <root>/bin/<import path>/<platform>/diffid-to-descriptor.<compressor>
    <root>/img/                                             an OCI image layout
    <root>/ko-pants/                                        locks, counts of the last run

Our descriptors are in `diffid-to-descriptor`. They are in the file with the compressor's name where
ko works in the same directory (`map_files.ko_works_here()`), and for a second compressor of one
layer.

Bounds: the newest 64 layers are kept for each import path, platform and compressor. Once a day,
after a write, `pruning` deletes what was not used for 90 days, and then what was unused longest
while there are more than 256 MiB.
"""

from __future__ import annotations

import contextlib
import os
import threading
from enum import Enum
from typing import Callable, Iterable, Tuple

from ko_pants.kocache import maps
from ko_pants.kocache.content import ContentStore
from ko_pants.kocache.counters import RunCounters
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.map_files import (
    MapPaths,
    find_diff_id,
    find_foreign_layer,
    find_own_layer,
    map_paths,
)
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.problems import log_warning
from ko_pants.kocache.recording import MAX_LAYERS, KeyedLayer, record_layers
from ko_pants.kocache.root import CacheRoot, KoCacheUnusable
from ko_pants.kocache.shared_files import FileState, file_state, note_use
from ko_pants.oci.descriptor import Descriptor

_MAX_REMEMBERED_LOOKUPS = 20_000

_FileStates = Tuple[FileState, ...]


class Verdict(Enum):
    """What a rebuilt layer says of its entry in the cache."""

    SAME = "same"
    ABSENT = "absent"
    DESCRIPTOR_DIFFERS = "descriptor differs"
    DIFF_ID_DIFFERS = "diffID differs"


class KoCache:
    """One cache directory. To make this object touches nothing on disk. Threads may share it.

    :param root: the directory, `$KOCACHE` as ko spells it.
    :param warn: called with one line, at most once for each file or kind of failure.
    :param max_layers: how many layers are kept for each import path, platform and compressor.
    """

    def __init__(
        self,
        root: str,
        *,
        warn: Callable[[str], None] = log_warning,
        max_layers: int = MAX_LAYERS,
    ) -> None:
        self.root = CacheRoot(root, warn)
        self.counters = RunCounters()
        self._content = ContentStore(root, self.root.problems)
        self._max_layers = max_layers
        self._mutex = threading.Lock()
        # By directory, key and compressor: what was found, and in which state of the files.
        self._remembered: dict[tuple[str, str, str], tuple[_FileStates, CachedLayer | None]] = {}

    def check_usable(self, *, writable: bool = False) -> None:
        """Make sure that the root is a directory, and create it if it is absent.

        A cache that can be read and not written is usable, unless `writable` is asked for.

        :raises KoCacheUnusable: the root is something else, or cannot be created, read or written.
        """
        self.root.check_usable(writable=writable)

    def lookup(
        self, key: LayerKey, compressor: str, *, allow_foreign: bool = False
    ) -> CachedLayer | None:
        """The layer that `compressor` made for `key`; None is a miss.

        This takes no lock and raises for nothing that is on disk: what is unreadable or damaged is
        a miss and one warning. A descriptor of ours is checked. One of ko's has nothing by which it
        could be checked.

        :param allow_foreign: a layer by another compressor or producer will do too, if it has the
            same encoding.
        """
        paths = map_paths(self.root.path, key.directory, compressor)
        states: _FileStates = tuple(map(file_state, paths))
        layer = self._find_own(key, compressor, paths, states)
        half_hit = False
        if layer is None:
            diff_id = find_diff_id(key, paths.build_ids, self.root.problems)
            half_hit = diff_id is not None
            if allow_foreign and diff_id is not None:
                place = os.path.dirname(paths.build_ids)
                layer = find_foreign_layer(key, diff_id, compressor, place, self.root.problems)
        if layer is None:
            self.counters.add(misses=1, half_hits=int(half_hit))
        else:
            self.counters.add(hits=1, foreign=int(layer.compressor != compressor))
            note_use(paths.maps, states)
        return layer

    def compare(self, key: LayerKey, rebuilt: CachedLayer) -> Verdict:
        """What the cache says of a layer that was just rebuilt for `key`, by `rebuilt.compressor`.

        `DIFF_ID_DIFFERS`: the entry is stale or forged. `DESCRIPTOR_DIFFERS`: the compressor has
        drifted. A `record()` of the rebuilt layer corrects both.
        """
        rebuilt = maps.normalise(rebuilt)
        paths = map_paths(self.root.path, key.directory, rebuilt.compressor)
        diff_id = find_diff_id(key, paths.build_ids, self.root.problems)
        if diff_id is not None and diff_id != rebuilt.diff_id:
            return Verdict.DIFF_ID_DIFFERS
        cached = find_own_layer(key, rebuilt.compressor, paths, self.root.problems)
        if cached is None:
            return Verdict.ABSENT
        return Verdict.SAME if cached == rebuilt else Verdict.DESCRIPTOR_DIFFERS

    def record(self, key: LayerKey, layer: CachedLayer) -> bool:
        """Record one layer; see `record_many()`."""
        return self.record_many([(key, layer)])

    def record_many(self, items: Iterable[tuple[LayerKey, CachedLayer]]) -> bool:
        """Record layers, with one change of the maps per import path and platform.

        When this returns True, they are on disk, and a crash neither tears nor loses them. It
        returns False, after one warning, where the cache cannot be written. What other processes
        recorded is kept.

        :raises KoPantsError: a layer has no sha256 digests, or no media type of a layer.
        """
        groups: dict[str, list[KeyedLayer]] = {}
        for key, layer in items:
            groups.setdefault(key.directory, []).append((key.map_key, maps.normalise(layer)))
        done = True
        for directory, layers in groups.items():
            if record_layers(self.root, directory, layers, max_layers=self._max_layers):
                self.counters.add(records=len(layers))
            else:
                done = False
        if done and groups:
            self._prune_daily()
        return done

    def read_content(self, digest: str) -> bytes | None:
        """The manifest, index or config with this digest from `img/`, verified on every read.

        None if it is absent or damaged; the next `write_content()` replaces a damaged one.
        """
        return self._content.read(digest)

    def write_content(self, descriptor: Descriptor, content: bytes) -> bool:
        """Store a manifest, index or config of a base image in `img/`.

        False, after one warning, if `content` is not what `descriptor` says or cannot be written.
        """
        try:
            if not self._content.write(descriptor, content):
                return False
        except OSError as error:
            self.root.problems.not_written(error)
            return False
        self._prune_daily()
        return True

    def begin_run(self) -> None:
        """Begin a new run: it has what was asked after the last `save_counters()`."""
        self.counters.begin_run()

    def save_counters(self) -> bool:
        """Keep what this run asked as that of the last run; if it asked nothing, do nothing.

        False, after one warning, if the cache cannot be written.
        """
        return self.counters.save(self.root)

    def _find_own(
        self, key: LayerKey, compressor: str, paths: MapPaths, states: _FileStates
    ) -> CachedLayer | None:
        """What `find_own_layer()` says, remembered for as long as the files are in `states`."""
        question = (key.directory, key.map_key, compressor)
        remembered = self._remembered.get(question)
        if remembered is not None and remembered[0] == states:
            return remembered[1]
        layer = find_own_layer(key, compressor, paths, self.root.problems)
        with self._mutex:
            if len(self._remembered) >= _MAX_REMEMBERED_LOOKUPS:
                self._remembered.clear()
            self._remembered[question] = (states, layer)
        return layer

    def _prune_daily(self) -> None:
        if self.root.claim_daily_pruning():
            from ko_pants.kocache.pruning import prune

            with contextlib.suppress(KoCacheUnusable):
                prune(self.root)
