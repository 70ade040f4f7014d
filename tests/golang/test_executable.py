"""What the head of an executable says, and whether an image can have it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from golang.trees import find_go, go_env, write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from ko_pants.golang.executable import (
    HEAD_SIZE_BYTES,
    PRINTED_HEAD_SIZE_BYTES,
    ExecutableHeader,
    executable_problem,
    inspect_executable,
)
from ko_pants.oci.platform import Platform

LINUX = Platform("linux", "amd64")
BUILD_ID = "q8ub_4tt/iq2WbU/xWJzNW/3fFsd9Ah"


def elf(
    machine: int,
    *,
    wide: bool = True,
    big: bool = False,
    abi: int = 0,
    kind: int = 2,
    entry: int = 0x1000,
    interpreter: str = "",
    notes: tuple[tuple[bytes, int, bytes], ...] = (),
) -> bytes:
    """An ELF file of headers, an interpreter's path and notes only."""
    order = ">" if big else "<"
    segments = []
    if interpreter:
        segments.append((3, interpreter.encode() + b"\0"))
    if notes:
        data = b""
        for owner, note_type, value in notes:
            data += struct.pack(order + "III", len(owner), len(value), note_type)
            data += owner.ljust(-(-len(owner) // 4) * 4, b"\0")
            data += value.ljust(-(-len(value) // 4) * 4, b"\0")
        segments.append((4, data))
    header_size, entry_size = (64, 56) if wide else (52, 32)
    offset = header_size + entry_size * len(segments)
    table = body = b""
    for segment, data in segments:
        if wide:
            table += struct.pack(order + "II6Q", segment, 4, offset, 0, 0, len(data), 0, 4)
        else:
            table += struct.pack(order + "8I", segment, offset, 0, 0, len(data), 0, 4, 4)
        body += data
        offset += len(data)
    head = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1, abi]) + bytes(8)
    head += struct.pack(order + "HHI", kind, machine, 1)
    head += struct.pack(order + ("QQQ" if wide else "III"), entry, header_size, 0)
    head += struct.pack(order + "I6H", 0, header_size, entry_size, len(segments), 0, 0, 0)
    return head + table + body


GO_NOTE = (b"Go\0\0", 4, BUILD_ID.encode())
GNU_NOTE = (b"GNU\0", 3, b"\1\2\3\4\5")


@pytest.mark.parametrize(
    ("head", "os", "architecture"),
    [
        (elf(62), "linux", "amd64"),
        (elf(62, wide=False), "linux", "amd64p32"),
        (elf(62, big=True), "linux", ""),
        (elf(3), "linux", ""),
        (elf(8, wide=False), "linux", "mipsle"),
        (elf(8, big=True), "linux", "mips64"),
        (elf(20, wide=False, big=True), "linux", "ppc"),
        (elf(22, wide=False, big=True), "linux", "s390"),
        (elf(40, wide=False, big=True), "linux", "armbe"),
        (elf(43, big=True), "linux", "sparc64"),
        (elf(183, big=True), "linux", "arm64be"),
        (elf(243, wide=False), "linux", "riscv"),
        (elf(62, abi=2), "netbsd", "amd64"),
        (elf(62, abi=3), "linux", "amd64"),
        (elf(62, abi=6), "solaris", "amd64"),
        (elf(62, abi=12), "openbsd", "amd64"),
        (elf(62, abi=99), "", "amd64"),
        (elf(62, notes=((b"OpenBSD\0", 1, b"1234"),)), "openbsd", "amd64"),
        (elf(62, notes=((b"FreeBSD\0", 1, b"1234"),)), "freebsd", "amd64"),
        (elf(62, notes=((b"Other\0", 1, b"1234"),)), "linux", "amd64"),
        # The ABI says more than a note.
        (elf(62, abi=9, notes=((b"NetBSD\0", 1, b"1234"),)), "freebsd", "amd64"),
        (elf(62, interpreter="/usr/lib/amd64/ld.so.1"), "solaris", "amd64"),
        (elf(62, interpreter="/lib/ld.so.1"), "linux", "amd64"),
        (elf(62, interpreter="/lib/amd64/ld.so.2"), "linux", "amd64"),
        (elf(62, abi=9, interpreter="/lib/amd64/ld.so.1"), "freebsd", "amd64"),
        (elf(3, wide=False), "linux", "386"),
        (elf(40, wide=False), "linux", "arm"),
        (elf(183), "linux", "arm64"),
        (elf(21), "linux", "ppc64le"),
        (elf(21, big=True), "linux", "ppc64"),
        (elf(22, big=True), "linux", "s390x"),
        (elf(8), "linux", "mips64le"),
        (elf(8, wide=False, big=True), "linux", "mips"),
        (elf(243), "linux", "riscv64"),
        (elf(258), "linux", "loong64"),
        (elf(62, abi=9), "freebsd", "amd64"),
        (elf(62, notes=((b"NetBSD\0", 1, b"1234"),)), "netbsd", "amd64"),
        (elf(62, interpreter="/lib/amd64/ld.so.1"), "solaris", "amd64"),
        (elf(9999), "linux", ""),
    ],
)
def test_elf_platforms(head: bytes, os: str, architecture: str) -> None:
    header = inspect_executable(head)
    assert (header.format, header.os, header.architecture) == ("elf", os, architecture)


def test_elf_linking() -> None:
    assert inspect_executable(elf(62)).static
    dynamic = inspect_executable(elf(62, kind=3, interpreter="/lib/ld.so"))
    assert (dynamic.kind, dynamic.static, dynamic.interpreter) == (
        "executable",
        False,
        "/lib/ld.so",
    )
    static_pie = inspect_executable(elf(62, kind=3))
    assert (static_pie.kind, static_pie.static) == ("executable", True)
    assert inspect_executable(elf(62, kind=3, entry=0)).kind == "shared library"
    assert inspect_executable(elf(62, kind=3, entry=0, interpreter="/l")).kind == "executable"
    assert inspect_executable(elf(62, kind=1)).kind == "object file"
    assert inspect_executable(elf(62, kind=4)).kind == "core dump"
    assert inspect_executable(elf(62, kind=2)).kind == "executable"
    assert inspect_executable(elf(62, kind=9)).kind == ""
    # An entry point beyond 4 GiB is one.
    assert inspect_executable(elf(62, kind=3, entry=1 << 40)).kind == "executable"
    for wide, big in ((True, True), (False, True), (False, False)):
        header = inspect_executable(elf(62, wide=wide, big=big, kind=3, interpreter="/lib/ld.so"))
        assert (header.kind, header.static, header.interpreter) == (
            *("executable", False, "/lib/ld.so"),
        )
        assert inspect_executable(elf(62, wide=wide, big=big, kind=3)).static
        assert inspect_executable(elf(62, wide=wide, kind=3, entry=0)).kind == "shared library"


def test_an_interpreter_that_is_not_utf_8() -> None:
    head = elf(62, interpreter="/lib/X").replace(b"/lib/X", b"/lib/\xff")
    assert inspect_executable(head).interpreter == "/lib/\ufffd"


def test_all_segments_and_all_notes_are_read() -> None:
    odd = (b"Odd\0\0\0\0\0", 4, b"12345")
    wrong_type = (b"Go\0\0", 5, b"no")
    second = (b"Go\0\0", 4, b"second")
    head = elf(62, interpreter="/lib/ld.so", notes=(odd, wrong_type, GO_NOTE, second))
    header = inspect_executable(head)
    assert (header.interpreter, header.build_id) == ("/lib/ld.so", BUILD_ID)
    bad = inspect_executable(elf(62, notes=((b"Go\0\0", 4, b"\xff"),)))
    assert bad.build_id == "\ufffd"


@pytest.mark.parametrize(("alignment", "step"), [(4, 4), (8, 8), (1, 4), (0, 4), (16, 4)])
def test_notes_are_aligned_as_their_segment_says(alignment: int, step: int) -> None:
    first = struct.pack("<III", 4, 5, 3) + b"GNU\0" + b"12345"
    first = first.ljust(-(-len(first) // step) * step, b"\0")
    notes = first + struct.pack("<III", 4, 2, 4) + b"Go\0\0" + b"id"
    head = elf(62, notes=((b"Go\0\0", 1, b"x" * 64),))
    start = 64 + 56
    segment = struct.pack("<II6Q", 4, 4, start, 0, 0, len(notes), 0, alignment)
    assert inspect_executable(head[:64] + segment + notes).build_id == "id"
    # A note that ends beyond its segment is none.
    segment = struct.pack("<II6Q", 4, 4, start, 0, 0, len(notes) - 1, 0, alignment)
    assert inspect_executable(head[:64] + segment + notes).build_id == ""


def test_a_note_of_nothing_is_one() -> None:
    notes = struct.pack("<III", 0, 0, 9) + struct.pack("<III", 4, 0, 4) + b"Go\0\0"
    head = elf(62, notes=((b"Go\0\0", 1, b"x" * 64),))
    segment = struct.pack("<II6Q", 4, 4, 120, 0, 0, len(notes), 0, 4)
    marker = b'\xff Go build ID: "other"\n \xff'
    assert inspect_executable(head[:64] + segment + notes + marker).build_id == "other"


def test_program_headers_that_are_too_small_or_cut_off() -> None:
    head = elf(62, interpreter="/lib/ld.so")
    for size in (0, 55):
        small = head[:54] + struct.pack("<H", size) + head[56:]
        assert inspect_executable(small).static
    assert inspect_executable(head[:119]).static
    assert not inspect_executable(head[:120]).static
    narrow = elf(62, wide=False, interpreter="/lib/ld.so")
    assert inspect_executable(narrow[:42] + struct.pack("<H", 31) + narrow[44:]).static
    assert inspect_executable(narrow[:83]).static
    assert not inspect_executable(narrow[:84]).static


def test_only_the_head_counts() -> None:
    marker = b'\xff Go build ID: "id"\n \xff'
    fits = elf(62).ljust(32 * 1024 - len(marker), b"\0") + marker
    assert inspect_executable(fits).build_id == "id"
    assert inspect_executable(b"\0" + fits).format == "unknown"
    cut = elf(62).ljust(32 * 1024 - len(marker) + 1, b"\0") + marker
    assert inspect_executable(cut).build_id == ""


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("big", [True, False])
def test_elf_build_id(wide: bool, big: bool) -> None:
    head = elf(62, wide=wide, big=big, notes=(GNU_NOTE, GO_NOTE))
    assert inspect_executable(head).build_id == BUILD_ID
    assert inspect_executable(elf(62, wide=wide, big=big, notes=(GNU_NOTE,))).build_id == ""


def test_build_id_in_the_text() -> None:
    marker = b'\xff Go build ID: "' + BUILD_ID.encode() + b'"\n \xff'
    assert inspect_executable(b"MZ".ljust(64, b"\0") + marker).build_id == ""
    pe = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    pe += b"PE\0\0" + struct.pack("<HH12xHH", 0x8664, 1, 0, 0x22) + marker
    header = inspect_executable(pe)
    assert (header.format, header.os, header.architecture) == ("pe", "windows", "amd64")
    assert (header.kind, header.build_id) == ("executable", BUILD_ID)
    assert inspect_executable(elf(62) + marker).build_id == BUILD_ID


def test_escapes_in_a_build_id() -> None:
    for text, build_id in ((b"a\\x62", "ab"), (b"a\\q", ""), (b"\xff", "\ufffd"), (b"", "")):
        marker = b'\xff Go build ID: "' + text + b'"\n \xff'
        assert inspect_executable(elf(62) + marker).build_id == build_id


def pe(machine: int = 0x8664, characteristics: int = 0x22, start: int = 64) -> bytes:
    """A PE file of headers only."""
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", start)
    head = head.ljust(start, b"\0") + b"PE\0\0"
    return head + struct.pack("<HH12xHH", machine, 1, 0, characteristics)


@pytest.mark.parametrize(
    ("head", "architecture", "kind"),
    [
        (pe(), "amd64", "executable"),
        (pe(0x14C), "386", "executable"),
        (pe(0x1C4), "arm", "executable"),
        (pe(0xAA64), "arm64", "executable"),
        (pe(0x1234), "", "executable"),
        (pe(start=128), "amd64", "executable"),
        (pe(characteristics=0x2022), "amd64", "shared library"),
        (pe(characteristics=0x20), "amd64", "object file"),
    ],
)
def test_pe(head: bytes, architecture: str, kind: str) -> None:
    assert inspect_executable(head) == ExecutableHeader("pe", "windows", architecture, kind, True)


def test_what_begins_as_pe_and_is_none() -> None:
    assert inspect_executable(pe().replace(b"PE", b"NE")) == ExecutableHeader(kind="DOS program")
    assert inspect_executable(pe()[:80]) == ExecutableHeader()
    assert inspect_executable(b"MZ") == ExecutableHeader()


def mach_o(
    order: str, cpu: int, kind: int, *commands: bytes, wide: bool = True, magic: int = 0
) -> bytes:
    """A Mach-O file of headers only."""
    magic = magic or (0xFEEDFACF if wide else 0xFEEDFACE)
    fields = (magic, cpu, 0, kind, len(commands), sum(map(len, commands)), 0)
    return struct.pack(order + "7I", *fields) + (bytes(4) if wide else b"") + b"".join(commands)


LINKER = struct.pack("<III", 0xE, 28, 12) + b"/usr/lib/dyld".ljust(16, b"\0")
OTHER = struct.pack("<III", 0x19, 16, 12) + bytes(4)


@pytest.mark.parametrize(
    ("head", "architecture", "kind", "static"),
    [
        (mach_o("<", 0x01000007, 2), "amd64", "executable", True),
        (mach_o("<", 7, 2, wide=False), "386", "executable", True),
        (mach_o("<", 12, 2, wide=False), "arm", "executable", True),
        (mach_o(">", 18, 2, wide=False), "ppc", "executable", True),
        (mach_o(">", 0x01000012, 2), "ppc64", "executable", True),
        (mach_o("<", 99, 2), "", "executable", True),
        (mach_o("<", 0x0100000C, 1), "arm64", "object file", True),
        (mach_o("<", 0x0100000C, 6), "arm64", "shared library", True),
        (mach_o("<", 0x0100000C, 8), "arm64", "bundle", True),
        (mach_o("<", 0x0100000C, 9), "arm64", "", True),
        (mach_o("<", 0x0100000C, 2, OTHER, LINKER), "arm64", "executable", False),
        (mach_o("<", 7, 2, OTHER, LINKER, wide=False), "386", "executable", False),
        # The least size of a command.
        (mach_o("<", 12, 2, struct.pack("<II", 1, 8), LINKER), "arm", "executable", False),
        # A command that is no command ends them.
        (mach_o("<", 7, 2, struct.pack("<III", 1, 7, 0), LINKER), "386", "executable", True),
    ],
)
def test_mach_o(head: bytes, architecture: str, kind: str, static: bool) -> None:
    marker = b'\xff Go build ID: "id"\n \xff'
    assert inspect_executable(head + marker) == ExecutableHeader(
        *("mach-o", "darwin", architecture, kind, static),
        interpreter="" if static else "/usr/lib/dyld",
        build_id="id",
    )


def test_mach_o_that_is_cut_off() -> None:
    head = mach_o("<", 0x0100000C, 2, LINKER)
    assert not inspect_executable(head[:44]).static
    assert inspect_executable(head[:43]).static
    assert inspect_executable(head[:20]) == ExecutableHeader()


def test_universal_files() -> None:
    universal = ExecutableHeader("mach-o", "darwin", kind="universal file")
    for count in (1, 19):
        assert inspect_executable(struct.pack(">II", 0xCAFEBABE, count)) == universal
    # Java's class files begin with the same number.
    for version in (0, 20, 52):
        head = struct.pack(">II", 0xCAFEBABE, version)
        assert inspect_executable(head) == ExecutableHeader()


def test_numbers_that_begin_no_executable() -> None:
    assert inspect_executable(struct.pack(">II", 0xCAFEBABF, 2)) == ExecutableHeader()
    assert inspect_executable(struct.pack(">II", 0xCAFEBABE, 0x01000002)) == ExecutableHeader()


def test_wasm() -> None:
    marker = b'\xff Go build ID: "id"\n \xff'
    assert inspect_executable(b"\0asm\1\0\0\0" + marker) == ExecutableHeader(
        "wasm", "wasip1", "wasm", "executable", True, "", "id"
    )


def test_other_files() -> None:
    assert inspect_executable(b"#!/bin/sh") == ExecutableHeader(kind="script")
    assert inspect_executable(b"") == ExecutableHeader(kind="empty file")
    marker = b'\xff Go build ID: "id"\n \xff'
    assert inspect_executable(b"text" + marker) == ExecutableHeader(build_id="id")


def test_mach_o_with_a_dynamic_linker() -> None:
    command = struct.pack("<III", 0xE, 28, 12) + b"/usr/lib/dyld".ljust(16, b"\0")
    head = struct.pack("<8I", 0xFEEDFACF, 0x0100000C, 0, 2, 1, 28, 0, 0) + command
    assert inspect_executable(head) == ExecutableHeader(
        "mach-o", "darwin", "arm64", "executable", False, "/usr/lib/dyld", ""
    )
    assert executable_problem(inspect_executable(head), Platform("darwin", "arm64"), True) is None


HEADER = ExecutableHeader("elf", "linux", "amd64", "executable", True)
DYNAMIC = ExecutableHeader("elf", "linux", "amd64", "executable", False, "/lib64/ld.so")


@pytest.mark.parametrize(
    ("header", "platform", "needs_static", "texts"),
    [
        (HEADER, LINUX, True, []),
        (DYNAMIC, LINUX, False, []),
        (DYNAMIC, LINUX, True, ["dynamically linked (interpreter /lib64/ld.so)", "CGO_ENABLED=0"]),
        (
            HEADER,
            Platform("linux", "arm64"),
            False,
            ["for linux/amd64", "expected an ELF", "arm64"],
        ),
        (HEADER, Platform("windows", "amd64"), False, ["found an ELF", "expected a PE"]),
        (HEADER, Platform("freebsd", "amd64"), False, ["found an ELF executable for linux/amd64"]),
        (
            ExecutableHeader("elf", "linux", "amd64", "shared library", True),
            LINUX,
            False,
            ["found an ELF shared library"],
        ),
        (ExecutableHeader("mach-o", "darwin", kind="universal file"), LINUX, False, ["universal"]),
        (
            ExecutableHeader("mach-o", "darwin", "arm64", "executable"),
            LINUX,
            False,
            ["found a Mach-O executable for darwin/arm64", "GOOS=linux GOARCH=amd64"],
        ),
        (inspect_executable(b"#!/bin/sh\n"), LINUX, False, ["found a script"]),
        (inspect_executable(b""), LINUX, False, ["found an empty file"]),
        (inspect_executable(b"hello"), LINUX, False, ["neither ELF, PE nor Mach-O"]),
        (inspect_executable(elf(62)[:30]), LINUX, False, ["neither ELF, PE nor Mach-O"]),
        (
            ExecutableHeader("elf", "solaris", "amd64", "executable"),
            Platform("illumos", "amd64"),
            False,
            [],
        ),
    ],
)
def test_problems(
    header: ExecutableHeader, platform: Platform, needs_static: bool, texts: list[str]
) -> None:
    problem = executable_problem(header, platform, needs_static)
    assert (problem is None) == (not texts)
    for text in texts:
        assert text in (problem or "")


@pytest.mark.parametrize(
    ("header", "platform", "needs_static", "text"),
    [
        (
            ExecutableHeader("elf", "linux", "amd64", "executable", False),
            "linux/amd64",
            True,
            "found an ELF executable for linux/amd64 that is dynamically linked (interpreter "
            "unknown); expected a statically linked one, as the image has no dynamic linker: build "
            "it with CGO_ENABLED=0, or choose a base image with a libc",
        ),
        (
            ExecutableHeader("elf", "", "", ""),
            "linux/amd64",
            False,
            "found an ELF file; expected an ELF executable for linux/amd64",
        ),
        (
            ExecutableHeader("elf", "", "arm64", "executable"),
            "linux/amd64",
            False,
            "found an ELF executable for unknown/arm64; expected an ELF executable for linux/amd64",
        ),
        (
            ExecutableHeader("pe", "windows", "", "executable"),
            "darwin/arm64",
            False,
            "found a PE executable for windows/unknown; expected a Mach-O executable for "
            "darwin/arm64",
        ),
        (
            ExecutableHeader("wasm", "wasip1", "wasm", "executable"),
            "linux/amd64",
            False,
            "found a WebAssembly executable for wasip1/wasm; expected an ELF executable for "
            "linux/amd64",
        ),
        (
            ExecutableHeader("elf", "linux", "amd64", "object file"),
            "windows/amd64",
            False,
            "found an ELF object file for linux/amd64; expected a PE executable for windows/amd64",
        ),
        (
            ExecutableHeader("elf", "", "amd64", "executable"),
            "windows/amd64",
            False,
            "found an ELF executable for unknown/amd64; expected a PE executable for windows/amd64",
        ),
        (
            ExecutableHeader(kind="script"),
            "linux/amd64",
            False,
            "found a script; expected an ELF executable for linux/amd64",
        ),
        (
            ExecutableHeader(kind="empty file"),
            "linux/amd64",
            False,
            "found an empty file; expected an ELF executable for linux/amd64",
        ),
        (
            ExecutableHeader(),
            "linux/amd64",
            False,
            "found a file that is neither ELF, PE nor Mach-O; expected an ELF executable for "
            "linux/amd64",
        ),
    ],
)
def test_whole_messages(
    header: ExecutableHeader, platform: str, needs_static: bool, text: str
) -> None:
    assert executable_problem(header, Platform.parse(platform), needs_static) == text


@pytest.mark.parametrize(
    ("header", "platform"),
    [
        (ExecutableHeader("elf", "linux", "arm64", "executable"), Platform("android", "arm64")),
        (ExecutableHeader("mach-o", "darwin", "arm64", "executable"), Platform("ios", "arm64")),
        (ExecutableHeader("wasm", "wasip1", "wasm", "executable"), Platform("js", "wasm")),
        (ExecutableHeader("wasm", "wasip1", "wasm", "executable"), Platform("wasip1", "wasm")),
        (ExecutableHeader("elf", "", "amd64", "executable"), LINUX),
        # Only ELF files name a linker that has to be in the image.
        (ExecutableHeader("mach-o", "darwin", "arm64", "executable"), Platform("darwin", "arm64")),
        (ExecutableHeader("pe", "windows", "amd64", "executable"), Platform("windows", "amd64")),
    ],
)
def test_what_an_image_can_have(header: ExecutableHeader, platform: Platform) -> None:
    assert executable_problem(header, platform, needs_static=header.format != "elf") is None


MAGICS = st.sampled_from(
    [
        b"\x7fELF\2\1\1",
        b"\x7fELF\1\2\1",
        b"MZ",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        b"\0asm",
        b"",
    ]
)


@settings(max_examples=300)
@given(MAGICS, st.binary(max_size=300), st.sampled_from([LINUX, Platform("darwin", "arm64")]))
def test_no_bytes_make_it_raise(magic: bytes, rest: bytes, platform: Platform) -> None:
    executable_problem(inspect_executable(magic + rest), platform, True)


@given(st.data())
def test_no_damage_makes_it_raise(data: st.DataObject) -> None:
    head = bytearray(elf(62, interpreter="/lib/ld.so", notes=(GNU_NOTE, GO_NOTE)))
    for _ in range(data.draw(st.integers(1, 5))):
        head[data.draw(st.integers(4, len(head) - 1))] = data.draw(st.integers(0, 255))
    inspect_executable(bytes(head))


def test_an_interpreter_that_is_linked_to_the_c_library() -> None:
    head = Path(sys.executable).resolve().read_bytes()[:HEAD_SIZE_BYTES]
    if not head.startswith(b"\x7fELF"):
        pytest.skip("this Python is no ELF executable")
    header = inspect_executable(head)
    if header.static:
        pytest.skip("this Python is statically linked")
    assert header.kind == "executable"
    assert "ld" in header.interpreter
    assert header.build_id == ""


@pytest.mark.parametrize(
    "platform", ["linux/amd64", "linux/s390x", "windows/amd64", "darwin/arm64"]
)
def test_build_ids_are_what_go_says(platform: str, tmp_path: Path) -> None:
    go = find_go()
    write_tree(
        tmp_path, {"go.mod": "module m\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() {}\n"}
    )
    wanted = Platform.parse(platform)
    for flags in (["-o", "plain"], ["-ldflags=-buildid=", "-o", "without"]):
        command = [go, "build", "-trimpath", "-buildvcs=false", *flags, "."]
        subprocess.run(command, cwd=tmp_path, env=go_env(wanted), check=True)
        path = tmp_path / flags[-1]
        said = subprocess.run(
            [go, "tool", "buildid", str(path)],
            capture_output=True,
            text=True,
            env=go_env(Platform("linux", "amd64")),
        )
        if said.returncode:
            pytest.skip(f"`go tool buildid` does not run here: {said.stderr.strip()}")
        header = inspect_executable(path.read_bytes()[:HEAD_SIZE_BYTES])
        assert header == inspect_executable(path.read_bytes()[:PRINTED_HEAD_SIZE_BYTES])
        assert header.build_id == said.stdout.strip()
        assert (header.os, header.architecture) == (wanted.os, wanted.architecture)
        assert executable_problem(header, wanted, needs_static=True) is None
        assert bool(header.build_id) is (flags[-1] == "plain")
