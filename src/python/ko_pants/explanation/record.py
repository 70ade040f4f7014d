"""What one image was made from, and what came of it, as a publish leaves it behind.

A record is flat: one `Input` for each file, flag, variable, field and so on. Two records are
compared entry by entry (`changes.py`). How one is kept on disk is in `documents.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Iterable

#: The kinds of inputs, in the order in which changes are listed.
PLATFORM = "platform"
PROGRAM = "program"
FILES = "layer of files"
GO_VERSION = "Go version"
BASE_IMAGE = "base image"
COMPRESSOR = "compressor"
OPTION = "option"
PLUGIN = "ko_pants version"
ENVIRONMENT_VARIABLE = "environment variable"
FIELD = "field"
FLAG = "flag"
MODULE = "module"
SOURCE_FILE = "source file"
EMBEDDED_FILE = "embedded file"
KODATA_FILE = "kodata file"
LAYER_FILE = "file of oci_files"
KINDS = (
    *(PLATFORM, PROGRAM, FILES, GO_VERSION, BASE_IMAGE, COMPRESSOR, OPTION, PLUGIN),
    *(ENVIRONMENT_VARIABLE, FIELD, FLAG, MODULE),
    *(SOURCE_FILE, EMBEDDED_FILE, KODATA_FILE, LAYER_FILE),
)
#: Those that are files: their name is a path, their value a digest.
FILE_KINDS = (SOURCE_FILE, EMBEDDED_FILE, KODATA_FILE, LAYER_FILE)

#: What an input goes into: a program, a layer of files, all added layers, the config, the image.
TO_PROGRAM = "program"
TO_FILES = "files"
TO_LAYERS = "layers"
TO_CONFIG = "config"
TO_BASE = "base"
TO_IMAGE = "image"
PARTS = (TO_PROGRAM, TO_FILES, TO_LAYERS, TO_CONFIG, TO_BASE, TO_IMAGE)

#: The name of the `FLAG` that stands for all flags as they are given. It differs with each of them;
#: it is said where nothing else differs.
ALL_FLAGS = "order or quotes of the flags"
#: The value of a `PROGRAM` that is compiled, and of one that is a file.
COMPILED = "compiled"
PREBUILT = "prebuilt"

_HIDDEN = "hidden:"


def hidden(name: str, value: str) -> str:
    """What stands for a value that may be secret: equal for equal values, and nothing else.

    :param name: of the flag or variable. Equal values of two names look different.
    """
    text = f"{name}\0{value}".encode("utf-8", "surrogateescape")
    return _HIDDEN + hashlib.sha256(text).hexdigest()[:16]


def is_hidden(value: str) -> bool:
    """True for what `hidden()` makes."""
    return value.startswith(_HIDDEN)


@dataclass(frozen=True, order=True)
class Input:
    """One thing that an image was made from.

    :param part: what it goes into, one of `PARTS`.
    :param of: which program (its import path or file) or layer of files (`kodata`, an address).
        Empty where there is but one.
    :param platform: the platform that has it; empty for all of them.
    :param kind: one of `KINDS`.
    :param name: a path of the repository, a flag, a variable, a field, the path of a module.
    :param value: a short text, the digest of a file, or what `hidden()` makes.
    """

    part: str
    of: str
    platform: str
    kind: str
    name: str
    value: str

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """All but the value: what is compared between two records."""
        return self.part, self.of, self.platform, self.kind, self.name


@dataclass(frozen=True)
class PlatformResult:
    """What came of one platform.

    :param digest: of its manifest.
    :param executables: program -> digest of the executable, as pairs.
    :param layers: name of an added layer (`kodata`, an address, a program) -> digest of its blob.
    """

    platform: str
    digest: str
    executables: tuple[tuple[str, str], ...] = ()
    layers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Deeds:
    """What the publish did that left the record.

    :param compiles: (program, platform, source) of each executable: `ran`, `local cache`,
        `remote cache`, or `memoized` where nobody asked.
    :param layers: digest -> `reused`, `mounted`, `uploaded` or `written`, as pairs.
    :param images: destination -> outcome such as `pushed` or `up to date`, as pairs.
    """

    compiles: tuple[tuple[str, str, str], ...] = ()
    layers: tuple[tuple[str, str], ...] = ()
    images: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ImageRecord:
    """What one image was made from.

    :param address: of its target.
    :param inputs: sorted; each `Input.key` once. `record_of()` makes them so.
    :param digest: of the image; empty where it was not built.
    :param results: empty where it was not built.
    :param time: of the publish, in seconds since the epoch; 0 if there was none.
    """

    address: str
    inputs: tuple[Input, ...]
    digest: str = ""
    results: tuple[PlatformResult, ...] = ()
    deeds: Deeds = Deeds()
    time: int = 0

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms, in the order of the image if it was built."""
        if self.results:
            return tuple(result.platform for result in self.results)
        return tuple(found.name for found in self.inputs if found.kind == PLATFORM)

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the programs, sorted."""
        return tuple(found.name for found in self.inputs if found.kind == PROGRAM)


def sorted_inputs(inputs: Iterable[Input]) -> tuple[Input, ...]:
    """Inputs as a record has them: sorted, and of several with one key the last."""
    return tuple(sorted({found.key: found for found in inputs}.values()))
