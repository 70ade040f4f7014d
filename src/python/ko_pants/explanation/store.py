"""Where records are kept: in KOCACHE, at a place that ko does not read.

    <root>/ko-pants/records/objects/<2 hex>/<62 hex>   documents, by their SHA-256
    <root>/ko-pants/records/images/<64 hex>            one for each image: its last two records

An image is its target and the repositories that it goes to. Neither the build root nor a tag is
part of that: the same repository at another path finds its records again. An OCI layout is named by
its absolute path, for it is a destination of one machine.

Everything here is written whole or not at all. What is damaged is as if it was not there, with one
warning, until the next publish writes it again.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from dataclasses import dataclass
from typing import Iterable, Mapping

from ko_pants.explanation.documents import (
    DamagedDocument,
    content_hash,
    decode_record,
    encode_record,
)
from ko_pants.explanation.record import ImageRecord
from ko_pants.kocache.locks import exclusive_lock
from ko_pants.kocache.root import CacheRoot
from ko_pants.kocache.shared_files import (
    NotReadable,
    file_state,
    make_directories,
    note_use,
    read_regular,
    write_atomically,
)

#: Relative to the root of KOCACHE.
RECORDS = "ko-pants/records"
OBJECTS = f"{RECORDS}/objects"
IMAGES = f"{RECORDS}/images"

_MAX_POINTER_BYTES = 1 << 20
_MAX_OBJECT_BYTES = 64 << 20
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class ImagePlace:
    """What a record is found by.

    :param address: of the target.
    :param repositories: that the image goes to, without tags, sorted.
    """

    address: str
    repositories: tuple[str, ...]

    # Kept, because every run of a daemon asks for it again.
    @functools.cached_property
    def name(self) -> str:
        """The name of its file."""
        return content_hash(json.dumps([self.address, *self.repositories]).encode())


@dataclass(frozen=True)
class Kept:
    """A record that is kept: what it was made from as one hash, and the hash of its document."""

    key: str
    document: str


@dataclass(frozen=True)
class Pointer:
    """What the file of an image says.

    :param last: of the last publish for which the inputs had changed; `before` is the one before.
    """

    last: Kept
    before: Kept | None = None

    @property
    def documents(self) -> tuple[str, ...]:
        """The hashes of its documents."""
        return tuple(kept.document for kept in (self.last, self.before) if kept is not None)


@dataclass(frozen=True)
class History:
    """The records of an image; None where there is none, or it is damaged."""

    last: ImageRecord | None = None
    before: ImageRecord | None = None


@dataclass(frozen=True)
class NewRecord:
    """A record that is to be kept.

    :param key: stands for what the image was made from; see `Pointer`.
    """

    place: ImagePlace
    key: str
    record: ImageRecord


class RecordStore:
    """The records in one KOCACHE. To make this object touches nothing on disk."""

    def __init__(self, root: CacheRoot) -> None:
        self._root = root

    def last_key(self, place: ImagePlace) -> str:
        """The key of the last record of an image; empty if there is none. Reads one small file."""
        path = self._pointer_path(place.name)
        pointer = self.pointer(place.name)
        if pointer is None or not self._is_there(pointer.last):
            return ""
        note_use([path], [file_state(path)])
        return pointer.last.key

    def pointer(self, name: str) -> Pointer | None:
        """What the file of an image says; None, after a warning if it is damaged."""
        path = self._pointer_path(name)
        try:
            content = read_regular(path, _MAX_POINTER_BYTES)
            return None if content is None else _pointer_of(content)
        except (NotReadable, DamagedDocument) as error:
            self._root.problems.unreadable(path, str(error))
            return None

    def history(self, place: ImagePlace) -> History:
        """The last record of an image and the one before. Nothing is raised for what is damaged."""
        pointer = self.pointer(place.name)
        if pointer is None:
            return History()
        before = None if pointer.before is None else self._record(pointer.before)
        return History(self._record(pointer.last), before)

    def write(self, records: Iterable[NewRecord]) -> bool:
        """Keep records, each as the last one of its image.

        Nothing is done for one whose key is that of the last one already. Returns False, after a
        warning, where the cache cannot be written.
        """
        wanted = list(records)
        if not wanted:
            return True
        try:
            for directory in (OBJECTS, IMAGES):
                make_directories(self._root.path, directory)
            with self.lock():
                sound: set[str] = set()
                for new in wanted:
                    self._write(new, sound)
        except OSError as error:
            self._root.problems.not_written(error)
            return False
        return True

    def lock(self) -> contextlib.AbstractContextManager[bool]:
        """The lock that writers and pruning hold.

        :raises OSError: the lock file cannot be created, or somebody has held it for 30 seconds.
        """
        path = os.path.join(self._root.path, RECORDS, "lock")
        return exclusive_lock(path, self._root.problems.no_locks)

    def read_object(self, hash_: str) -> bytes:
        """The document with this hash. One with another content is deleted.

        :raises DamagedDocument: it is not there, or has another content.
        """
        path = self._object_path(hash_)
        try:
            content = read_regular(path, _MAX_OBJECT_BYTES)
        except NotReadable as error:
            raise DamagedDocument(str(error)) from None
        if content is None:
            raise DamagedDocument(f"{os.path.basename(path)} of it is missing")
        if content_hash(content) != hash_:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise DamagedDocument(f"{os.path.basename(path)} of it has another content")
        return content

    def _record(self, kept: Kept) -> ImageRecord | None:
        path = self._object_path(kept.document)
        try:
            return decode_record(self.read_object(kept.document), self.read_object)
        except DamagedDocument as error:
            self._root.problems.unreadable(path, str(error))
            # Without its document, the record is not taken for one that is kept.
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None

    def _write(self, new: NewRecord, sound: set[str]) -> None:
        """Keep a record.

        :param sound: the hashes of documents that were written or read by this call of `write()`.
        """
        pointer = self.pointer(new.place.name)
        before = None if pointer is None else pointer.last
        if before is not None and before.key == new.key and self._is_there(before):
            return
        document, lists = encode_record(new.record)
        hash_ = content_hash(document)
        for name, content in {**lists, hash_: document}.items():
            if name not in sound:
                self._write_object(name, content)
                sound.add(name)
        if before is not None and (before.key == new.key or not self._is_there(before)):
            before = None if pointer is None else pointer.before
        content = _pointer_bytes(new.place, Pointer(Kept(new.key, hash_), before))
        write_atomically(self._pointer_path(new.place.name), content, locked=False, durable=False)

    def _write_object(self, hash_: str, content: bytes) -> None:
        path = self._object_path(hash_)
        with contextlib.suppress(NotReadable):
            if read_regular(path, len(content)) == content:
                return
        make_directories(self._root.path, f"{OBJECTS}/{hash_[:2]}")
        write_atomically(path, content, locked=False, durable=False)

    def _is_there(self, kept: Kept) -> bool:
        return file_state(self._object_path(kept.document)) is not None

    def _pointer_path(self, name: str) -> str:
        return os.path.join(self._root.path, IMAGES, name)

    def _object_path(self, hash_: str) -> str:
        return os.path.join(self._root.path, OBJECTS, hash_[:2], hash_[2:])


def is_hash(text: object) -> bool:
    """True for a SHA-256 in hex, which is the name of an image's file or of a document."""
    return isinstance(text, str) and len(text) == 64 and _HEX.issuperset(text)


def _pointer_bytes(place: ImagePlace, pointer: Pointer) -> bytes:
    kept = [
        {"key": k.key, "document": k.document}
        for k in (pointer.last, pointer.before)
        if k is not None
    ]
    document = {
        "address": place.address,
        "repositories": list(place.repositories),
        "records": kept,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _pointer_of(content: bytes) -> Pointer:
    try:
        records = json.loads(content)["records"]
        kept = [_kept(record) for record in records]
        return Pointer(kept[0], kept[1] if len(kept) > 1 else None)
    except (ValueError, LookupError, TypeError, RecursionError):
        raise DamagedDocument("it does not say which records an image has") from None


def _kept(record: Mapping[str, object]) -> Kept:
    key, document = record["key"], record["document"]
    if not (is_hash(key) and is_hash(document)):
        raise ValueError(record)
    return Kept(str(key), str(document))
