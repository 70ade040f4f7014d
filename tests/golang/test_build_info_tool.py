"""The build info of an executable is found in it, as `go version -m` finds it."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Sequence

import pytest
from golang.trees import find_go, go_env
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.golang import build_info_tool
from ko_pants.golang.build_info import Module, parse_build_info
from ko_pants.golang.build_info_tool import read_build_info, text_of
from ko_pants.oci.platform import Platform

LINES = (
    b"path\texample.com/app\nmod\texample.com/app\t(devel)\t\n"
    b"dep\texample.com/lib\tv1.0.0\n=>\t../lib\t(devel)\t\ndep\texample.com/x\tv1.2.3\th1:x=\n"
)
FRAMED = b"0" * 16 + LINES + b"1" * 16
TEXT = b"app: go1.17.13\n\t" + LINES[:-1].replace(b"\n", b"\n\t") + b"\n"
MAGIC = b"\xff Go buildinf:"

BASE = 0x400000
# Where the data segment of the programs that tests make lies in the file.
DATA = 0x100


def inline_info(version: bytes = b"go1.26.8", lines: bytes = FRAMED) -> bytes:
    """As Go writes it since 1.18."""

    def text(value: bytes) -> bytes:
        size, prefix = len(value), b""
        while size >= 0x80:
            prefix += bytes([size & 0x7F | 0x80])
            size >>= 7
        return prefix + bytes([size]) + value

    return MAGIC + bytes([8, 2]) + bytes(16) + text(version) + text(lines)


def pointed_info(address: int, width: int, endian: str, lines: bytes = FRAMED) -> bytes:
    """As Go before 1.18 wrote it, for the address where it begins."""
    version = b"go1.17.13"
    word = endian + ("I" if width == 4 else "Q")
    texts = address + 32 + 4 * width
    out = MAGIC + bytes([width, endian == ">"])
    out += struct.pack(word, address + 32) + struct.pack(word, address + 32 + 2 * width)
    out = out.ljust(32, b"\0")
    out += struct.pack(word, texts) + struct.pack(word, len(version))
    out += struct.pack(word, texts + len(version)) + struct.pack(word, len(lines))
    return out + version + lines


def elf(data: bytes, width: int = 8, endian: str = "<", named: bool = False) -> bytes:
    """A program with one data segment, at `BASE`.

    :param named: it is a section named `.go.buildinfo` too.
    """
    wide = width == 8
    names = b"\0.go.buildinfo\0"
    data = data.ljust(len(data) // 16 * 16 + 32, b"\0")
    names_at, table_at = DATA + len(data), DATA + len(data) + 32
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if endian == ">" else 1, 1]) + bytes(9)
    word = "Q" if wide else "I"
    machine = {"<": {True: 62, False: 3}, ">": {True: 22, False: 8}}[endian][wide]
    header = ident + struct.pack(
        f"{endian}HHI3{word}I6H",
        *(2, machine, 1, 0, 64 if wide else 52, table_at if named else 0, 0),
        *(64 if wide else 52, 56 if wide else 32, 1),
        *(64 if wide else 40, 3 if named else 0, 2 if named else 0),
    )
    if wide:
        segment = struct.pack(f"{endian}2I6Q", 1, 6, DATA, BASE, BASE, len(data), len(data), 16)
    else:
        segment = struct.pack(f"{endian}8I", 1, DATA, BASE, BASE, len(data), len(data), 6, 16)
    section = f"{endian}2I4{word}2I2{word}"
    sections = struct.pack(section, *[0] * 10)
    sections += struct.pack(section, 1, 1, 3, BASE + 16, DATA + 16, len(data) - 16, 0, 0, 16, 0)
    sections += struct.pack(section, 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    start = (header + segment).ljust(DATA, b"\0") + data
    return start + (names.ljust(32, b"\0") + sections if named else b"")


PROGRAMS = {
    "pointers, 64 bit": elf(pointed_info(BASE, 8, "<")),
    "pointers, 64 bit, big endian": elf(pointed_info(BASE, 8, ">"), 8, ">"),
    "pointers, 32 bit": elf(pointed_info(BASE, 4, "<"), 4),
    "pointers, 32 bit, big endian": elf(pointed_info(BASE, 4, ">"), 4, ">"),
    "no modules": elf(pointed_info(BASE, 8, "<", b"")),
    "inline": elf(inline_info()),
    "inline, no modules": elf(inline_info(lines=b"")),
    "the named section comes first": elf(inline_info(), named=True),
    "in the named section": elf(b"x" * 16 + inline_info(), named=True),
    "in the named section, 32 bit, big endian": elf(b"x" * 16 + inline_info(), 4, ">", named=True),
    "no version": elf(inline_info(b"")),
    "pointers of a size that is none": elf(MAGIC + bytes([5, 0]) + bytes(32)),
    "pointers to nowhere": elf(pointed_info(0x900000, 8, "<")),
    "a length beyond the end": elf(inline_info()[:60]),
    "lines without their marks": elf(inline_info(lines=b"path\tx\n")),
    "no magic": elf(b"data"),
}


WITHOUT_INFO = {
    "no version",
    "pointers of a size that is none",
    "pointers to nowhere",
    "a length beyond the end",
    "the named section comes first",
    "no magic",
}


def read_by_go(directory: Path, content: bytes) -> bytes:
    """What `go version -m app` prints."""
    (directory / "app").write_bytes(content)
    (directory / "app").chmod(0o755)
    done = subprocess.run(
        [find_go(), "version", "-m", "app"], cwd=directory, capture_output=True, check=False
    )
    return done.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_finds_what_go_finds(name: str, tmp_path: Path) -> None:
    found = text_of("app", PROGRAMS[name])
    assert bool(found) is (name not in WITHOUT_INFO)
    expected = read_by_go(tmp_path, PROGRAMS[name])
    # Go before 1.18 wrote no empty line after a replacement; `go version` prints one.
    assert [line for line in found.split(b"\n") if line.strip()] == [
        line for line in expected.split(b"\n") if line.strip()
    ]


def test_the_magic_where_it_is_not_aligned() -> None:
    """Go 1.26 looks on and adds up the place wrongly, so it finds nothing here."""
    program = elf(b"data" + MAGIC + bytes(14) + inline_info())
    assert read_build_info(program) == (b"go1.26.8", LINES)


def test_the_format_before_go_1_18() -> None:
    found = text_of("app", PROGRAMS["pointers, 64 bit"])
    assert found == TEXT
    info = parse_build_info(found.decode())
    assert info is not None
    assert info.modules == (
        Module("example.com/lib", "v1.0.0", "", Module("../lib", "(devel)")),
        Module("example.com/x", "v1.2.3", "h1:x="),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n",
        b"\x7fELF",
        b"MZ" + bytes(100),
        b"MZ" + b"\xff" * 100,
        b"\xcf\xfa\xed\xfe" + b"\xff" * 100,
        # A class file of Java begins as a universal file does.
        b"\xca\xfe\xba\xbe" + bytes(100),
        b"\xca\xfe\xba\xbe" + b"\xff" * 100,
        MAGIC * 100,
    ],
)
def test_what_is_no_executable_of_go(content: bytes) -> None:
    assert read_build_info(content) is None


# The program has the magic in its data, for it can read build info itself.
MAIN = """package main

