"""The table of layer encodings: names, media types, levels, chunk sizes and compressor packages.

This is what the plugin knows of an encoding. How the bytes are encoded is in `encoders.py`, which
runs in the layer process.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types

_MEBIBYTE_BYTES = 1 << 20


@dataclass(frozen=True)
class Encoding:
    """One way to encode a layer blob.

    :param name: as options and KOCACHE spell it.
    :param media_type: of the layer, in the OCI family. Encodings may share one: an eStargz blob is
        also a gzip blob.
    :param chunk_bytes: bytes of tar that become one gzip member or one zstd frame. They decide the
        bytes of the blob.
    :param levels: the compression levels, as the package counts them.
    :param package: the Python distribution and import package that compresses; empty for none.
    :param in_tar: the tar has something that depends on the compressor. So its diffID does too.
    :param modules: the modules of the package that the layer process needs: source files, and
        extension modules without their suffix.
    """

    name: str
    media_type: str
    chunk_bytes: int
    default_level: int
    levels: range
    package: str = ""
    modules: tuple[str, ...] = ()
    in_tar: bool = False


#: Every encoding by name. Of encodings with the same media type the plain one comes first.
ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        Encoding(
            name="gzip",
            media_type=media_types.OCI_LAYER_GZIP,
            # Costs 0.05 % of the compression ratio, compared with one member per layer.
            chunk_bytes=1 * _MEBIBYTE_BYTES,
            default_level=1,
            levels=range(1, 13),
            package="deflate",
            modules=("__init__.py", "_deflate"),
        ),
        Encoding(
            name="zstd",
            media_type=media_types.OCI_LAYER_ZSTD,
            # zstd looks further back than gzip: this costs 0.6 % at level 3, and 1 MiB more.
            chunk_bytes=2 * _MEBIBYTE_BYTES,
            default_level=3,
            levels=range(1, 23),
            package="zstandard",
            modules=("__init__.py", "backend_c"),
        ),
        Encoding(
            name="none",
            media_type=media_types.OCI_LAYER_TAR,
            chunk_bytes=1 * _MEBIBYTE_BYTES,
            default_level=0,
            levels=range(1),
        ),
        Encoding(
            name="estargz",
            media_type=media_types.OCI_LAYER_GZIP,
            # That of stargz-snapshotter's own tools. It is what a runtime fetches at least.
            chunk_bytes=4 * _MEBIBYTE_BYTES,
            default_level=1,
            levels=range(1, 13),
            package="deflate",
            modules=("__init__.py", "_deflate"),
            in_tar=True,
        ),
    )
}


@dataclass(frozen=True)
class LayerEncoding:
    """How one layer is encoded: an encoding and its compression level.

    :raises KoPantsError: there is no such encoding, or it does not have that level.
    """

    name: str
    level: int

    def __post_init__(self) -> None:
        encoding = encoding_of(self.name)
        if self.level not in encoding.levels:
            raise KoPantsError(
                f"layer encoding {self.name!r} has no compression level {self.level}: expected "
                f"{encoding.levels.start} to {encoding.levels.stop - 1} "
                f"(default {encoding.default_level})."
            )

    @property
    def media_type(self) -> str:
        """The media type of the layer, in the OCI family."""
        return encoding_of(self.name).media_type

    @property
    def compressor(self) -> str:
        """The name of everything that decides the compressed bytes of a given tar.

        Such as `deflate-0.8.1/gzip-1/1MiB`: package and version, encoding and level, bytes of tar
        per gzip member; `none` for the plain tar. The package contains its C library, so its
        version also stands for the library's.

        :raises KoPantsError: the package is not installed.
        """
        return _compressor(self.name, self.level)

    @property
    def tar_variant(self) -> str:
        """What the tar depends on beside its content; empty for nothing."""
        return f"encoding={self.compressor}" if encoding_of(self.name).in_tar else ""

    def tool_spec(self) -> dict[str, str | int]:
        """The part of the layer tool's spec that says how to encode (see `layer_tool.py`)."""
        chunk_bytes = encoding_of(self.name).chunk_bytes
        return {"encoding": self.name, "level": self.level, "chunk_bytes": chunk_bytes}


def encoding_of(name: str) -> Encoding:
    """The encoding of that name.

    :raises KoPantsError: there is none; the message lists the known names.
    """
    encoding = ENCODINGS.get(name)
    if encoding is None:
        raise KoPantsError(
            f"unknown layer encoding {name!r}: expected one of {', '.join(ENCODINGS)}."
        )
    return encoding


def encoding_of_media_type(media_type: str) -> Encoding | None:
    """The plain encoding of a layer's media type, of either family; None for an unknown type."""
    oci = media_types.oci_equivalent(media_type)
    return next((e for e in ENCODINGS.values() if e.media_type == oci), None)


def encoding_name_in(compressor: str) -> str:
    """The name of the encoding in a compressor's name (see `LayerEncoding.compressor`).

    The name may be of a package, a level or an encoding that this version does not know.
    """
    parts = compressor.split("/")
    encoding_and_level = parts[1] if len(parts) > 1 else parts[0]
    return encoding_and_level.partition("-")[0]


@functools.lru_cache(maxsize=64)
def _compressor(name: str, level: int) -> str:
    encoding = encoding_of(name)
    if not encoding.package:
        return encoding.name
    version = _installed_version(encoding.package)
    chunk = f"{encoding.chunk_bytes // _MEBIBYTE_BYTES}MiB"
    return f"{encoding.package}-{version}/{name}-{level}/{chunk}"


def _installed_version(package: str) -> str:
    # Importing this takes about 10 ms, and only the first layer of a daemon needs it.
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise not_installed(package) from None


def not_installed(package: str) -> KoPantsError:
    """The error for a compressor package that the running interpreter lacks."""
    return KoPantsError(
        f"the Python package {package!r}, which compresses layers, is not installed beside "
        "ko_pants: install it where Pants' plugins are installed, or choose another layer encoding."
    )
