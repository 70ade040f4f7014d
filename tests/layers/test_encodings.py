"""The table of encodings, and the encoding of a layer."""

from __future__ import annotations

from importlib import metadata

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers import encodings
from ko_pants.layers.encodings import (
    ENCODINGS,
    Encoding,
    LayerEncoding,
    encoding_name_in,
    encoding_of,
    encoding_of_media_type,
)
from ko_pants.oci import media_types as mt


@pytest.mark.parametrize(
    ("encoding", "level", "expected"),
    [
        ("gzip", 1, "deflate-{deflate}/gzip-1/1MiB"),
        ("gzip", 12, "deflate-{deflate}/gzip-12/1MiB"),
        ("zstd", 1, "zstandard-{zstandard}/zstd-1/2MiB"),
        ("zstd", 22, "zstandard-{zstandard}/zstd-22/2MiB"),
        ("none", 0, "none"),
    ],
)
def test_the_compressor_names_what_decides_the_bytes(
    encoding: str, level: int, expected: str
) -> None:
    versions = {name: metadata.version(name) for name in ("deflate", "zstandard")}
    assert LayerEncoding(encoding, level).compressor == expected.format(**versions)


@pytest.mark.parametrize(
    ("encoding", "level", "words"),
    [
        ("gzip", 0, "level 0: expected 1 to 12 (default 1)."),
        ("gzip", 13, "level 13: expected 1 to 12 (default 1)."),
        ("zstd", 0, "level 0: expected 1 to 22 (default 3)."),
        ("zstd", 23, "level 23: expected 1 to 22 (default 3)."),
        ("none", 1, "level 1: expected 0 to 0 (default 0)."),
    ],
)
def test_a_level_out_of_range_is_refused(encoding: str, level: int, words: str) -> None:
    with pytest.raises(KoPantsError) as e:
        LayerEncoding(encoding, level)
    assert str(e.value) == f"layer encoding {encoding!r} has no compression {words}"


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_defaults_are_valid(encoding: Encoding) -> None:
    assert LayerEncoding(encoding.name, encoding.default_level).compressor


@pytest.mark.parametrize(
    ("name", "oci", "docker", "spec"),
    [
        (
            *("gzip", mt.OCI_LAYER_GZIP, mt.DOCKER_LAYER_GZIP),
            {"encoding": "gzip", "level": 1, "chunk_bytes": 1048576},
        ),
        (
            *("zstd", mt.OCI_LAYER_ZSTD, mt.DOCKER_LAYER_ZSTD),
            {"encoding": "zstd", "level": 3, "chunk_bytes": 2097152},
        ),
        (
            *("none", mt.OCI_LAYER_TAR, mt.DOCKER_LAYER_TAR),
            {"encoding": "none", "level": 0, "chunk_bytes": 1048576},
        ),
    ],
)
def test_what_an_encoding_means(
    name: str, oci: str, docker: str, spec: dict[str, str | int]
) -> None:
    encoding = encoding_of(name)
    layer = LayerEncoding(name, encoding.default_level)
    assert layer.media_type == encoding.media_type == oci
    assert encoding_of_media_type(oci) is encoding_of_media_type(docker) is encoding
    assert layer.tool_spec() == spec


@pytest.mark.parametrize("media_type", ["", "application/json", mt.OCI_MANIFEST, mt.DOCKER_CONFIG])
def test_a_media_type_of_no_known_layer(media_type: str) -> None:
    assert encoding_of_media_type(media_type) is None


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(KoPantsError, match="'lz4': expected one of gzip, zstd, none"):
        encoding_of("lz4")
    with pytest.raises(KoPantsError, match="'lz4': expected one of gzip, zstd, none"):
        LayerEncoding("lz4", 1)


@pytest.mark.parametrize(
    ("compressor", "name"),
    [
        ("deflate-0.8.1/gzip-1/1MiB", "gzip"),
        ("zstandard-0.23.0/zstd-3/2MiB", "zstd"),
        ("libdeflate-1.24/gzip-1", "gzip"),
        ("stargz-1/estargz-9/4MiB", "estargz"),
        ("none", "none"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_the_encoding_in_the_name_of_a_compressor(compressor: str, name: str) -> None:
    assert encoding_name_in(compressor) == name


def test_an_encoding_with_the_media_type_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        ENCODINGS,
        "estargz",
        Encoding("estargz", mt.OCI_LAYER_GZIP, 4 << 20, 1, range(1, 13), "deflate"),
    )
    layer = LayerEncoding("estargz", 9)
    version = metadata.version("deflate")
    assert layer.compressor == f"deflate-{version}/estargz-9/4MiB"
    assert layer.media_type == mt.OCI_LAYER_GZIP
    plain = encoding_of_media_type(mt.OCI_LAYER_GZIP)
    assert plain is ENCODINGS["gzip"]
    assert encoding_name_in(layer.compressor) != plain.name


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    encodings._compressor.cache_clear()
    with pytest.raises(KoPantsError) as e:
        assert LayerEncoding("gzip", 2).compressor
    assert str(e.value) == (
        "the Python package 'deflate', which compresses layers, is not installed beside ko_pants: "
        "install it where Pants' plugins are installed, or choose another layer encoding."
    )


def test_the_name_of_a_compressor_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def version(name: str) -> str:
        asked.append(name)
        return "1.2"

    monkeypatch.setattr(metadata, "version", version)
    encodings._compressor.cache_clear()
    for _ in range(3):
        assert LayerEncoding("gzip", 2).compressor == "deflate-1.2/gzip-2/1MiB"
    encodings._compressor.cache_clear()
    assert asked == ["deflate"]
