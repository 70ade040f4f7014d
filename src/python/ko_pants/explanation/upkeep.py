"""The size of the records in a KOCACHE, and deleting those of images that nobody publishes."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from typing import Callable, Iterator

from ko_pants.explanation.documents import DamagedDocument, lists_of
from ko_pants.explanation.store import IMAGES, OBJECTS, Pointer, RecordStore, is_hash
from ko_pants.kocache.root import CacheRoot
from ko_pants.kocache.shared_files import is_below_link, is_temporary


@dataclass(frozen=True)
class RecordUsage:
    """The number of images that have records, and the bytes of all files for them."""

    images: int
    bytes: int


@dataclass(frozen=True)
class RecordsOfImage:
    """The records of one image.

    :param name: of its file.
    :param last_use: when it was last written or read by a publish, in seconds since the epoch.
    :param size: in bytes; what images share is divided among them.
    """

    name: str
    last_use: float
    size: int


def measure_records(root: CacheRoot) -> RecordUsage:
    """Count and measure."""
    files = list(_files(root, IMAGES))
    sizes = [_status(path).st_size for path in (*files, *_files(root, OBJECTS))]
    return RecordUsage(sum(is_hash(os.path.basename(path)) for path in files), sum(sizes))


def records_of_images(root: CacheRoot) -> list[RecordsOfImage]:
    """The records of each image. This reads all of their documents."""
    store = RecordStore(root)
    wanted = {name: _documents(store, pointer) for name, pointer in _pointers(root, store)}
    users = Counter(hash_ for hashes in wanted.values() for hash_ in hashes)
    found = []
    for name, hashes in wanted.items():
        status = _status(os.path.join(root.path, IMAGES, name))
        size = sum(_size(root, hash_) / users[hash_] for hash_ in hashes)
        found.append(RecordsOfImage(name, status.st_mtime, status.st_size + int(size)))
    return found


def remove_records(root: CacheRoot, is_unwanted: Callable[[RecordsOfImage], bool]) -> list[int]:
    """Delete the records of images, and every document that no image has then.

    :returns: the sizes of the deleted files, in bytes.
    :raises OSError: the records cannot be locked.
    """
    if not os.path.isdir(os.path.join(root.path, IMAGES)) or is_below_link(root.path, OBJECTS):
        return []
    store = RecordStore(root)
    removed: list[int] = []
    with store.lock():
        for image in records_of_images(root):
            if is_unwanted(image):
                removed += _unlink(os.path.join(root.path, IMAGES, image.name))
        kept = {h for _, pointer in _pointers(root, store) for h in _documents(store, pointer)}
        for path in _files(root, OBJECTS):
            directory, name = os.path.split(path)
            if os.path.basename(directory) + name not in kept:
                removed += _unlink(path)
        # Nobody writes while the lock is held, so these are of writers that were killed.
        for path in _files(root, IMAGES):
            if is_temporary(os.path.basename(path)):
                removed += _unlink(path)
    return removed


def _pointers(root: CacheRoot, store: RecordStore) -> Iterator[tuple[str, Pointer | None]]:
    for path in _files(root, IMAGES):
        name = os.path.basename(path)
        if is_hash(name):
            yield name, store.pointer(name)


def _documents(store: RecordStore, pointer: Pointer | None) -> frozenset[str]:
    """The hashes of all that the records of an image consist of."""
    found: set[str] = set()
    for hash_ in () if pointer is None else pointer.documents:
        with contextlib.suppress(DamagedDocument):
            found.update(lists_of(store.read_object(hash_)))
            found.add(hash_)
    return frozenset(found)


def _files(root: CacheRoot, directory: str) -> Iterator[str]:
    """The files in and below a directory. No link is followed."""
    for place, _, names in os.walk(os.path.join(root.path, directory)):
        for name in sorted(names):
            yield os.path.join(place, name)


def _size(root: CacheRoot, hash_: str) -> int:
    return _status(os.path.join(root.path, OBJECTS, hash_[:2], hash_[2:])).st_size


_ABSENT = os.stat_result((0,) * 10)


def _status(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError:
        return _ABSENT


def _unlink(path: str) -> list[int]:
    with contextlib.suppress(OSError):
        size = os.lstat(path).st_size
        os.unlink(path)
        return [size]
    return []
