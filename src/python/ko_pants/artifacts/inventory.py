"""What is in an image, and how it was made: what SBOMs and provenance are written from.

An inventory knows no format. `spdx`, `cyclonedx` and `provenance` beside this module turn it into
documents. Equal inventories give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ko_pants import __version__
from ko_pants.golang.build_info import BuildInfo
from ko_pants.oci.descriptor import Descriptor


@dataclass(frozen=True)
class File:
    """A regular file of the image.

    :param path: absolute, in the image, such as `/var/run/ko/index.html`.
    :param digest: `sha256:<hex>` of its content.
    :param size: in bytes.
    """

    path: str
    digest: str
    size: int


@dataclass(frozen=True)
class Program:
    """An executable that a layer of the kind `binary` puts into the image.

    :param import_path: of its main package; empty where it is not known.
    :param build_info: what Go wrote into it; None if it has none, as after `strip` or if it is no
        Go program.
    """

    file: File
    import_path: str = ""
    build_info: BuildInfo | None = None


@dataclass(frozen=True)
class InventoryLayer:
    """A layer of the image, as its manifest names it.

    :param kind: `base`, `kodata`, `binary` or `files`, as in `ImageLayer`.
    :param diff_id: `sha256:<hex>` of the uncompressed tar.
    :param created_by: from the image's history; empty where it is not known.
    :param files: what a layer of the kind `kodata` or `files` holds; empty for the other kinds. The
        files of a base are not known, and the executable of a binary layer is a `Program`.
    """

    kind: str
    diff_id: str
    descriptor: Descriptor
    created_by: str = ""
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class InventoryBase:
    """The base image.

    :param name: the reference, as the user wrote it or as a lock file has it.
    :param digest: `sha256:<hex>` of the index or manifest that the name stands for.
    :param manifest_digest: `sha256:<hex>` of the manifest for the platform; equal to `digest` if
        the base is no index, and empty in the inventory of an index.
    """

    name: str
    digest: str
    manifest_digest: str = ""


@dataclass(frozen=True)
class Tools:
    """What made the image.

    :param ko_pants: version of this plugin.
    :param go: version of the Go toolchain that compiled, such as `go1.26.8`; empty if nothing was
        compiled. The build info of each program has the version that it was compiled with.
    """

    ko_pants: str = __version__
    go: str = ""


@dataclass(frozen=True)
class ImageInventory:
    """What is in the image of one platform.

    :param subject: the descriptor of its manifest, with its platform.
    :param address: of the target, such as `services/api:image`.
    :param created: seconds since the epoch: SOURCE_DATE_EPOCH, or 0.
    :param programs: the first is the entrypoint.
    :param layers: all, in the order of the manifest.
    :param base: None for scratch.
    """

    subject: Descriptor
    address: str
    created: int = 0
    programs: tuple[Program, ...] = ()
    layers: tuple[InventoryLayer, ...] = ()
    base: InventoryBase | None = None
    tools: Tools = Tools()


@dataclass(frozen=True)
class IndexInventory:
    """What is in an image index.

    :param subject: the descriptor of the index.
    :param address: of the target.
    :param created: seconds since the epoch: SOURCE_DATE_EPOCH, or 0.
    :param platforms: the descriptors of its manifests, each with its platform, in its order.
    :param base: None for scratch.
    """

    subject: Descriptor
    address: str
    created: int = 0
    platforms: tuple[Descriptor, ...] = ()
    base: InventoryBase | None = None
    tools: Tools = Tools()


#: What each format can write a document of.
Inventory = Union[ImageInventory, IndexInventory]
