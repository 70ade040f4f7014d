"""Executables and blobs that the tests of layers write."""

from __future__ import annotations

import os
import random
from pathlib import Path

from ko_pants.layers.blob import WrittenBlob, write_blob
from ko_pants.layers.contents import executable_entries
from ko_pants.layers.encoders import EncoderSettings, encoder
from ko_pants.layers.encodings import encoding_of
from ko_pants.layers.tar import TarEntry


def compressible(size: int, seed: int = 1) -> bytes:
    """Bytes that compress about as well as an executable, and differ everywhere."""
    dice = random.Random(seed)
    noise = dice.getrandbits(8 * 40_000).to_bytes(40_000, "big")
    out = bytearray()
    while len(out) < size:
        start = dice.randrange(39_000)
        out += noise[start : start + dice.randrange(10, 900)] + bytes(dice.randrange(30))
    return bytes(out[:size])


def incompressible(size: int, seed: int = 2) -> bytes:
    """Random bytes."""
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big")


def executable(directory: Path, content: bytes) -> list[TarEntry]:
    """The entries of an executable layer: 2560 bytes of tar, beside the content and its padding."""
    path = directory / "executable"
    path.write_bytes(content)
    return list(executable_entries(os.fsencode(path), os_name="linux", app_name="app"))


def write_encoded(
    entries: list[TarEntry], encoding: str, level: int, output: Path, *, workers: int = 0
) -> WrittenBlob:
    """Write the blob as the layer tool does."""
    settings = EncoderSettings(level, encoding_of(encoding).chunk_bytes, workers)
    return write_blob(entries, encoder(encoding, settings), str(output))
