"""Tar archives, byte for byte as Go's `archive/tar` writes them: headers, and the whole stream.

USTAR where it can express the entry, PAX (POSIX.1-2001) where it cannot: names that are not ASCII
or do not fit, sizes from 8 GiB, modification times and owners that do not fit their octal digits,
and extra records. Standard library only: this module also runs in the layer process's sandbox.
"""

from __future__ import annotations

import os
from typing import Dict, Iterable, Iterator, Mapping, NamedTuple, Optional, Tuple

from ko_pants.errors import KoPantsError

BLOCK_BYTES = 512
#: End of archive: two zero blocks. Unlike GNU tar, Go adds no further padding.
TRAILER = bytes(2 * BLOCK_BYTES)

_NAME_BYTES = 100
_PREFIX_BYTES = 155
_ID_BYTES = 8
_NUMBER_BYTES = 12


class TarEntry(NamedTuple):
    """A directory, or a regular file.

    :param name: the path in the archive, separated by slashes: no empty, `.` or `..` parts and no
        slash at the end; one in front is kept.
    :param file: the path on this machine of a regular file; None for a directory.
    :param size: bytes of the file; 0 for a directory.
    :param mode: permission bits.
    :param mtime: modification time in seconds since the epoch.
    :param pax_records: extra PAX records. Any makes the entry PAX, as in Go.
    """

    name: bytes
    file: Optional[bytes] = None
    size: int = 0
    mode: int = 0o555
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    pax_records: Optional[Mapping[str, bytes]] = None


def header(entry: TarEntry) -> bytes:
    """All header blocks of an entry. They have no names of owners.

    :raises ValueError: the name is not clean or has a NUL, or the mode has more than twelve bits.
    """
    name = entry.name
    parts = name[1:].split(b"/") if name.startswith(b"/") else name.split(b"/")
    if b"\0" in name or any(part in (b"", b".", b"..") for part in parts):
        raise ValueError(f"not a clean path: {name!r}")
    if not 0 <= entry.mode <= 0o7777:
        raise ValueError(f"not a file mode: {entry.mode:o}")
    records = _needed_records(entry)
    split = _split_for_ustar(name)
    if split is None or entry.pax_records or records.keys() - {b"path"}:
        for key, value in (entry.pax_records or {}).items():
            records[key.encode()] = value
        return _pax_header(entry, records)
    prefix, suffix = split
    return _entry_block(entry, suffix, prefix)


def padding(size: int) -> int:
    """The number of bytes from `size` to the next block boundary."""
    return -size % BLOCK_BYTES


def _needed_records(entry: TarEntry) -> Dict[bytes, bytes]:
    """The PAX records for what does not fit the fields of the header block."""
    records = {}
    if len(entry.name) > _NAME_BYTES or not entry.name.isascii():
        records[b"path"] = entry.name
    for key, value, width in (
        (b"size", entry.size, _NUMBER_BYTES),
        (b"mtime", entry.mtime, _NUMBER_BYTES),
        (b"uid", entry.uid, _ID_BYTES),
        (b"gid", entry.gid, _ID_BYTES),
    ):
        if not _fits_octal(value, width):
            records[key] = b"%d" % value
    return records


def _pax_header(entry: TarEntry, records: Mapping[bytes, bytes]) -> bytes:
    body = b"".join(_pax_record(key, records[key]) for key in sorted(records))
    # The name for readers that do not know PAX, formed as Go forms it.
    parent, slash, base = entry.name.rpartition(b"/")
    pax_name = _ascii(parent + slash + b"PaxHeaders.0/" + base)[:_NAME_BYTES].rstrip(b"/")
    return b"".join(
        (
            _block(pax_name, b"x", size=len(body)),
            body,
            bytes(padding(len(body))),
            _entry_block(entry, _truncate(_ascii(entry.name))),
        )
    )


def _entry_block(entry: TarEntry, name: bytes, prefix: bytes = b"") -> bytes:
    return _block(
        name,
        b"5" if entry.file is None else b"0",
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        mtime=entry.mtime,
        device=_octal(0, _ID_BYTES),
        prefix=prefix,
    )


