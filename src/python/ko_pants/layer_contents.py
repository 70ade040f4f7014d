"""What a layer holds: a type for each kind of content.

A content says what its layer is known by in KOCACHE, what the layer process reads, and what it
writes. A new kind of layer is a new subclass of `LayerContent` here and, if its archive is of a new
shape, a function in `layers/contents.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pants.engine.fs import EMPTY_DIGEST, Digest

from ko_pants.kocache.keys import LayerKey
from ko_pants.oci.platform import Platform

if TYPE_CHECKING:
    from ko_pants.products import GoExecutableRequest

#: Where ko puts the tree beside a main package; `$KO_DATA_PATH` in the container.
KODATA_PATH = "/var/run/ko"

_KO_MODE = 0o555
# The layer process takes a second for so many bytes.
_LARGE_BYTES = 50_000_000
# A tree is the same on every CPU. Its layer is kept under one of them.
_ANY_ARCHITECTURE = "amd64"


class LayerContent(ABC):
    """The content of one layer. Subclasses are frozen dataclasses, compared by value."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The word for it in KOCACHE and in the output of `publish`."""

    @property
    @abstractmethod
    def inputs(self) -> Digest:
        """The files that the layer process reads; `only_file` of them, if there is one."""

    @property
    def only_file(self) -> str:
        """The one file of `inputs` that the layer process gets; empty if it gets all of them."""
        return ""

    @property
    def compiled_for(self) -> GoExecutableRequest | None:
        """What compiles `inputs` again if they are lost; None if no compile made them."""
        return None

    @property
    def large(self) -> str:
        """How large it is, for a line of progress; empty if it is not large, or nobody knows."""
        return ""

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """The part `content` of what the layer process is told; see `layers/layer_tool.py`."""

    @abstractmethod
    def key(self, platform: Platform) -> LayerKey:
        """What KOCACHE knows the layer by: everything that decides the bytes of its tar."""

    @abstractmethod
    def name(self, platform: Platform) -> str:
        """What it is, for a line of progress and for errors."""

    def layer_platform(self, platform: Platform) -> Platform:
        """The platform that the layer is made for in an image of `platform`.

        Images whose platforms give the same one share the layer.
        """
        return platform


@dataclass(frozen=True)
class ExecutableContent(LayerContent):
    """An executable at `/ko-app/<app_name>`.

    :param digest: the executable is the file `path` in it. A compile has written another file too.
    :param build_key: identifies its bytes; see `kocache.keys.build_key`.
    :param capabilities: the attribute `security.capability` in hex; Linux only, empty for none.
    :param request: what it was compiled for; None for a prebuilt file.
    :param size: in bytes.
    """

    digest: Digest
    path: str
    app_name: str
    import_path: str
    build_key: str
    capabilities: str = ""
    request: GoExecutableRequest | None = field(compare=False, default=None)
    size: int = field(compare=False, default=0)

    @property
    def kind(self) -> str:
        return "binary"

    @property
    def large(self) -> str:
        return f" ({self.size / 1e6:.0f} MB)" if self.size >= _LARGE_BYTES else ""

    @property
    def inputs(self) -> Digest:
        return self.digest

    @property
    def only_file(self) -> str:
        return self.path if self.request is not None else ""

    @property
    def compiled_for(self) -> GoExecutableRequest | None:
        return self.request

    def spec(self) -> dict[str, Any]:
        spec = {"type": "executable", "file": self.path, "app_name": self.app_name}
        return {**spec, "capabilities": self.capabilities} if self.capabilities else spec

    def key(self, platform: Platform) -> LayerKey:
        # ko keeps no layer with capabilities, so the key of one is none of ko's.
        variant = f"capabilities={self.capabilities}" if self.capabilities else ""
        return LayerKey(self.import_path, platform, self.build_key, variant, kind=self.kind)

    def name(self, platform: Platform) -> str:
        return f"{self.import_path} for {platform}"


@dataclass(frozen=True)
class TreeContent(LayerContent):
    """A tree of files at a path of the image.

    :param tree_kind: `kodata` or `files`, the word for it in KOCACHE and in the output.
    :param digest: the tree is the directory `root` in it; empty for no files at all.
    :param at: the absolute path of the tree in the image.
    :param mtime: of every entry, in seconds since the epoch.
    :param executable_mode: of files that are executable; `file_mode` is of the others.
    :param directories: which of them are written; see `layers.contents.tree_entries`.
    """

    tree_kind: str
    digest: Digest = EMPTY_DIGEST
    root: str = "kodata"
    at: str = KODATA_PATH
    mtime: int = 0
    file_mode: int = _KO_MODE
    executable_mode: int = _KO_MODE
    directory_mode: int = _KO_MODE
    uid: int = 0
    gid: int = 0
    directories: str = "all"

    @property
    def kind(self) -> str:
        return self.tree_kind

    @property
    def inputs(self) -> Digest:
        return self.digest

    def spec(self) -> dict[str, Any]:
        return {
            "type": "tree",
            "root": self.root,
            "at": self.at,
            "mtime": self.mtime,
            "file_mode": self.file_mode,
            "executable_mode": self.executable_mode,
            "directory_mode": self.directory_mode,
            "uid": self.uid,
            "gid": self.gid,
            "directories": self.directories,
        }

    def key(self, platform: Platform) -> LayerKey:
        # Not under an import path: equal trees are one layer, whichever image has them. A map keeps
        # few layers, so those of files are spread over several. The variant
        # names what differs from ko's kodata, so that kodata has the key that it always had.
        variant = [
            f"{name}={value}"
            for name, value, default in (
                ("at", self.at, KODATA_PATH),
                ("root", self.root, "kodata"),
                ("file_mode", f"{self.file_mode:o}", f"{_KO_MODE:o}"),
                ("executable_mode", f"{self.executable_mode:o}", f"{_KO_MODE:o}"),
                ("directory_mode", f"{self.directory_mode:o}", f"{_KO_MODE:o}"),
                ("uid", self.uid, 0),
                ("gid", self.gid, 0),
                ("epoch", self.mtime, 0),
                ("directories", self.directories, "all"),
            )
            if value != default
        ]
        fingerprint = self.digest.fingerprint
        place = self.kind if self.kind == "kodata" else f"{self.kind}/{fingerprint[:2]}"
        return LayerKey(
            place,
            platform,
            f"sha256:{fingerprint}",
            variant=",".join(variant),
            kind=self.kind,
        )

    def name(self, platform: Platform) -> str:
        return self.kind if self.kind == "kodata" else f"{self.kind} at {self.at}"

    def layer_platform(self, platform: Platform) -> Platform:
        return Platform(platform.os, _ANY_ARCHITECTURE)
