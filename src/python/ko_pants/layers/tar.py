"""Tar headers, byte for byte as Go's `archive/tar` writes those that ko makes.

USTAR where it can express the entry, PAX (POSIX.1-2001) where it cannot: names that are not ASCII
or do not fit, sizes from 8 GiB, modification times outside eleven octal digits, and extra records.
Standard library only: this module also runs inside the layer process's sandbox.
"""

from __future__ import annotations

import os
from typing import Dict, Iterable, Iterator, Mapping, NamedTuple, Optional

from ko_pants.errors import KoPantsError

BLOCK = 512
#: End of archive: two zero blocks. Unlike GNU tar, Go pads no further.
TRAILER = bytes(2 * BLOCK)

_NAME_SIZE = 100
_PREFIX_SIZE = 155
_MODE = 0o555


class Entry(NamedTuple):
    """One member of the archive: its header blocks, then `size` bytes of the file at `path`.

    A directory has no path and size 0.
    """

    header: bytes
    path: Optional[bytes] = None
    size: int = 0


def header(
    name: bytes,
    *,
    size: int = 0,
    directory: bool = False,
    mtime: int = 0,
    records: Optional[Mapping[str, bytes]] = None,
) -> bytes:
    """All header blocks of one file or directory; `size` in bytes, `mtime` in Unix seconds.

    Mode 0555, uid and gid 0 and no owner names, as ko sets them. `name` is a clean slash-separated
    path (no empty, `.` or `..` parts, no slash at the end; one in front is kept). `records` are
    extra PAX records; any makes the entry PAX, as in Go. Raises ValueError for a name that is not
    clean or has a NUL.
    """
    parts = name[1:].split(b"/") if name.startswith(b"/") else name.split(b"/")
    if b"\0" in name or any(part in (b"", b".", b"..") for part in parts):
        raise ValueError(f"not a clean path: {name!r}")
    pax: Dict[bytes, bytes] = {}
    prefix, suffix = b"", name
    ustar = not records
    if len(name) > _NAME_SIZE or not name.isascii():
        pax[b"path"] = name
        split = _split_ustar(name)
        if split is None:
            ustar = False
        else:
            prefix, suffix = split
    if not _fits_octal(size, 12):
        pax[b"size"] = b"%d" % size
        ustar = False
    if not _fits_octal(mtime, 12):
        pax[b"mtime"] = b"%d" % mtime
        ustar = False
    kind = b"5" if directory else b"0"
    if ustar:
        return _block(suffix, kind, _MODE, size, mtime, prefix)
    for key, value in (records or {}).items():
        pax[key.encode()] = value
    body = b"".join(_pax_record(key, pax[key]) for key in sorted(pax))
    # What a reader that knows no PAX would call the extension: best effort, as Go forms it.
    parent, slash, base = name.rpartition(b"/")
    pax_name = _ascii(parent + slash + b"PaxHeaders.0/" + base)[:_NAME_SIZE].rstrip(b"/")
    return b"".join(
        (
            _block(pax_name, b"x", 0, len(body), 0, owner=False),
            body,
            bytes(padding(len(body))),
            _block(_truncate(_ascii(name)), kind, _MODE, size, mtime),
        )
    )


def padding(size: int) -> int:
    """Bytes from `size` to the next block boundary."""
    return -size % BLOCK


def _block(
    name: bytes,
    kind: bytes,
    mode: int,
    size: int,
    mtime: int,
    prefix: bytes = b"",
    *,
    owner: bool = True,
) -> bytes:
    device = _octal(0, 8) if owner else b""
    block = bytearray(BLOCK)
    for offset, field in (
        (0, name),
        (100, _octal(mode, 8)),
        (108, _octal(0, 8)),
        (116, _octal(0, 8)),
        (124, _octal(size, 12)),
        (136, _octal(mtime, 12)),
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
    # Go writes 0 for what does not fit; the PAX record carries the value.
    return b"%0*o\0" % (width - 1, value if _fits_octal(value, width) else 0)


def _fits_octal(value: int, width: int) -> bool:
    return 0 <= value < 1 << 3 * (width - 1)


def _ascii(name: bytes) -> bytes:
    return name if name.isascii() else bytes(byte for byte in name if byte < 0x80)


def _truncate(name: bytes) -> bytes:
    """Cut to the name field; a cut that ends in a slash would read as a directory."""
    if len(name) <= _NAME_SIZE:
        return name
    return name[:_NAME_SIZE].rstrip(b"/")


def _split_ustar(name: bytes) -> Optional[tuple[bytes, bytes]]:
    """Split a long ASCII name at the last slash that the prefix field can reach."""
    if len(name) <= _NAME_SIZE or not name.isascii():
        return None
    slash = name.rfind(b"/", 0, _PREFIX_SIZE + 1)
    if slash <= 0 or len(name) - slash - 1 > _NAME_SIZE:
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

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._pieces = self._produce(entries)
        self._into: memoryview = memoryview(b"")
        self._filled = 0

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer and return how many bytes were written: fewer only at the end.

        Raises KoPantsError when a file is not as long as its header says, OSError as `open` does.
        """
        self._into, self._filled = buffer, 0
        while self._filled < len(buffer):
            if next(self._pieces, None) is None:
                break
        self._into = memoryview(b"")
        return self._filled

    # The generator runs until the buffer is full, yields, and goes on where it was.

    def _produce(self, entries: Iterable[Entry]) -> Iterator[bool]:
        for entry in entries:
            yield from self._put(entry.header)
            if entry.path is not None:
                yield from self._put_file(entry.path, entry.size)
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
                    raise _changed(path, size)
                self._filled += count
                left -= count
            if file.read(1):
                raise _changed(path, size)


def _changed(path: bytes, size: int) -> KoPantsError:
    return KoPantsError(
        f"{os.fsdecode(path)} changed while it was read: expected {size} bytes. Run again once "
        "nothing writes to it."
    )
