"""Prints the build info of an executable. It runs in a sandbox: no imports of ours.

    build_info_tool.py <file>

It prints what `go version -m` prints, and nothing for a file without build info. As there, the info
is looked for only where the linker puts it, for a program that reads build info has its first bytes
elsewhere too. ELF, PE and Mach-O are read, of a universal Mach-O file the first program.

Sources: Go's package debug/buildinfo; the ELF gABI, Microsoft's PE format, Apple's mach-o/loader.h
and mach-o/fat.h.
"""

import mmap
import struct
import sys
from typing import List, NamedTuple, Optional, Tuple, Union

Data = Union[bytes, mmap.mmap]

_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER_SIZE = 32
_BIG_ENDIAN, _INLINE = 1, 2
# Before and after the module lines is a mark.
_MARK_SIZE = 16

_PT_LOAD = 1
_PF_X, _PF_W = 1, 2
_PE_ALIGN_32BYTES = 0x00600000
_PE_WRITABLE_DATA = 0xC0000040
_LC_SEGMENT, _LC_SEGMENT_64 = 0x1, 0x19
_MACHO_READ_WRITE = 3
_MACHO_MAGICS = tuple(
    struct.pack(order + "I", magic) for order in "<>" for magic in (0xFEEDFACE, 0xFEEDFACF)
)


class _NotFound(Exception):
    """There is no build info, or the format is not known."""


class _Part(NamedTuple):
    """A part of the file that has an address in memory; sizes in bytes."""

    address: int
    size: int
    offset: int


class _Range(NamedTuple):
    """Addresses in memory, where build info can be."""

    start: int
    size: int


class _Program(NamedTuple):
    data: Data
    parts: List[_Part]

    def locate(self, address: int, size: int) -> Tuple[int, int]:
        """Offsets in the file: `size` bytes from `address` on, or to the end of the part."""
        for part in self.parts:
            if part.address <= address < part.address + part.size:
                begin = part.offset + address - part.address
                end = min(begin + size, part.offset + part.size, len(self.data))
                return begin, end
        raise _NotFound

    def read(self, address: int, size: int) -> bytes:
        """All of these bytes."""
        begin, end = self.locate(address, size)
        if end - begin < size:
            raise _NotFound
        return self.data[begin:end]


def _first(ranges: List[_Range]) -> _Range:
    if not ranges:
        raise _NotFound
    return ranges[0]


def _elf(data: Data) -> Tuple[_Program, _Range]:
    wide, endian = data[4] == 2, ">" if data[5] == 2 else "<"
    # Where the tables of segments and of sections are; then size and number of their entries.
    tables = struct.unpack_from(endian + ("32x2Q6x5H" if wide else "28x2I6x5H"), data)
    segments_at, sections_at, segment_size, segments, section_size, sections, names = tables
    parts = []
    ranges = []
    for index in range(segments):
        at = segments_at + index * segment_size
        if wide:
            kind, flags, offset, address, size, memory = struct.unpack_from(
                endian + "2I2Q8x2Q", data, at
            )
        else:
            kind, offset, address, size, memory, flags = struct.unpack_from(
                endian + "3I4x3I", data, at
            )
        parts.append(_Part(address, size, offset))
        if kind == _PT_LOAD and flags & (_PF_X | _PF_W) == _PF_W:
            ranges.append(_Range(address, memory))
    # Of each section: where its name is, its address, offset and size.
    layout = endian + ("I12x3Q" if wide else "I8x3I")
    found = [
        struct.unpack_from(layout, data, sections_at + index * section_size)
        for index in range(sections)
    ]
    for name, address, _, size in found:
        name_at = found[names][2] + name if names < len(found) else 0
        if data[name_at : name_at + 14] == b".go.buildinfo\0":
            return _Program(data, parts), _Range(address, size)
    return _Program(data, parts), _first(ranges)


def _pe(data: Data) -> Tuple[_Program, _Range]:
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[header : header + 4] != b"PE\0\0":
        raise _NotFound
    sections, optional_size = struct.unpack_from("<2xH12xH", data, header + 4)
    optional = header + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic == 0x20B:
        (base,) = struct.unpack_from("<Q", data, optional + 24)
    else:
        (base,) = struct.unpack_from("<I", data, optional + 28)
    parts = []
    ranges = []
    for index in range(sections):
        memory, address, size, offset, flags = struct.unpack_from(
            "<8x4I12xI", data, optional + optional_size + index * 40
        )
        parts.append(_Part(base + address, size, offset))
        if address and size and flags & ~_PE_ALIGN_32BYTES == _PE_WRITABLE_DATA:
            ranges.append(_Range(base + address, memory))
    return _Program(data, parts), _first(ranges)


