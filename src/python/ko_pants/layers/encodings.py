"""The registry of layer encodings: names, media types, levels, and who compresses."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ko_pants.errors import KoPantsError
from ko_pants.layers.compress import CHUNK_SIZES
from ko_pants.oci import media_types


@dataclass(frozen=True)
class Encoding:
    """One way to encode a layer blob.

    `package` is the Python distribution and import package that compresses ("" for none), `modules`
    its parts that the layer process needs: source files, and stems of extension modules.
    """

    name: str
    oci_media_type: str
    docker_media_type: str
    default_level: int
    levels: range
    package: str = ""
    modules: tuple[str, ...] = ()

    def check_level(self, level: int) -> None:
        """Raises KoPantsError for a level that the encoding does not have."""
        if level not in self.levels:
            raise KoPantsError(
                f"layer encoding {self.name!r} has no compression level {level}: expected "
                f"{self.levels.start} to {self.levels.stop - 1} (default {self.default_level})."
            )


ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        Encoding(
            name="gzip",
            oci_media_type=media_types.OCI_LAYER_GZIP,
            docker_media_type=media_types.DOCKER_LAYER_GZIP,
            default_level=1,
            levels=range(1, 13),
            package="deflate",
            modules=("__init__.py", "_deflate"),
        ),
        Encoding(
            name="zstd",
            oci_media_type=media_types.OCI_LAYER_ZSTD,
            docker_media_type=media_types.DOCKER_LAYER_ZSTD,
            default_level=3,
            levels=range(1, 23),
            package="zstandard",
            modules=("__init__.py", "backend_c"),
        ),
        Encoding(
            name="none",
            oci_media_type=media_types.OCI_LAYER_TAR,
            docker_media_type=media_types.DOCKER_LAYER_TAR,
            default_level=0,
            levels=range(1),
        ),
    )
}


def encoding_of(name: str) -> Encoding:
    """The registered encoding. Raises KoPantsError for a name that is not registered."""
    encoding = ENCODINGS.get(name)
    if encoding is None:
        raise KoPantsError(
            f"unknown layer encoding {name!r}: expected one of {', '.join(ENCODINGS)}."
        )
    return encoding


@functools.lru_cache(maxsize=64)
def compressor_id(encoding: str, level: int) -> str:
    """Names everything that determines the compressed bytes of a given tar.

    Such as `deflate-0.8.1/gzip-1/1MiB`: package and version, encoding and level, bytes of tar per
    member; `none` for the plain tar. The package bundles its library, so its version names that
    too. Raises KoPantsError for an unknown encoding or level, or a package that is not installed.
    """
    found = encoding_of(encoding)
    found.check_level(level)
    if not found.package:
        return found.name
    version = _installed_version(found.package)
    return f"{found.package}-{version}/{encoding}-{level}/{CHUNK_SIZES[encoding] >> 20}MiB"


def _installed_version(package: str) -> str:
    from importlib import metadata  # ~10 ms, and only a miss of the maps comes here

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
