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
    assert inspect_executable(elf(62, kind=1)).kind == "object file"


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
        assert header.build_id == said.stdout.strip()
        assert (header.os, header.architecture) == (wanted.os, wanted.architecture)
        assert executable_problem(header, wanted, needs_static=True) is None
        assert bool(header.build_id) is (flags[-1] == "plain")