import (
\t"debug/buildinfo"
\t"os"

\t"example.com/lib"
)

func main() {
\tinfo, err := buildinfo.ReadFile(os.Args[1])
\tprintln(info, err, lib.X)
}
"""
FILES = {
    "src/go.mod": "module example.com/app\ngo 1.21\nrequire example.com/lib v1.0.0\n"
    "replace example.com/lib => ../lib\n",
    "src/main.go": MAIN,
    "lib/go.mod": "module example.com/lib\ngo 1.21\n",
    "lib/lib.go": "package lib\n\nconst X = 1\n",
}


def build(root: Path, platform: str, flags: Sequence[str] = ()) -> bytes:
    """A program of two modules."""
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    subprocess.run(
        [find_go(), "build", *flags, "-o", "../out", "."],
        cwd=root / "src",
        env=go_env(Platform.parse(platform)),
        check=True,
    )
    return (root / "out").read_bytes()


@pytest.mark.parametrize(
    ("platform", "flags"),
    [
        ("linux/amd64", ()),
        ("linux/amd64", ("-buildmode=pie", "-trimpath", "-ldflags=-s -w")),
        ("linux/arm/v7", ()),
        ("linux/s390x", ()),
        ("windows/386", ()),
        ("windows/amd64", ("-ldflags=-s -w",)),
        ("darwin/arm64", ()),
    ],
)
def test_executables_of_go(platform: str, flags: Sequence[str], tmp_path: Path) -> None:
    content = build(tmp_path, platform, flags)
    expected = read_by_go(tmp_path, content)
    assert b"\n\tdep\texample.com/lib\tv1.0.0\n\t=>\t../lib\t(devel)\t\n" in expected
    assert text_of("app", content) == expected
    if platform == "darwin/arm64":
        start = struct.pack(">7I", 0xCAFEBABE, 1, 0x0100000C, 0, 0x4000, len(content), 14)
        universal = start.ljust(0x4000, b"\0") + content
        assert text_of("app", universal) == expected == read_by_go(tmp_path, universal)


def test_the_process(tmp_path: Path) -> None:
    """As it runs in a sandbox: with nothing but the standard library."""
    (tmp_path / "app").write_bytes(PROGRAMS["pointers, 64 bit"])
    (tmp_path / "empty").write_bytes(b"")
    for name, expected in (("app", TEXT), ("empty", b"")):
        done = subprocess.run(
            [sys.executable, "-I", "-S", build_info_tool.__file__, name],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        assert done.stdout == expected


_CONTENTS = sorted(PROGRAMS.values())


@given(
    st.sampled_from(_CONTENTS),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=20),
    st.integers(0, 2000),
)
def test_damaged_files_raise_nothing(
    content: bytes, changes: list[tuple[int, int]], size: int
) -> None:
    damaged = bytearray(content)
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    read_build_info(bytes(damaged))
    read_build_info(bytes(damaged[:size]))


@given(
    st.sampled_from(
        [b"MZ", b"\x7fELF\1\1", b"\x7fELF\2\2", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce"]
    ),
    st.binary(max_size=400),
)
def test_no_file_raises(start: bytes, rest: bytes) -> None:
    read_build_info(start + rest)
