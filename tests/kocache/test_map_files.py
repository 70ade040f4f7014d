"""What the map files on disk say: hits, misses, one warning for damage, and where ko works."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable

import pytest
from kocache.samples import (
    GZIP,
    GZIP6,
    HERE,
    ZSTD,
    Caches,
    digest,
    key,
    ko_entry,
    layer,
    ordinary_user,
)

from ko_pants.kocache import map_files
from ko_pants.kocache.map_files import (
    descriptor_files,
    file_names,
    find_diff_id,
    find_foreign_layer,
    find_own_layer,
    is_map,
    is_own_descriptors,
    ko_works_here,
    load_map,
    map_directories,
    map_paths,
    own_descriptors,
    read_map,
)
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.problems import Problems
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor


def own(caches: Caches, number: int = 0, compressor: str = GZIP) -> CachedLayer | None:
    paths = map_paths(str(caches.path), HERE, compressor)
    return find_own_layer(key(number), compressor, paths, caches.root().problems)


def foreign(caches: Caches, compressor: str) -> CachedLayer | None:
    here = str(caches.here)
    return find_foreign_layer(key(), layer().diff_id, compressor, here, caches.root().problems)


def test_the_files_have_the_names_that_ko_and_older_versions_use() -> None:
    paths = map_paths("/cache", HERE, GZIP)
    here = "/cache/bin/example.com/app/linux/amd64"
    assert paths == (
        f"{here}/buildid-to-diffid",
        f"{here}/diffid-to-descriptor.deflate-0.8.1_gzip-1_1MiB",
        f"{here}/diffid-to-descriptor",
        f"{here}/out",
    )
    assert paths.maps == paths[:3]
    assert own_descriptors("a b/c") == "diffid-to-descriptor.a%20b_c"


def test_which_files_are_maps() -> None:
    ours = ["diffid-to-descriptor.none", "diffid-to-descriptor.a_b"]
    others = ["out", "buildid-to-diffid.none", ".buildid-to-diffid.ko-pants.tmp", "diffid-to-desc"]
    assert all(is_own_descriptors(name) and is_map(name) for name in ours)
    assert not any(is_own_descriptors(name) or is_map(name) for name in others)
    for name in ("buildid-to-diffid", "diffid-to-descriptor"):
        assert is_map(name)
        assert not is_own_descriptors(name)


def test_descriptor_files_are_listed_kos_first(tmp_path: Path) -> None:
    names = ["diffid-to-descriptor.b", "diffid-to-descriptor", "diffid-to-descriptor.a", "out"]
    for name in [*names, "buildid-to-diffid", ".diffid-to-descriptor.ko-pants.tmp"]:
        (tmp_path / name).touch()
    assert file_names(str(tmp_path)) == sorted(os.listdir(tmp_path))
    assert descriptor_files(str(tmp_path)) == [
        str(tmp_path / name) for name in (names[1], names[2], names[0])
    ]
    assert file_names(str(tmp_path / "absent")) == []


def test_directories_with_maps_or_unfinished_writes_are_found(tmp_path: Path) -> None:
    assert list(map_directories(str(tmp_path))) == []
    for path in (
        "bin/b/linux/arm64/diffid-to-descriptor.none",
        "bin/b/linux/amd64/buildid-to-diffid",
        "bin/a/linux/amd64/.buildid-to-diffid.ko-pants.tmp",
        "bin/a/linux/386/out",
        "img/buildid-to-diffid",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert list(map_directories(str(tmp_path))) == [
        "bin/a/linux/amd64",
        "bin/b/linux/amd64",
        "bin/b/linux/arm64",
    ]


def test_a_map_up_to_64_mebibytes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ko's maps grow for ever; one that is not read is replaced, and ko's entries are lost."""
    assert map_files.MAX_MAP_BYTES == 67_108_864
    told: list[str] = []
    problems = Problems("", told.append)
    path = tmp_path / "buildid-to-diffid"
    path.write_bytes(b'{"a": 1}' + b" " * 2)
    monkeypatch.setattr(map_files, "MAX_MAP_BYTES", 10)
    assert load_map(str(path), problems) == ({"a": 1}, False)
    path.write_bytes(b'{"a": 1}' + b" " * 3)
    assert load_map(str(path), problems) == ({}, True)
    assert told == [
        f"KOCACHE: {path}: it has 11 bytes, more than 10; it is taken as absent until rewritten"
    ]


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("precious")


