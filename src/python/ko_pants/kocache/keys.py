"""What a cached layer is keyed by, and where its maps lie under `$KOCACHE/bin`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from ko_pants.oci.descriptor import is_digest
from ko_pants.oci.platform import Platform

# cmd/internal/buildid.HashToString: 120 bits of a hash in URL-safe base64. A linked executable has
# four: action ids of binary and main package, content ids of main package and binary.
_BUILD_ID = re.compile(r"[A-Za-z0-9_-]{20}(?:/[A-Za-z0-9_-]{20}){3}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")
# What Go allows in an import path (golang.org/x/mod/module.CheckImportPath), and the characters of
# platforms with a Windows version.
_ORDINARY = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+@=,:!")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
# File systems allow 255 characters in a name. That of a map may end in a component, with 21
# characters before it; the name of its temporary file has 35 more.
_MAX_COMPONENT_CHARACTERS = 180
_MAX_PATH_CHARACTERS = 1024


def is_build_id(text: str) -> bool:
    """True for the build id of an executable that `go build` linked: four hashes, `/`-separated.

    A build id set by hand (`-ldflags=-buildid=...`), that of an archive (two parts), and none at
    all say nothing about the bytes of the file.
    """
    return _BUILD_ID.fullmatch(text) is not None


def build_key(build_id: str, file_sha256_hex: str) -> str:
    """What identifies an executable: its build id if that is a real one, else its sha256.

    A tool that rewrites an executable (strip, upx) may leave the build id as it was. So `build_id`
    must be empty for a file that did not come straight from `go build`.

    :raises ValueError: `file_sha256_hex` is needed and is no sha256 in hex.
    """
    build_id = build_id.strip()
    if is_build_id(build_id):
        return build_id
    key = f"sha256:{file_sha256_hex}"
    if not is_digest(key):
        raise ValueError(f"expected the sha256 of the file in hex, found {file_sha256_hex!r:.80}")
    return key


@dataclass(frozen=True)
class LayerKey:
    """Everything that decides the uncompressed bytes of a layer.

    :param import_path: of the main package, or a name for layers that belong to no program.
    :param build_key: see `build_key()`; for a kodata layer `sha256:<hex>` of the tree.
    :param variant: everything else that changes the tar: application path other than ko's, mode,
        mtime, capabilities, layout version. Empty means exactly the tar that ko would write.
    :param kind: `binary`, `kodata` or `files`.
    :raises ValueError: `build_key` or `kind` has another form.
    """

    import_path: str
    platform: Platform
    build_key: str
    variant: str = ""
    kind: str = "binary"

    def __post_init__(self) -> None:
        if not is_build_id(self.build_key) and not is_digest(self.build_key):
            raise ValueError(
                f"expected a Go build id or sha256:<hex> as key, found {self.build_key!r:.120}"
            )
        if not _KIND.fullmatch(self.kind):
            raise ValueError(f"expected a lower-case word as layer kind, found {self.kind!r:.80}")

    @property
    def map_key(self) -> str:
        """The key in `buildid-to-diffid`.

        ko looks up bare build ids. So only a binary layer as ko writes it has one; every other key
        has a suffix that no build id has.
        """
        key = self.build_key
        if self.kind != "binary":
            key += f";kind={self.kind}"
        if self.variant:
            key += f";variant={self.variant}"
        return key

    @property
    def directory(self) -> str:
        """Where the maps lie, relative to the cache's root: `bin/<import path>/<platform>`.

        For every import path that Go accepts it is ko's `filepath.Join(dir, "bin", importPath,
        platform.String())`. Anything else is escaped and stays below `bin/`.
        """
        return f"bin/{escape_path(self.import_path)}/{escape_path(str(self.platform))}"


@lru_cache(maxsize=4096)
def escape_path(text: str) -> str:
    """A relative path that stays below its parent, different for every `text`.

    What Go accepts as an import path comes back unchanged. Other characters are percent-encoded. So
    are `..`, `.`, empty components and those that Windows reserves. What is too long for a file
    system ends in a hash.
    """
    path = "/".join(escape_component(component) for component in text.split("/"))
    return path if len(path) <= _MAX_PATH_CHARACTERS else _hashed("", text)


def escape_component(text: str) -> str:
    """One path component of at most 180 ASCII characters; see `escape_path()`."""
    raw = text.encode("utf-8", "surrogatepass")
    if not raw:
        return "%"
    if not _is_ordinary(raw):
        escaped = "".join(chr(byte) if byte in _ORDINARY else f"%{byte:02X}" for byte in raw)
    elif not text.strip("."):
        escaped = text.replace(".", "%2E")
    elif _RESERVED.fullmatch(text):
        escaped = f"%{raw[0]:02X}{text[1:]}"
    elif text.endswith("."):
        escaped = f"{text[:-1]}%2E"
    else:
        escaped = text
    return escaped if len(escaped) <= _MAX_COMPONENT_CHARACTERS else _hashed(escaped[:100], text)


def unescape_path(path: str) -> str:
    """The text that `escape_path()` was given; a hashed component stays as it is."""
    return "/".join(_unescape_component(component) for component in path.split("/"))


def _unescape_component(component: str) -> str:
    if component == "%":
        return ""
    if "%-" in component:
        return component
    raw = re.sub(
        rb"%([0-9A-F]{2})",
        lambda match: bytes([int(match.group(1), 16)]),
        component.encode("utf-8", "surrogateescape"),
    )
    return raw.decode("utf-8", "replace")


def _is_ordinary(raw: bytes) -> bool:
    return _ORDINARY.issuperset(raw)


def _hashed(prefix: str, text: str) -> str:
    # `%-` never comes out of percent-encoding, so a hashed component equals no other.
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}%-{digest}"
