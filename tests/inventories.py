"""Inventories for tests: one as it is in life, and any that hypothesis can think of."""

from __future__ import annotations

import base64
import hashlib

from hypothesis import strategies as st

from ko_pants.artifacts.inventory import (
    File,
    ImageInventory,
    IndexInventory,
    Inventory,
    InventoryBase,
    InventoryLayer,
    Program,
    Tools,
)
from ko_pants.golang.build_info import BuildInfo, Module
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")


def digest(text: str) -> str:
    """The digest of a text, for something that differs from others by it."""
    return sha256_digest(text.encode("utf-8", "surrogatepass"))


def go_sum(text: str) -> str:
    """A sum as in go.sum."""
    return "h1:" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def manifest(platform: Platform) -> Descriptor:
    return Descriptor(mt.OCI_MANIFEST, digest(f"manifest {platform}"), 1000, platform=platform)


NET = Module("golang.org/x/net", "v0.30.0", go_sum("net"))
TOML = Module("github.com/BurntSushi/toml", "v1.4.0+incompatible", go_sum("toml"))
FORK = Module("example.com/fork", "v1.0.1-0.20260102030405-abcdefabcdef", go_sum("fork"))
REPLACED = Module("example.com/upstream", "v1.0.0", "", FORK)
LOCAL = Module("example.com/library", "v0.0.0", "", Module("../library", "(devel)"))

SERVER = Program(
    File("/ko-app/server", digest("server"), 12_345_678),
    "example.com/app/cmd/server",
    BuildInfo(
        "go1.26.8",
        "example.com/app/cmd/server",
        Module("example.com/app", "(devel)"),
        (TOML, REPLACED, LOCAL, NET),
        (("-tags", "netgo"), ("CGO_ENABLED", "0"), ("GOARCH", "amd64")),
    ),
)
#: It shares a module with the server, and has it in another version than the server has another.
TOOL = Program(
    File("/ko-app/tool", digest("tool"), 2_345_678),
    "example.com/tool",
    BuildInfo("go1.25.1", "example.com/tool", Module("example.com/tool", "v1.2.3"), (NET,)),
)
STRIPPED = Program(File("/ko-app/stripped", digest("stripped"), 77))

IMAGE = ImageInventory(
    manifest(AMD64),
    "services/api:image",
    1_700_000_000,
    (SERVER, TOOL, STRIPPED),
    (
        InventoryLayer("base", digest("diff 1"), Descriptor(mt.OCI_LAYER_GZIP, digest("1"), 10)),
        InventoryLayer(
            "kodata",
            digest("diff 2"),
            Descriptor(mt.OCI_LAYER_GZIP, digest("2"), 20),
            "ko build",
            (File("/var/run/ko/index.html", digest("html"), 1234),),
        ),
        InventoryLayer("binary", digest("diff 3"), Descriptor(mt.OCI_LAYER_GZIP, digest("3"), 30)),
    ),
    InventoryBase("gcr.io/distroless/static:nonroot", digest("base"), digest("base amd64")),
    Tools("1.2.3", "go1.26.8"),
)
INDEX = IndexInventory(
    Descriptor(mt.OCI_INDEX, digest("index"), 900),
    "services/api:image",
    1_700_000_000,
    (manifest(AMD64), manifest(ARM)),
    InventoryBase("gcr.io/distroless/static:nonroot", digest("base")),
    Tools("1.2.3", "go1.26.8"),
)


# Any inventory. File names can hold bytes that are no UTF-8, which Python has as half surrogates.

_texts = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=3),
    st.sampled_from(["", "a b", "a%2Fb", "?x#y", '"', "../up", "\\", "\0", "é/ü"]),
)
_digests = st.integers(0, 5).map(lambda n: digest(str(n)))
_sizes = st.integers(0, 2**63)
_files = st.builds(File, _texts.map("/".__add__), _digests, _sizes)
_versions = st.one_of(
    st.sampled_from(
        [
            *("", "(devel)", "v1.2.3", "v2.0.0+incompatible", "v0.1.0-rc.1+meta"),
            "v0.0.0-20260102030405-abcdefabcdef",
        ]
    ),
    _texts,
)
_paths = st.one_of(
    st.sampled_from(["example.com/m", "example.com/M/v2", "m", "./m", "../m", "/abs/m", "C:\\m"]),
    _texts,
)
_sums = st.one_of(st.just(""), _texts.map("h1:".__add__), st.sampled_from([go_sum("a"), "h1:AAAA"]))
_plain_modules = st.builds(Module, _paths, _versions, _sums)
_modules = st.builds(Module, _paths, _versions, _sums, st.none() | _plain_modules)
_go_versions = st.sampled_from(
    [
        *("", "go1.26.8", "go1.27rc1", "go1.26.8 X:nodwarf5", "go1.26.8-custom"),
        "devel go1.27-abcdef Thu Jan 1 00:00:00 2026",
    ]
)
_build_infos = st.builds(
    BuildInfo,
    _go_versions,
    _texts,
    st.none() | _modules,
    st.lists(_modules, max_size=5).map(tuple),
    st.lists(st.tuples(_texts, _texts), max_size=3).map(tuple),
)
_programs = st.builds(Program, _files, _texts, st.none() | _build_infos)
_platforms = st.sampled_from([AMD64, ARM, Platform("windows", "amd64", "", "10.0.1")])
_layers = st.builds(
    InventoryLayer,
    st.sampled_from(["base", "kodata", "binary", "files"]),
    _digests,
    st.builds(Descriptor, st.just(mt.OCI_LAYER_GZIP), _digests, _sizes),
    _texts,
    st.lists(_files, max_size=4).map(tuple),
)
_bases = st.none() | st.builds(
    InventoryBase,
    st.sampled_from(["debian", "gcr.io/a/b:c", "oci:some/layout", ""]) | _texts,
    _digests,
    st.just("") | _digests,
)
_created = st.integers(0, 4_000_000_000)
_tools = st.builds(Tools, st.just("1.2.3"), _go_versions)

images: st.SearchStrategy[ImageInventory] = st.builds(
    ImageInventory,
    st.builds(
        Descriptor, st.just(mt.OCI_MANIFEST), _digests, _sizes, platform=st.none() | _platforms
    ),
    _texts,
    _created,
    st.lists(_programs, max_size=3).map(tuple),
    st.lists(_layers, max_size=3).map(tuple),
    _bases,
    _tools,
)
indexes: st.SearchStrategy[IndexInventory] = st.builds(
    IndexInventory,
    st.builds(Descriptor, st.just(mt.OCI_INDEX), st.just(digest("index")), _sizes),
    _texts,
    _created,
    st.lists(
        st.builds(Descriptor, st.just(mt.OCI_MANIFEST), _digests, _sizes, platform=_platforms),
        max_size=3,
    ).map(tuple),
    _bases,
    _tools,
)
inventories: st.SearchStrategy[Inventory] = st.one_of(images, indexes)