NO_OBJECT = "it holds no JSON object"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "it is empty"),
    "blanks": (lambda p: p.write_bytes(b" \n"), NO_OBJECT),
    "no JSON": (lambda p: p.write_bytes(b"hello"), NO_OBJECT),
    "not UTF-8": (lambda p: p.write_bytes(b"\xff\xfe{}"), NO_OBJECT),
    "a list": (lambda p: p.write_bytes(b"[1, 2]"), NO_OBJECT),
    "a number": (lambda p: p.write_bytes(b"17"), NO_OBJECT),
    "wrong types": (lambda p: p.write_bytes(b'{"a": 1, "sha256:b": [], "c": {"digest": {}}}'), ""),
    "nested too deep": (lambda p: p.write_bytes(b'{"a":' + b"[" * 100_000), NO_OBJECT),
    "a number too long": (lambda p: p.write_bytes(b'{"a": ' + b"9" * 100_000 + b"}"), ""),
    "huge": (
        lambda p: os.truncate(os.open(p, os.O_CREAT | os.O_RDWR), 1 << 40),
        "it has 1099511627776 bytes, more than 67108864",
    ),
    "a directory": (make_directory, "it is not a regular file"),
    "a FIFO": (lambda p: os.mkfifo(p), "it is not a regular file"),
    "a dangling link": (lambda p: p.symlink_to("nowhere"), ""),
    "a loop": (lambda p: p.symlink_to(p.name), "Too many levels of symbolic links"),
}


@pytest.mark.parametrize("name", ["buildid-to-diffid", "diffid-to-descriptor"])
@pytest.mark.parametrize("what", DAMAGE)
def test_anything_on_disk_is_a_miss_and_repaired_by_the_next_write(
    caches: Caches, name: str, what: str
) -> None:
    assert caches().record(key(), layer())
    path = caches.here / name
    path.unlink()
    make, message = DAMAGE[what]
    make(path)
    cache = caches()
    for _ in range(3):
        assert cache.lookup(key(), GZIP) is None
        assert cache.lookup(key(), GZIP, allow_foreign=True) is None
    if what != "a number too long":  # an error since CPython 3.11
        told = f"KOCACHE: {path}: {message}; it is taken as absent until rewritten"
        assert caches.warnings == ([told] if message else [])
    assert cache.record(key(1), layer(1))
    assert caches().lookup(key(1), GZIP) == layer(1)
    assert isinstance(json.loads(path.read_text()), dict)


def test_which_content_a_write_should_repair(caches: Caches) -> None:
    problems = caches.root().problems
    path = str(caches.here / "map")
    assert load_map(path, problems) == ({}, False)
    for text, expected in {
        '{"a": 1}\n': ({"a": 1}, False),
        '{"a": 1}\n}\n': ({"a": 1}, True),  # the tail of a longer file that ko overwrote
        "[]": ({}, True),
    }.items():
        caches.write("map", text)
        assert load_map(path, problems) == expected
        assert read_map(path, problems) == expected[0]


# Where ko works


def test_ko_works_where_its_executable_is(tmp_path: Path) -> None:
    assert not ko_works_here(str(tmp_path), {})
    (tmp_path / "out").touch()
    assert ko_works_here(str(tmp_path), {})


def test_ko_works_where_it_has_recorded_a_descriptor(caches: Caches) -> None:
    assert caches().record(key(), layer())
    ours = caches.json("diffid-to-descriptor")
    here = str(caches.here)
    assert not ko_works_here(here, ours)
    assert not ko_works_here(here, {**ours, "damaged": 1})
    assert ko_works_here(here, {**ours, **ko_entry(5)})
    assert ko_works_here(here, ko_entry(5))


@pytest.mark.parametrize("evidence", ["out", "a descriptor"])
def test_where_ko_works_nothing_of_ours_in_its_file_counts(caches: Caches, evidence: str) -> None:
    """Nobody keeps it up: it may be an older blob of a layer that is in our own file no more."""
    assert caches().record(key(), layer())
    assert own(caches) == layer()
    if evidence == "out":
        caches.ko_output()
    else:
        caches.write("diffid-to-descriptor", {**caches.json("diffid-to-descriptor"), **ko_entry(5)})
    assert own(caches) is None
    assert caches().lookup(key(), GZIP) is None
    assert caches().record(key(), layer(blob="new"))
    assert own(caches) == layer(blob="new")


