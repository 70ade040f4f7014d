"""What the head of an executable says: format, platform, linking, Go build id.

Sources: the ELF gABI (and Go's PT_NOTE "Go", type 4), Microsoft's PE format, Apple's
mach-o/loader.h, and `go tool buildid`.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Iterator

from ko_pants.golang.string_literal import unquote
from ko_pants.oci.platform import Platform

# As much of a file as `go tool buildid` reads.
HEAD_SIZE_BYTES = 32 * 1024
# As much as a compile prints. It is fetched for each hit in a remote cache, so it is small. Go's
# linker writes headers and build id into the first 4096 bytes of an ELF file, and at most 200 bytes
# further into others. Where it is not found, the digest of the file is the key in its place.
PRINTED_HEAD_SIZE_BYTES = 8 * 1024


@dataclass(frozen=True)
class ExecutableHeader:
    """What was found in a file's head; a text is empty where something is not known.

    :param format: `elf`, `pe`, `mach-o`, `wasm` or `unknown`.
    :param os: as GOOS. An ELF file that names no system counts as linux.
    :param architecture: as GOARCH.
    :param kind: `executable`, or what else the file is (`shared library`, `object file`, ...).
    :param static: True if it needs no dynamic linker. True for PE, which names none.
    :param interpreter: path of the dynamic linker.
    :param build_id: as `go tool buildid` prints it; empty for `-buildid=` and for non-Go files.
    """

    format: str = "unknown"
    os: str = ""
    architecture: str = ""
    kind: str = ""
    static: bool = False
    interpreter: str = ""
    build_id: str = ""


# e_machine -> GOARCH by (64 bit, big endian).
_ELF_MACHINES: dict[int, dict[tuple[bool, bool], str]] = {
    3: {(False, False): "386"},
    8: {
        (False, True): "mips",
        (False, False): "mipsle",
        (True, True): "mips64",
        (True, False): "mips64le",
    },
    20: {(False, True): "ppc"},
    21: {(True, True): "ppc64", (True, False): "ppc64le"},
    22: {(True, True): "s390x", (False, True): "s390"},
    40: {(False, False): "arm", (False, True): "armbe"},
    43: {(True, True): "sparc64"},
    62: {(True, False): "amd64", (False, False): "amd64p32"},
    183: {(True, False): "arm64", (True, True): "arm64be"},
    243: {(True, False): "riscv64", (False, False): "riscv"},
    258: {(True, False): "loong64"},
}
# EI_OSABI -> GOOS, as Go's linker writes it.
_ELF_ABIS = {0: "linux", 2: "netbsd", 3: "linux", 6: "solaris", 9: "freebsd", 12: "openbsd"}
# Owner of a PT_NOTE -> GOOS, where the ABI says nothing.
_ELF_NOTES = {b"NetBSD\0": "netbsd", b"OpenBSD\0": "openbsd", b"FreeBSD\0": "freebsd"}
# Where the dynamic linker lies on Solaris and illumos. Go's programs for them name no ABI.
_SUN_LINKERS = ("/lib/amd64/", "/usr/lib/amd64/")
_ELF_KINDS = {1: "object file", 2: "executable", 4: "core dump"}
# Position-independent executables and shared libraries have the same type.
_ET_DYN = 3
_PT_INTERP = 3
_PT_NOTE = 4
_GO_NOTE = (b"Go\0\0", 4)

_PE_MACHINES = {0x14C: "386", 0x1C4: "arm", 0x8664: "amd64", 0xAA64: "arm64"}
_PE_EXECUTABLE = 0x0002
_PE_DLL = 0x2000

# Magic number -> 64 bit.
_MACHO_MAGICS = {0xFEEDFACE: False, 0xFEEDFACF: True}
_MACHO_UNIVERSAL = 0xCAFEBABE
_MACHO_CPUS = {
    7: "386",
    12: "arm",
    0x01000007: "amd64",
    0x0100000C: "arm64",
    18: "ppc",
    0x01000012: "ppc64",
}
_MACHO_KINDS = {1: "object file", 2: "executable", 6: "shared library", 8: "bundle"}
_LC_LOAD_DYLINKER = 0xE

# The build id that Go's linker writes at the start of the text where there are no notes.
_MARKER = re.compile(rb'\xff Go build ID: "((?:[^"\\\n]|\\.)*)"\n \xff')


def inspect_executable(head: bytes) -> ExecutableHeader:
    """Read the first `HEAD_SIZE_BYTES` bytes of a file, or fewer. Never raises."""
    head = head[:HEAD_SIZE_BYTES]
    try:
        if head.startswith(b"\x7fELF"):
            return _inspect_elf(head)
        if head.startswith(b"MZ"):
            return _inspect_pe(head)
        if head.startswith(b"\0asm"):
            return ExecutableHeader(
                "wasm", "wasip1", "wasm", "executable", static=True, build_id=_marked_build_id(head)
            )
        magic = int.from_bytes(head[:4], "big")
        if magic in _MACHO_MAGICS or int.from_bytes(head[:4], "little") in _MACHO_MAGICS:
            return _inspect_macho(head)
        if magic == _MACHO_UNIVERSAL and 0 < int.from_bytes(head[4:8], "big") < 20:
            return ExecutableHeader("mach-o", "darwin", kind="universal file")
    except struct.error:
        # Cut off within a header.
        return ExecutableHeader()
    kind = "script" if head.startswith(b"#!") else "" if head else "empty file"
    return ExecutableHeader(kind=kind, build_id=_marked_build_id(head))


def _marked_build_id(head: bytes) -> str:
    """The build id of `_MARKER`; empty if the head has none."""
    match = _MARKER.search(head)
    return (match and unquote(match[1].decode("utf-8", "replace"))) or ""


@dataclass(frozen=True)
class _Segment:
    """A program header of an ELF file, and as much of its segment as the head has."""

    kind: int
    content: bytes
    alignment: int


def _inspect_elf(head: bytes) -> ExecutableHeader:
    wide = head[4:5] == b"\2"
    big = head[5:6] == b"\2"
    order = ">" if big else "<"
    kind_code, machine = struct.unpack_from(order + "HH", head, 16)
    (entry,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 24)
    abi = head[7]
    os = _ELF_ABIS.get(abi, "")
    interpreter = build_id = ""
    dynamic_linker = False
    for segment in _segments(head, order, wide, (_PT_INTERP, _PT_NOTE)):
        if segment.kind == _PT_INTERP:
            dynamic_linker = True
            interpreter = segment.content.split(b"\0")[0].decode("utf-8", "replace")
        elif segment.kind == _PT_NOTE:
            for owner, note_type, value in _notes(segment, order):
                if (owner, note_type) == _GO_NOTE:
                    build_id = build_id or value.decode("utf-8", "replace")
                if abi == 0:
                    os = _ELF_NOTES.get(owner.rstrip(b"\0") + b"\0", os)
    if os == "linux" and interpreter.endswith("/ld.so.1") and interpreter.startswith(_SUN_LINKERS):
        os = "solaris"
    kind = _ELF_KINDS.get(kind_code, "")
    if kind_code == _ET_DYN:
        kind = "executable" if dynamic_linker or entry else "shared library"
    return ExecutableHeader(
        "elf",
        os,
        _ELF_MACHINES.get(machine, {}).get((wide, big), ""),
        kind,
        static=not dynamic_linker,
        interpreter=interpreter,
        build_id=build_id or _marked_build_id(head),
    )


def _segments(head: bytes, order: str, wide: bool, kinds: tuple[int, ...]) -> Iterator[_Segment]:
    """The segments of some kinds whose program header is in the head.

    :param order: of bytes, as `struct` has it.
    :param wide: 64 bit.
    """
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)
    entry_size, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
    for start in range(table, table + count * entry_size, entry_size or 1):
        if entry_size < (56 if wide else 32) or start + entry_size > len(head):
            break
        if wide:
            (kind,) = struct.unpack_from(order + "I", head, start)
            offset, _, _, size, _, alignment = struct.unpack_from(order + "6Q", head, start + 8)
        else:
            kind, offset, _, _, size, _, _, alignment = struct.unpack_from(
                order + "8I", head, start
            )
        if kind in kinds:
            yield _Segment(kind, head[offset : offset + size], alignment)


def _notes(segment: _Segment, order: str) -> list[tuple[bytes, int, bytes]]:
    """(owner with its NUL and padding, type, value) of the notes in a PT_NOTE segment."""
    notes = []
    content = segment.content
    position = 0
    step = segment.alignment if segment.alignment in (4, 8) else 4
    while position + 12 <= len(content):
        owner_size, value_size, kind = struct.unpack_from(order + "III", content, position)
        value = position + 12 + (owner_size + 3) // 4 * 4
        end = value + value_size
        if end > len(content):
            break
        owner = content[position + 12 : position + 12 + owner_size]
        notes.append((owner.ljust((owner_size + 3) // 4 * 4, b"\0"), kind, content[value:end]))
        position = -(-end // step) * step
    return notes


def _inspect_pe(head: bytes) -> ExecutableHeader:
    (start,) = struct.unpack_from("<I", head, 0x3C)
    if head[start : start + 4] != b"PE\0\0":
        return ExecutableHeader(kind="DOS program")
    (machine,) = struct.unpack_from("<H", head, start + 4)
    (characteristics,) = struct.unpack_from("<H", head, start + 22)
    kind = "object file"
    if characteristics & _PE_DLL:
        kind = "shared library"
    elif characteristics & _PE_EXECUTABLE:
        kind = "executable"
    return ExecutableHeader(
        "pe",
        "windows",
        _PE_MACHINES.get(machine, ""),
        kind,
        static=True,
        build_id=_marked_build_id(head),
    )


def _inspect_macho(head: bytes) -> ExecutableHeader:
    big = int.from_bytes(head[:4], "big") in _MACHO_MAGICS
    order = ">" if big else "<"
    (magic,) = struct.unpack_from(order + "I", head)
    wide = _MACHO_MAGICS[magic]
    cpu, _, kind, count, _ = struct.unpack_from(order + "5I", head, 4)
    position = 32 if wide else 28
    dynamic_linker = False
    interpreter = ""
    for _ in range(count):
        if position + 12 > len(head):
            break
        command, size, name = struct.unpack_from(order + "III", head, position)
        if command == _LC_LOAD_DYLINKER:
            dynamic_linker = True
            text = head[position + name : position + size]
            interpreter = text.split(b"\0")[0].decode("utf-8", "replace")
        if size < 8:
            break
        position += size
    return ExecutableHeader(
        "mach-o",
        "darwin",
        _MACHO_CPUS.get(cpu, ""),
        _MACHO_KINDS.get(kind, ""),
        static=not dynamic_linker,
        interpreter=interpreter,
        build_id=_marked_build_id(head),
    )


_FORMATS = {"windows": "pe", "darwin": "mach-o", "ios": "mach-o", "wasip1": "wasm", "js": "wasm"}
_FORMAT_NAMES = {"elf": "ELF", "pe": "PE", "mach-o": "Mach-O", "wasm": "WebAssembly"}
# GOOS -> the GOOS whose executables look the same.
_SAME_OS = {"illumos": "solaris", "android": "linux", "js": "wasip1", "ios": "darwin"}


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "Ee" else f"a {noun}"


def _hint(header: ExecutableHeader, platform: Platform) -> str:
    """What to do about a program that was built on a Mac for the Mac itself."""
    if header.format != "mach-o" or _FORMATS.get(platform.os) == "mach-o":
        return ""
    variables = " ".join(f"{name}={value}" for name, value in platform.go_env().items())
    return f". It is one for macOS: build it for the image (a Go program with {variables})"


def executable_problem(
    header: ExecutableHeader, platform: Platform, needs_static: bool
) -> str | None:
    """Why a file cannot be the program of an image for the platform; None if it can.

    :param needs_static: True if the image has no dynamic linker (base `scratch`).
    """
    wanted_format = _FORMATS.get(platform.os, "elf")
    wanted = f"expected {_with_article(_FORMAT_NAMES[wanted_format])} executable for {platform}"
    if header.format == "unknown":
        if header.kind:
            return f"found {_with_article(header.kind)}; {wanted}"
        return f"found a file that is neither ELF, PE nor Mach-O; {wanted}"
    found = f"{_FORMAT_NAMES[header.format]} {header.kind or 'file'}"
    if header.os or header.architecture:
        found += f" for {header.os or 'unknown'}/{header.architecture or 'unknown'}"
    found = _with_article(found)
    same_os = _SAME_OS.get(platform.os, platform.os)
    if (
        header.format != wanted_format
        or (header.os and header.os != same_os)
        or header.architecture != platform.architecture
        or header.kind != "executable"
    ):
        return f"found {found}; {wanted}{_hint(header, platform)}"
    if needs_static and header.format == "elf" and not header.static:
        return (
            f"found {found} that is dynamically linked (interpreter "
            f"{header.interpreter or 'unknown'}); expected a statically linked one, as the image "
            "has no dynamic linker: build it with CGO_ENABLED=0, or choose a base image with a libc"
        )
    return None