def _macho(data: Data, offset: int) -> Tuple[_Program, _Range]:
    """A program that begins at `offset`."""
    magic = data[offset : offset + 4]
    if magic not in _MACHO_MAGICS:
        raise _NotFound
    endian = ">" if magic[:1] == b"\xfe" else "<"
    wide = b"\xcf" in magic
    (commands,) = struct.unpack_from(endian + "16xI", data, offset)
    at = offset + (32 if wide else 28)
    parts = []
    named = []
    ranges = []
    for _ in range(commands):
        command, size = struct.unpack_from(endian + "2I", data, at)
        if size < 8:
            raise _NotFound
        if command == (_LC_SEGMENT_64 if wide else _LC_SEGMENT):
            address, memory, begin, length, most, protection, sections = struct.unpack_from(
                endian + ("24x4Q3I" if wide else "24x7I"), data, at
            )
            parts.append(_Part(address, length, offset + begin))
            if address and length and most == protection == _MACHO_READ_WRITE:
                ranges.append(_Range(address, memory))
            for index in range(sections):
                name, start, extent = struct.unpack_from(
                    endian + ("16s16x2Q" if wide else "16s16x2I"),
                    data,
                    at + (72 + index * 80 if wide else 56 + index * 68),
                )
                if name.rstrip(b"\0") == b"__go_buildinfo":
                    named.append(_Range(start, extent))
        at += size
    return _Program(data, parts), _first(named + ranges)


def _program(data: Data) -> Tuple[_Program, _Range]:
    """Recognize the format.

    :raises _NotFound: it is not known, or there is no place for build info.
    """
    magic = data[:4]
    if magic == b"\x7fELF":
        return _elf(data)
    if magic[:2] == b"MZ":
        return _pe(data)
    if magic in _MACHO_MAGICS:
        return _macho(data, 0)
    if magic == b"\xca\xfe\xba\xbe":
        (offset,) = struct.unpack_from(">16xI", data)
        return _macho(data, offset)
    raise _NotFound


def _search(program: _Program, place: _Range) -> int:
    """The address of the header: the first one that is aligned."""
    start = -(-place.start // _ALIGNMENT) * _ALIGNMENT
    begin, end = program.locate(start, place.start + place.size - start)
    at = program.data.find(_MAGIC, begin, end)
    while at >= 0 and (at - begin) % _ALIGNMENT:
        at = program.data.find(_MAGIC, at + 1, end)
    if at < 0:
        raise _NotFound
    return start + at - begin


def _inline(program: _Program, address: int) -> Tuple[bytes, int]:
    """A text after its length, and the address behind it."""
    size = shift = 0
    while True:
        (byte,) = program.read(address, 1)
        address += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (program.read(address, size) if size else b""), address + size
        if shift > 63:
            raise _NotFound


def _pointed(program: _Program, address: int, layout: str) -> bytes:
    """The text of a string header, as Go has it in memory."""
    start, size = struct.unpack(layout, program.read(address, struct.calcsize(layout)))
    return program.read(start, size) if size else b""


def read_build_info(data: Data) -> Optional[Tuple[bytes, bytes]]:
    """The Go version and the module lines of an executable; None if it has no build info."""
    try:
        program, place = _program(data)
        address = _search(program, place)
        header = program.read(address, _HEADER_SIZE)
        if header[15] & _INLINE:
            version, address = _inline(program, address + _HEADER_SIZE)
            lines, _ = _inline(program, address)
        else:
            # Go before 1.18.
            order = ">" if header[15] & _BIG_ENDIAN else "<"
            layout = {4: order + "2I", 8: order + "2Q"}[header[14]]
            pointers = struct.unpack_from(layout, header, 16)
            version, lines = (_pointed(program, pointer, layout) for pointer in pointers)
    except (_NotFound, KeyError, IndexError, OverflowError, struct.error):
        return None
    if not version:
        return None
    framed = len(lines) > 2 * _MARK_SIZE and lines[-_MARK_SIZE - 1 : -_MARK_SIZE] == b"\n"
    return version, lines[_MARK_SIZE:-_MARK_SIZE] if framed else b""


def text_of(name: str, data: Data) -> bytes:
    """What `go version -m <name>` prints; empty if there is no build info."""
    found = read_build_info(data)
    if found is None:
        return b""
    version, lines = found
    body = b"\t" + lines[:-1].replace(b"\n", b"\n\t") + b"\n" if lines else b""
    return name.encode() + b": " + version + b"\n" + body


def main(path: str) -> None:
    """Print the build info of a file."""
    with open(path, "rb") as file:
        if file.seek(0, 2):
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                sys.stdout.buffer.write(text_of(path, data))


if __name__ == "__main__":
    main(sys.argv[1])
