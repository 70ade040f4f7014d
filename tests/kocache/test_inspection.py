"""What `ko-cache` shows: every entry with its state, counts and sizes."""

from __future__ import annotations

import json
import os

import pytest
from kocache.samples import (
    CONFIG,
    CONFIG_DESCRIPTOR,
    ZSTD,
    Caches,
    digest,
    key,
    ko_entry,
    layer,
)

from ko_pants.kocache.inspection import InspectedEntry, inspect_entries, measure_usage
from ko_pants.kocache.maps import foreign_layer
from ko_pants.oci.platform import Platform

ARM = key(platform=Platform("linux", "arm", "v7"), kind="kodata", variant="mtime=5")


def fill(caches: Caches) -> None:
    cache = caches()
    assert cache.record_many([(key(), layer()), (key(1), layer()), (ARM, layer(3))])
    assert cache.record(key(), layer(0, ZSTD))
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    ko = caches.path / "bin/example.com/ko/linux/amd64"
    ko.mkdir(parents=True)
    (ko / "out").write_bytes(b"x" * 1000)
    (ko / "something").write_bytes(b"x")
    build_ids = {"id": digest("tar", 1), "two": digest("half"), "three": 5}
    (ko / "buildid-to-diffid").write_text(json.dumps(build_ids))
    (ko / "diffid-to-descriptor").write_text(json.dumps({**ko_entry(1), "x": 1}))


def test_every_entry_is_shown(caches: Caches) -> None:
    assert list(inspect_entries(caches.root())) == []
    fill(caches)
    app, ko, amd64 = "example.com/app", "example.com/ko", "linux/amd64"
    keys = (key().map_key, key(1).map_key)
    kos = foreign_layer(digest("tar", 1), ko_entry(1)[digest("tar", 1)])
    assert list(inspect_entries(caches.root())) == [
        InspectedEntry(app, amd64, layer().diff_id, keys, layer(), "own"),
        InspectedEntry(app, amd64, layer().diff_id, keys, layer(0, ZSTD), "own"),
        InspectedEntry(app, "linux/arm/v7", layer(3).diff_id, (ARM.map_key,), layer(3), "own"),
        InspectedEntry(ko, amd64, digest("tar", 1), ("id",), kos, "foreign"),
        InspectedEntry(ko, amd64, "x", (), None, "damaged"),
        InspectedEntry(ko, amd64, digest("half"), ("two",), None, "half"),
        InspectedEntry(ko, amd64, "5", ("three",), None, "damaged"),
    ]
    assert caches.warnings == []


@pytest.mark.parametrize(
    ("directory", "import_path", "platform"),
    [
        ("a/linux/amd64", "a", "linux/amd64"),
        ("a/linux/arm/v7", "a", "linux/arm/v7"),
        ("linux/amd64/linux/amd64", "linux/amd64", "linux/amd64"),
        ("a%20b/windows/amd64:10.0.20348.1", "a b", "windows/amd64:10.0.20348.1"),
        ("a%20b/plan10/mips", "a b", "plan10/mips"),
        ("a/linux/%/mips", "a/linux", "/mips"),
    ],
)
def test_import_path_and_platform_are_read_from_the_directory(
    caches: Caches, directory: str, import_path: str, platform: str
) -> None:
    place = caches.path / "bin" / directory
    place.mkdir(parents=True)
    (place / "buildid-to-diffid").write_text('{"a": "b"}')
    (entry,) = inspect_entries(caches.root())
    assert (entry.import_path, entry.platform) == (import_path, platform)


def test_everything_is_counted_and_measured(caches: Caches) -> None:
    fill(caches)
    os.truncate(caches.path / "img/index.json", 0)  # not a part of it
    usage = measure_usage(caches.root())
    assert (usage.layers, usage.foreign, usage.damaged, usage.contents) == (3, 1, 2, 1)
    assert (usage.ko_bytes, usage.content_bytes) == (1000, len(CONFIG))
    maps = [path for path in caches.path.rglob("*-to-*") if path.is_file()]
    assert usage.map_files == len(maps) == 7
    assert usage.map_bytes == sum(path.stat().st_size for path in maps)


def test_an_empty_cache_has_nothing(caches: Caches) -> None:
    usage = measure_usage(caches.root())
    assert set(vars(usage).values()) == {0}


def test_a_link_that_leads_nowhere_has_no_size(caches: Caches) -> None:
    caches.here.mkdir(parents=True)
    (caches.here / "buildid-to-diffid").symlink_to("nowhere")
    usage = measure_usage(caches.root())
    assert (usage.map_files, usage.map_bytes) == (1, 0)


def test_damaged_files_are_told_and_the_others_shown(caches: Caches) -> None:
    assert caches().record(key(), layer())
    caches.write("buildid-to-diffid", "")
    (entry,) = inspect_entries(caches.root())
    assert (entry.state, entry.keys, entry.layer) == ("own", (), layer())
    caches.write("diffid-to-descriptor", "")
    assert list(inspect_entries(caches.root())) == []
    assert len(caches.warnings) == 3
    assert all("it is empty" in warning for warning in caches.warnings)