def _block(
    name: bytes,
    kind: bytes,
    *,
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    device: bytes = b"",
    prefix: bytes = b"",
) -> bytes:
    block = bytearray(BLOCK_BYTES)
    for offset, field in (
        (0, name),
        (100, _octal(mode, _ID_BYTES)),
        (108, _octal(uid, _ID_BYTES)),
        (116, _octal(gid, _ID_BYTES)),
        (124, _octal(size, _NUMBER_BYTES)),
        (136, _octal(mtime, _NUMBER_BYTES)),
        (148, b" " * 8),
        (156, kind),
        (257, b"ustar\x0000"),
        (329, device),
        (337, device),
        (345, prefix),
    ):
        block[offset : offset + len(field)] = field
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _octal(value: int, width: int) -> bytes:
    # Go writes 0 for a value that does not fit; the PAX record has the value.
    return b"%0*o\0" % (width - 1, value if _fits_octal(value, width) else 0)


def _fits_octal(value: int, width: int) -> bool:
    return 0 <= value < 1 << 3 * (width - 1)


def _ascii(name: bytes) -> bytes:
    return name if name.isascii() else bytes(byte for byte in name if byte < 0x80)


def _truncate(name: bytes) -> bytes:
    """Cut to the length of the name field. A slash at the end would make it a directory."""
    if len(name) <= _NAME_BYTES:
        return name
    return name[:_NAME_BYTES].rstrip(b"/")


def _split_for_ustar(name: bytes) -> Optional[Tuple[bytes, bytes]]:
    """The fields prefix and name of a USTAR header; None where the name does not fit them.

    A long name is split at the last slash that the prefix field can reach.
    """
    if not name.isascii():
        return None
    if len(name) <= _NAME_BYTES:
        return b"", name
    slash = name.rfind(b"/", 0, _PREFIX_BYTES + 1)
    if slash <= 0 or len(name) - slash - 1 > _NAME_BYTES:
        return None
    return name[:slash], name[slash + 1 :]


def _pax_record(key: bytes, value: bytes) -> bytes:
    """`<length> <key>=<value>\\n`, where the length counts its own digits."""
    rest = b" %b=%b\n" % (key, value)
    size = len(rest)
    while len(b"%d" % size) + len(rest) != size:
        size = len(b"%d" % size) + len(rest)
    return b"%d%b" % (size, rest)


class TarReader:
    """Reads the archive of `entries` as a byte stream, a buffer at a time, in constant memory."""

    def __init__(self, entries: Iterable[TarEntry]) -> None:
        self._pieces = self._produce(entries)
        self._into: memoryview = memoryview(b"")
        self._filled = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer and return the number of bytes written: fewer only at the end.

        :raises KoPantsError: a file is not as long as its entry says.
        :raises OSError: a file cannot be read.
        """
        self._into, self._filled = buffer, 0
        while self._filled < len(buffer):
            if next(self._pieces, None) is None:
                break
        self._into = memoryview(b"")
        return self._filled

    # These generators write into the buffer until it is full, and yield. They continue in the
    # buffer of the next call.

    def _produce(self, entries: Iterable[TarEntry]) -> Iterator[bool]:
        for entry in entries:
            yield from self._put(header(entry))
            if entry.file is not None:
                yield from self._put_file(entry.file, entry.size)
                yield from self._put(bytes(padding(entry.size)))
        yield from self._put(TRAILER)

    def _put(self, data: bytes) -> Iterator[bool]:
        start = 0
        while start < len(data):
            count = min(len(data) - start, len(self._into) - self._filled)
            if not count:
                yield True
                continue
            self._into[self._filled : self._filled + count] = data[start : start + count]
            self._filled += count
            start += count

    def _put_file(self, path: bytes, size: int) -> Iterator[bool]:
        left = size
        with open(path, "rb", buffering=0) as file:
            while left:
                room = self._into[self._filled : self._filled + left]
                if not room:
                    yield True
                    continue
                count = file.readinto(room) or 0
                if not count:
                    raise changed(path, size)
                self._filled += count
                left -= count
            if file.read(1):
                raise changed(path, size)


def changed(path: bytes, size: int) -> KoPantsError:
    """The error for a file that is not as long as its entry says."""
    return KoPantsError(
        f"{os.fsdecode(path)} changed while it was read: expected {size} bytes. Run again once "
        "nothing writes to it."
    )