def test_a_damaged_file_of_a_compressor_is_a_miss_and_told(caches: Caches) -> None:
    assert caches().record(key(), layer())
    caches.write(own_descriptors(GZIP6), "")
    cache = caches()
    assert cache.lookup(key(), GZIP6) is None
    assert len(caches.warnings) == 1
    assert "it is empty" in caches.warnings[0]


def test_where_ko_works_its_file_is_not_read_for_our_layers(caches: Caches) -> None:
    assert caches().record(key(), layer())
    caches.ko_output()
    caches.write("diffid-to-descriptor", "damaged")
    assert own(caches) is None
    assert caches.warnings == []


# What the maps say of a key


def test_the_diff_id_of_a_key(caches: Caches) -> None:
    problems = caches.root().problems
    path = str(caches.here / "buildid-to-diffid")
    assert find_diff_id(key(), path, problems) is None
    caches.write(
        "buildid-to-diffid",
        {key(0).map_key: digest("tar", 0), key(1).map_key: "sha256:short", key(2).map_key: 5},
    )
    assert find_diff_id(key(0), path, problems) == digest("tar", 0)
    assert [find_diff_id(key(number), path, problems) for number in (1, 2, 3)] == [None] * 3


def test_our_layer_of_a_key(caches: Caches) -> None:
    assert own(caches) is None
    assert caches().record_many([(key(0), layer(0)), (key(1), layer(1))])
    assert caches().record(key(0), layer(0, ZSTD))
    assert own(caches) == layer()
    assert own(caches, compressor=ZSTD) == layer(0, ZSTD)
    assert own(caches, 1, ZSTD) is None
    assert own(caches, 2) is None
    assert own(caches, compressor=GZIP6) is None
    caches.write("buildid-to-diffid", {key(0).map_key: digest("tar", 1)})
    assert own(caches) is None, "the descriptor of layer 1 does not name key 0"


def test_a_layer_in_the_file_of_another_compressor_is_none_of_its(caches: Caches) -> None:
    assert caches().record(key(), layer())
    (caches.here / own_descriptors(GZIP6)).write_bytes(
        (caches.here / "diffid-to-descriptor").read_bytes()
    )
    assert own(caches, compressor=GZIP6) is None


def test_a_layer_by_another_compressor_with_the_same_encoding(caches: Caches) -> None:
    assert foreign(caches, GZIP) is None
    assert caches().record(key(1), layer())
    assert foreign(caches, GZIP6) is None, "it is not for this key"
    assert caches().record(key(), layer())
    assert foreign(caches, GZIP6) == layer()
    assert foreign(caches, ZSTD) is None
    assert caches().record(key(), layer(compressor=ZSTD))
    assert foreign(caches, "zstandard-9/zstd-1") == layer(compressor=ZSTD)


def test_ours_counts_more_than_kos(caches: Caches) -> None:
    caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    kos = CachedLayer(
        layer().diff_id, Descriptor(media_types.OCI_LAYER_GZIP, digest("by ko", 0), 55), "unknown"
    )
    assert foreign(caches, GZIP) == kos
    assert foreign(caches, ZSTD) is None
    assert caches().record(key(1), layer(1, GZIP6))
    assert foreign(caches, GZIP) == kos
    assert caches().record(key(), layer(0, GZIP6))
    assert foreign(caches, GZIP) == layer(0, GZIP6)


def test_nothing_is_kos_in_a_file_that_ko_does_not_write(caches: Caches) -> None:
    caches.write(own_descriptors(GZIP), ko_entry(0))
    assert foreign(caches, GZIP) is None


def test_files_that_cannot_be_listed_are_none(caches: Caches) -> None:
    assert caches().record(key(), layer())
    caches.make_read_only()
    os.chmod(caches.here, 0)
    with ordinary_user():
        assert descriptor_files(str(caches.here)) == []
        assert foreign(caches, GZIP) is None
    os.chmod(caches.here, 0o755)
