"""KOCACHE: from what a Go program was built from to the layer that it becomes, without bytes.

Two small maps per import path and platform, as ko keeps them (pkg/build/cache.go): build id to
diffID, diffID to descriptor. See `maps` for the files, `keys` for where they lie, `content` for the
base images and `upkeep` for pruning and inspection.

    <root>/bin/<import path>/<platform>/buildid-to-diffid
    <root>/bin/<import path>/<platform>/diffid-to-descriptor
    <root>/bin/<import path>/<platform>/diffid-to-descriptor.<compressor>
    <root>/img/                                             an OCI image layout
    <root>/ko-pants/                                        locks, counts of the last run

Where ko works (its `out` stands beside the maps, or it has recorded a descriptor), our descriptors
are in the file with the compressor's name, as they are for a second compressor of one layer; else
they are in `diffid-to-descriptor`.

Bounds: 64 layers for each import path, platform and compressor, the oldest out; what was not used
for 90 days goes, and over 256 MiB in all what was used longest ago, looked at once a day after a
write.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
import zlib
from dataclasses import dataclass, fields
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.kocache import maps
from ko_pants.kocache.content import ContentStore
from ko_pants.kocache.files import (
    LockBusy,
    NotReadable,
    locked,
    read_regular,
    reason,
    sync_directory,
    write_atomically,
)
from ko_pants.kocache.keys import LayerKey, build_key, escape_component, is_build_id
from ko_pants.kocache.maps import CachedLayer
from ko_pants.oci.descriptor import Descriptor, is_digest

if TYPE_CHECKING:
    from ko_pants.kocache.upkeep import CacheUsage, MapEntry, PruneResult

__all__ = [
    "CachedLayer",
    "Counters",
    "KoCache",
    "KoCacheUnusable",
    "LayerKey",
    "Verdict",
    "build_key",
    "is_build_id",
]

BUILD_IDS = "buildid-to-diffid"
DESCRIPTORS = "diffid-to-descriptor"
KO_OUTPUT = "out"

DEFAULT_MAX_ENTRIES = 64
DEFAULT_MAX_AGE_SECONDS = 90 * 24 * 3600
DEFAULT_MAX_BYTES = 256 * 1024 * 1024

# A map of 64 entries has 40 kB; ko's own grow for ever.
MAX_MAP_BYTES = 8 * 1024 * 1024
_LOCKS = 16
_DAY_SECONDS = 24 * 3600
_MAX_MEMO = 20_000

_Signature = Tuple[int, int, int]


class KoCacheUnusable(KoPantsError):
    """KOCACHE names something that cannot be a cache directory."""


class Verdict(Enum):
    """What a rebuilt layer says of its entry in the cache."""

    SAME = "same"
    ABSENT = "absent"
    DESCRIPTOR_DIFFERS = "descriptor differs"
    DIFF_ID_DIFFERS = "diffID differs"


@dataclass(frozen=True)
class Counters:
    """What one `KoCache` was asked.

    :param hits: lookups that gave a layer, of these `foreign` one of another producer.
    :param half_hits: misses for which the diffID was known.
    :param misses: lookups that gave none, half hits among them.
    :param records: layers recorded.
    """

    hits: int = 0
    foreign: int = 0
    half_hits: int = 0
    misses: int = 0
    records: int = 0


_COUNTERS = tuple(field.name for field in fields(Counters))


def _log_warning(message: str) -> None:
    import logging

    logging.getLogger("ko_pants.kocache").warning(message)


class KoCache:
    """One cache directory. To make one touches nothing on disk. Threads may share it.

    :param root: the directory, `$KOCACHE` as ko spells it.
    :param warn: called with one line, at most once for each file or kind of failure.
    :param max_entries: layers kept for each import path, platform and compressor.
    :param max_age_seconds: what nobody used for so long is pruned.
    :param max_bytes: bound for everything of ours below `root`, kept by pruning.
    """

    def __init__(
        self,
        root: str,
        *,
        warn: Callable[[str], None] = _log_warning,
        max_entries: int = DEFAULT_MAX_ENTRIES,
        max_age_seconds: float = DEFAULT_MAX_AGE_SECONDS,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.root = root
        self.max_entries = max_entries
        self.max_age_seconds = max_age_seconds
        self.max_bytes = max_bytes
        self._warn = warn
        self._saved = self._run_base = Counters()
        # Of every image of a run, mostly nothing is asked: that shall cost nothing.
        self._asked = False
        self._mutex = threading.Lock()
        self._warned: set[str] = set()
        self._memo: dict[
            tuple[str, str, str], tuple[tuple[_Signature | None, ...], CachedLayer | None]
        ] = {}
        self._counts = dict.fromkeys(_COUNTERS, 0)
        self.content = ContentStore(root, self.problem)

    # Reading

    def lookup(
        self, key: LayerKey, compressor: str, *, allow_foreign: bool = False
    ) -> CachedLayer | None:
        """The layer that `compressor` made for `key`; None is a miss.

        With `allow_foreign` also one by another compressor or producer, if it is encoded alike.
        Takes no lock and raises for nothing that is on disk: what is unreadable or damaged is a
        miss and one warning. A descriptor of ours is checked; a foreign one (ko's) has nothing to
        be checked by.
        """
        directory = key.directory
        paths = self._paths(directory, compressor)
        signatures = tuple(_signature(path) for path in paths)
        memo_key = (directory, key.map_key, compressor)
        memo = self._memo.get(memo_key)
        if memo is not None and memo[0] == signatures:
            layer = memo[1]
        else:
            layer = self._find_own(key, compressor, paths)
            with self._mutex:
                if len(self._memo) >= _MAX_MEMO:
                    self._memo.clear()
                self._memo[memo_key] = (signatures, layer)
        half = False
        if layer is None:
            diff_id = self.lookup_diff_id(key)
            half = diff_id is not None
            if allow_foreign and diff_id is not None:
                layer = self._find_foreign(key, diff_id, compressor)
        if layer is None:
            self._count(misses=1, half_hits=int(half))
        else:
            self._count(hits=1, foreign=int(layer.compressor != compressor))
            _touch(paths[:3], signatures)
        return layer

    def lookup_diff_id(self, key: LayerKey) -> str | None:
        """The diffID alone, from ko's map too: a cross-check for the layer when it is rebuilt.

        Nothing protects this map: what it says is a hint until a descriptor of ours confirms it.
        """
        return self._diff_id(key, os.path.join(self.root, key.directory, BUILD_IDS))

    def compare(self, key: LayerKey, rebuilt: CachedLayer) -> Verdict:
        """What the cache says of a layer that was just rebuilt for `key`, by `rebuilt.compressor`.

        `DIFF_ID_DIFFERS`: a stale or forged entry, whoever wrote it; `DESCRIPTOR_DIFFERS`: the
        compressor has drifted. `record()` of the rebuilt layer heals both.
        """
        rebuilt = maps.normalise(rebuilt)
        paths = self._paths(key.directory, rebuilt.compressor)
        diff_id = self._diff_id(key, paths[0])
        if diff_id is not None and diff_id != rebuilt.diff_id:
            return Verdict.DIFF_ID_DIFFERS
        cached = self._find_own(key, rebuilt.compressor, paths)
        if cached is None:
            return Verdict.ABSENT
        return Verdict.SAME if cached == rebuilt else Verdict.DESCRIPTOR_DIFFERS

    def read_content(self, digest: str) -> bytes | None:
        """The manifest, index or config with this digest from `img/`, verified on every read.

        None if it is absent or damaged; the next `write_content()` replaces a damaged one.
        """
        content = self.content.read(digest)
        if content is not None:
            path = self.content.path(digest)
            _touch((path,), (_signature(path),))
        return content

    def _diff_id(self, key: LayerKey, build_ids: str) -> str | None:
        diff_id = self._read_map(build_ids).get(key.map_key)
        return diff_id if isinstance(diff_id, str) and is_digest(diff_id) else None

    def _find_own(
        self, key: LayerKey, compressor: str, paths: tuple[str, ...]
    ) -> CachedLayer | None:
        diff_id = self._diff_id(key, paths[0])
        if diff_id is None:
            return None
        # Beside ko's `out` nobody keeps the entries of ours that ko has not overwritten yet.
        ko_works_here = os.path.exists(paths[3])
        for path in paths[1 : 2 if ko_works_here else 3]:
            entry = maps.own_entry(key.directory, diff_id, self._read_map(path).get(diff_id))
            if entry and entry.layer.compressor == compressor and key.map_key in entry.keys:
                return entry.layer
        return None

    def _find_foreign(self, key: LayerKey, diff_id: str, compressor: str) -> CachedLayer | None:
        foreign: CachedLayer | None = None
        for path in _descriptor_files(os.path.join(self.root, key.directory)):
            value = self._read_map(path).get(diff_id)
            entry = maps.own_entry(key.directory, diff_id, value)
            if entry and key.map_key in entry.keys and maps.same_encoding(entry.layer, compressor):
                return entry.layer
            layer = maps.foreign_layer(diff_id, value)
            # Only ko's own file: nobody else writes where a compressor's name is.
            if layer and path.endswith(DESCRIPTORS) and maps.same_encoding(layer, compressor):
                foreign = layer
        return foreign

    def _paths(self, directory: str, compressor: str) -> tuple[str, ...]:
        """What a lookup depends on: build ids, the compressor's own file, ko's two files."""
        names = (BUILD_IDS, _own_file(compressor), DESCRIPTORS, KO_OUTPUT)
        return tuple(f"{self.root}/{directory}/{name}" for name in names)

    def _read_map(self, path: str) -> dict[str, Any]:
        return self._load(path)[0]

    def _load(self, path: str) -> tuple[dict[str, Any], bool]:
        """A map file, and whether a write should repair it."""
        try:
            content = read_regular(path, MAX_MAP_BYTES)
        except NotReadable as error:
            self.problem(path, str(error))
            return {}, True
        if content is None:
            return {}, False
        entries, complete = maps.parse_map(content)
        if entries is None:
            self.problem(path, "it holds no JSON object" if content else "it is empty")
            return {}, True
        return entries, not complete

    # Writing

    def record(self, key: LayerKey, layer: CachedLayer) -> bool:
        """Record one layer; see `record_many()`."""
        return self.record_many([(key, layer)])

    def record_many(self, items: Iterable[tuple[LayerKey, CachedLayer]]) -> bool:
        """Merge layers into the maps, one write per import path and platform.

        When this returns True they are on disk, and no crash tears or loses them. False, after one
        warning, where the cache cannot be written. Records of other processes are kept.

        :raises KoPantsError: a layer that is none: no sha256 digests, no layer media type.
        """
        groups: dict[str, list[tuple[LayerKey, CachedLayer]]] = {}
        for key, layer in items:
            groups.setdefault(key.directory, []).append((key, maps.normalise(layer)))
        done = True
        for directory, group in groups.items():

            def merge(files: _MapFiles, group: list[tuple[LayerKey, CachedLayer]] = group) -> None:
                for key, layer in group:
                    files.record(key.map_key, layer)

            if self._update(directory, merge):
                self._count(records=len(group))
            else:
                done = False
        if done and groups:
            self._prune_daily()
        return done

    def forget_descriptor(self, key: LayerKey, compressor: str) -> bool:
        """Drop what `compressor` made for `key`: the registry lacks it and it was not rebuilt.

        The diffID stays. After a rebuild `record()` is enough: it replaces what was there.
        """
        return self._update(
            key.directory, lambda files: files.forget_descriptor(key.map_key, compressor)
        )

    def write_content(self, descriptor: Descriptor, content: bytes) -> bool:
        """Store a manifest, index or config of a base image in `img/`.

        False, after one warning, if `content` is not what `descriptor` says or cannot be written.
        """
        try:
            if not self.content.write(descriptor, content):
                return False
        except OSError as error:
            self._not_written(error)
            return False
        self._prune_daily()
        return True

    def locked(self, directory: str) -> contextlib.AbstractContextManager[bool]:
        """The lock that every writer of the maps in `directory` (below the root) holds."""
        state = os.path.join(self.root, "ko-pants")
        os.makedirs(state, exist_ok=True)
        number = zlib.crc32(directory.encode()) % _LOCKS
        return locked(os.path.join(state, f"lock-{number:02}"), self._no_lock)

    def _update(self, directory: str, change: Callable[[_MapFiles], None]) -> bool:
        place = os.path.join(self.root, directory)
        for attempt in range(3):
            try:
                with self.locked(directory) as has_lock:
                    files = _MapFiles(directory, place, self._load, self.max_entries)
                    change(files)
                    files.write(locked=has_lock)
                return True
            except OSError as error:
                # Somebody deletes the cache, or prunes a directory that was empty for a moment.
                if error.errno not in (errno.ENOENT, errno.ESTALE) or attempt == 2:
                    self._not_written(error)
                    break
        return False

    # Upkeep

    def check_usable(self, *, writable: bool = False) -> None:
        """Make sure that the root is a directory, and create it if it is absent.

        A read-only cache is usable: it is read and not written. With `writable` it is not.

        :raises KoCacheUnusable: the root is something else, or cannot be created (or written).
        """
        hint = "set KOCACHE (or the option) to a directory that can be created and written"
        if not self.root:
            raise KoCacheUnusable(f"KOCACHE is empty: {hint}")
        try:
            os.makedirs(self.root, exist_ok=True)
        except FileExistsError:
            raise KoCacheUnusable(
                f"KOCACHE is {self.root}, which is not a directory: remove it, or {hint}"
            ) from None
        except (OSError, ValueError) as error:
            raise KoCacheUnusable(
                f"KOCACHE is {self.root}, which cannot be created ({reason(error)}): {hint}"
            ) from None
        mode = os.R_OK | os.X_OK | (os.W_OK if writable else 0)
        if not os.access(self.root, mode, effective_ids=os.access in os.supports_effective_ids):
            raise KoCacheUnusable(
                f"KOCACHE is {self.root}, which this user cannot "
                f"{'write' if writable else 'read'}: change its permissions, or {hint}"
            )

    def prune(
        self, max_age_seconds: float | None = None, max_bytes: int | None = None
    ) -> PruneResult:
        """Delete what nobody used for `max_age_seconds`, then the longest unused over `max_bytes`.

        Without arguments the bounds of this cache. What ko wrote stays: see `upkeep.prune()`.

        :raises KoCacheUnusable: the cache cannot be locked, as when it is read-only.
        """
        from ko_pants.kocache import upkeep

        try:
            return upkeep.prune(
                self,
                self.max_age_seconds if max_age_seconds is None else max_age_seconds,
                self.max_bytes if max_bytes is None else max_bytes,
            )
        except OSError as error:
            raise KoCacheUnusable(
                f"KOCACHE is {self.root}, which cannot be pruned ({reason(error)}): make it "
                "writable for this user, or end the process that holds its lock"
            ) from None

    def entries(self) -> Iterator[MapEntry]:
        """Everything in the maps, sound or not, for a goal that shows it."""
        from ko_pants.kocache import upkeep

        return upkeep.entries(self)

    def stats(self) -> CacheUsage:
        """How many layers and blobs there are, and their bytes; reads the whole cache."""
        from ko_pants.kocache import upkeep

        return upkeep.usage(self)

    @property
    def counters(self) -> Counters:
        """What this object was asked until now."""
        with self._mutex:
            return Counters(**self._counts)

    def begin_run(self) -> None:
        """What is asked after the last `save_counters()` belongs to a new run."""
        self._run_base = self._saved

    def save_counters(self) -> bool:
        """Keep what this run asked as that of the last run; nothing asked leaves the file alone.

        False if the cache cannot be written.
        """
        if not self._asked:
            return True
        self._asked = False
        self._saved = total = self.counters
        run = {name: getattr(total, name) - getattr(self._run_base, name) for name in _COUNTERS}
        content = (json.dumps(run) + "\n").encode()
        state = os.path.join(self.root, "ko-pants")
        try:
            os.makedirs(state, exist_ok=True)
            write_atomically(os.path.join(state, "last-run.json"), content, locked=False)
        except OSError as error:
            self._not_written(error)
            return False
        return True

    def last_run(self) -> Counters | None:
        """The counters that were saved last."""
        value = self._read_map(os.path.join(self.root, "ko-pants", "last-run.json"))
        if not all(type(value.get(name)) is int for name in _COUNTERS):
            return None
        return Counters(**{name: value[name] for name in _COUNTERS})

    def problem(self, path: str, what: str) -> None:
        """Warn, once for each path, of something on disk that is taken as absent."""
        self._warn_once(path, f"KOCACHE: {path}: {what}; it is taken as absent until rewritten")

    def _prune_daily(self) -> None:
        stamp = os.path.join(self.root, "ko-pants", "pruned")
        try:
            due = time.time() - os.stat(stamp).st_mtime > _DAY_SECONDS
        except OSError:
            due = False
            with contextlib.suppress(OSError):
                os.makedirs(os.path.dirname(stamp), exist_ok=True)
                os.close(os.open(stamp, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        if due:
            with contextlib.suppress(OSError, KoCacheUnusable):
                os.utime(stamp)
                self.prune()

    def _no_lock(self, error: OSError) -> None:
        self._warn_once(
            "no lock",
            f"KOCACHE: {self.root}: no file locks here ({reason(error)}); what concurrent runs "
            "record at the same moment may be lost and is built again",
        )

    def _not_written(self, error: OSError) -> None:
        busy = isinstance(error, LockBusy)
        self._warn_once(
            f"not written {'busy' if busy else error.errno}",
            f"KOCACHE: {self.root}: not updated ({reason(error)}); what was built now is built "
            + (
                "again by the next run"
                if busy
                else "again by the next run unless the directory can be written"
            ),
        )

    def _warn_once(self, what: str, message: str) -> None:
        with self._mutex:
            if what in self._warned:
                return
            self._warned.add(what)
        self._warn(message)

    def _count(self, **more: int) -> None:
        with self._mutex:
            for name, number in more.items():
                self._counts[name] += number
            self._asked = True


class _MapFiles:
    """The maps of one directory, read and changed while the lock is held."""

    def __init__(
        self,
        directory: str,
        place: str,
        load: Callable[[str], tuple[dict[str, Any], bool]],
        max_entries: int,
    ) -> None:
        self._directory = directory
        self._place = place
        self._load = load
        self._max_entries = max_entries
        raw, self._build_ids_changed = load(os.path.join(place, BUILD_IDS))
        self._build_ids = {key: value for key, value in raw.items() if is_digest(value)}
        self._build_ids_changed |= len(self._build_ids) != len(raw)
        self._stores: dict[str, dict[str, maps.Entry]] = {}
        self._changed: set[str] = set()
        shared, damaged = load(os.path.join(place, DESCRIPTORS))
        self._ko_diff_ids = {
            diff_id for diff_id, value in shared.items() if maps.foreign_layer(diff_id, value)
        }
        self._ko_works_here = bool(self._ko_diff_ids) or os.path.exists(
            os.path.join(place, KO_OUTPUT)
        )
        if not self._ko_works_here:
            self._add_store(DESCRIPTORS, shared, damaged)

    def record(self, key: str, layer: CachedLayer) -> None:
        """Make `key` lead to `layer`, as the newest of both maps."""
        if self._build_ids.get(key) != layer.diff_id:
            self._build_ids.pop(key, None)
            self._build_ids[key] = layer.diff_id
            self._build_ids_changed = True
        name = self._store_for(layer)
        store = self._stores[name]
        present = store.get(layer.diff_id)
        if present is not None and present.layer == layer and key in present.keys:
            return
        self._changed.add(name)
        for diff_id, entry in list(store.items()):
            if key in entry.keys and entry.layer.compressor == layer.compressor:
                store[diff_id] = entry.without_key(key)
                if not store[diff_id].keys:
                    del store[diff_id]
        store.pop(layer.diff_id, None)
        # After drift the new blob stands for every key: the tar is the same.
        keys = present.keys if present else ()
        store[layer.diff_id] = maps.Entry(layer, keys).with_key(key)
        while len(store) > self._max_entries:
            del store[next(iter(store))]

    def forget_descriptor(self, key: str, compressor: str) -> None:
        """Drop the descriptor of `compressor` that `key` leads to."""
        diff_id = self._build_ids.get(key)
        self._open_store(_own_file(compressor))
        for name, store in self._stores.items():
            entry = store.get(str(diff_id))
            if entry is not None and entry.layer.compressor == compressor:
                del store[str(diff_id)]
                self._changed.add(name)

    def write(self, *, locked: bool) -> None:
        """Write what changed: descriptors first, so that no build id ever leads nowhere.

        :raises OSError: not all is written; what is, is whole.
        """
        contents = [
            (name, {d: entry.to_json(self._directory) for d, entry in self._stores[name].items()})
            for name in sorted(self._changed)
        ]
        if self._build_ids_changed:
            self._trim_build_ids()
            contents.append((BUILD_IDS, self._build_ids))
        if not contents:
            return
        os.makedirs(self._place, exist_ok=True)
        for name, content in contents:
            path = os.path.join(self._place, name)
            if os.path.isdir(path):
                # Whatever it is, it is somebody's: out of the way, not deleted.
                aside = f".{name}.moved-{os.urandom(4).hex()}"
                os.rename(path, os.path.join(self._place, aside))
            write_atomically(path, maps.encode_map(content), locked=locked)
        sync_directory(self._place)

    def _store_for(self, layer: CachedLayer) -> str:
        """The file for `layer`: ko's name where it is free, else that of the compressor."""
        own = _own_file(layer.compressor)
        self._open_store(own)
        if self._ko_works_here or layer.diff_id in self._stores[own]:
            return own
        other = self._stores[DESCRIPTORS].get(layer.diff_id)
        if other is not None and other.layer.compressor != layer.compressor:
            return own
        return DESCRIPTORS

    def _open_store(self, name: str) -> None:
        if name not in self._stores:
            self._add_store(name, *self._load(os.path.join(self._place, name)))

    def _add_store(self, name: str, raw: dict[str, Any], damaged: bool) -> None:
        found = {
            diff_id: maps.own_entry(self._directory, diff_id, value)
            for diff_id, value in raw.items()
        }
        self._stores[name] = {d: entry for d, entry in found.items() if entry is not None}
        if damaged or len(self._stores[name]) != len(raw):
            self._changed.add(name)

    def _trim_build_ids(self) -> None:
        """Oldest out, except what leads to a descriptor of ko's."""
        surplus = len(self._build_ids) - 4 * self._max_entries
        for key in list(self._build_ids):
            if surplus <= 0:
                break
            if self._build_ids[key] not in self._ko_diff_ids:
                del self._build_ids[key]
                surplus -= 1


@lru_cache(maxsize=64)
def _own_file(compressor: str) -> str:
    return f"{DESCRIPTORS}.{escape_component(compressor.replace('/', '_'))}"


def _descriptor_files(place: str) -> list[str]:
    try:
        names = os.listdir(place)
    except OSError:
        return []
    return [
        os.path.join(place, name)
        for name in sorted(names)
        if name == DESCRIPTORS or name.startswith(DESCRIPTORS + ".")
    ]


def _signature(path: str) -> _Signature | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _touch(paths: tuple[str, ...], signatures: tuple[_Signature | None, ...]) -> None:
    """Note that files are in use, once a day, for pruning by age."""
    yesterday = (time.time() - _DAY_SECONDS) * 1e9
    for path, signature in zip(paths, signatures):
        if signature is not None and signature[1] < yesterday:
            with contextlib.suppress(OSError):
                os.utime(path)
