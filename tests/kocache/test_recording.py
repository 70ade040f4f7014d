"""What is in the files after records: bounds, order, neighbours, ko's entries."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading

import pytest
from kocache.samples import (
    GZIP,
    GZIP6,
    HERE,
    ZSTD,
    Caches,
    age,
    digest,
    key,
    ko_entry,
    layer,
)

from ko_pants.kocache import recording
from ko_pants.kocache.map_files import own_descriptors
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.recording import record_layers
from ko_pants.kocache.shared_files import write_atomically
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor

SHARED = "diffid-to-descriptor"
BUILD_IDS = "buildid-to-diffid"


def states(caches: Caches) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in caches.here.iterdir()}


def test_the_files_are_kos_and_not_readable_as_descriptors_by_ko(caches: Caches) -> None:
    assert caches().record(key(), layer())
    assert caches.names() == [BUILD_IDS, SHARED]
    assert (caches.here / BUILD_IDS).read_text() == (
        f'{{\n  "{key().build_key}": "{layer().diff_id}"\n}}\n'
    )
    text = (caches.here / SHARED).read_text()
    descriptor = json.loads(text)[layer().diff_id]
    assert list(descriptor)[:3] == ["mediaType", "size", "digest"]
    assert descriptor["annotations"]["dev.ko-pants.compressor"] == GZIP
    # Go decodes annotations into map[string]string and fails on this: a miss for ko.
    assert descriptor["annotations"]["dev.ko-pants.format"] == 1
    assert text.startswith('{\n  "sha256:')
    assert text.endswith("}\n")


def test_two_keys_of_one_layer(caches: Caches) -> None:
    assert caches().record_many([(key(1), layer()), (key(2), layer())])
    assert caches().lookup(key(1), GZIP) == layer()
    assert caches().lookup(key(2), GZIP) == layer()
    annotations = caches.json(SHARED)[layer().diff_id]["annotations"]
    assert annotations["dev.ko-pants.keys"] == [key(1).map_key, key(2).map_key]


def test_a_record_of_what_is_there_writes_nothing(caches: Caches) -> None:
    for compressor in (GZIP, ZSTD, GZIP6):
        assert caches().record(key(), layer(compressor=compressor))
    before = states(caches)
    for compressor in (GZIP, ZSTD, GZIP6):
        assert caches().lookup(key(), compressor) == layer(compressor=compressor)
        assert caches().record(key(), layer(compressor=compressor))
    assert states(caches) == before
    assert sorted(before) == [
        BUILD_IDS,
        SHARED,
        own_descriptors(GZIP6),
        own_descriptors(ZSTD),
    ]


def test_a_record_writes_only_the_files_that_it_changes(caches: Caches) -> None:
    assert caches().record(key(), layer())
    assert caches().record(key(), layer(compressor=ZSTD))
    before = states(caches)
    assert caches().record(key(), layer(blob="drifted"))
    changed = {name for name, state in states(caches).items() if state != before[name]}
    assert changed == {SHARED}


def test_a_key_leads_to_one_layer_of_a_compressor(caches: Caches) -> None:
    """A layer that no key leads to is dropped; one with another key stays."""
    assert caches().record_many([(key(0), layer(0)), (key(1), layer(0)), (key(0), layer(1))])
    assert list(caches.json(SHARED)) == [layer(0).diff_id, layer(1).diff_id]
    assert caches().lookup(key(0), GZIP) == layer(1)
    assert caches().lookup(key(1), GZIP) == layer(0)
    assert caches().record(key(1), layer(1))
    assert list(caches.json(SHARED)) == [layer(1).diff_id]


def test_a_second_compressor_has_a_file_of_its_own_for_the_same_layer_only(caches: Caches) -> None:
    assert caches().record(key(0), layer(0))
    assert caches().record(key(1), layer(1, ZSTD))
    assert set(caches.json(SHARED)) == {layer(0).diff_id, layer(1).diff_id}
    assert caches().record(key(0), layer(0, ZSTD))
    assert list(caches.json(own_descriptors(ZSTD))) == [layer(0).diff_id]
    assert caches().record(key(0), layer(2, ZSTD))
    for number, compressor in ((0, ZSTD), (1, ZSTD), (2, ZSTD), (0, GZIP)):
        found = caches().lookup(key(number), compressor)
        expected = {(1, ZSTD): layer(1, ZSTD)}.get((number, compressor))
        if (number, compressor) == (0, ZSTD):
            expected = layer(2, ZSTD)
        assert found == expected


def test_a_key_of_another_compressor_stays_when_one_moves_on(caches: Caches) -> None:
    assert caches().record(key(0), layer(0, GZIP))
    assert caches().record(key(0), layer(1, ZSTD))
    keys = caches.json(SHARED)[layer(0).diff_id]["annotations"]["dev.ko-pants.keys"]
    assert keys == [key(0).map_key]
    assert caches().record(key(0), layer(0, GZIP))
    assert caches().lookup(key(0), GZIP) == layer(0, GZIP)


def test_a_drifted_blob_counts_for_every_key(caches: Caches) -> None:
    assert caches().record_many([(key(1), layer()), (key(2), layer())])
    assert caches().record(key(1), layer(blob="drifted"))
    assert caches().lookup(key(1), GZIP) == layer(blob="drifted")
    assert caches().lookup(key(2), GZIP) == layer(blob="drifted")


def test_maps_are_bounded_and_the_oldest_go(caches: Caches) -> None:
    cache = caches(max_layers=5)
    for number in range(40):
        assert cache.record(key(number), layer(number))
    assert [n for n in range(40) if cache.lookup(key(n), GZIP)] == [35, 36, 37, 38, 39]
    assert list(caches.json(SHARED)) == [layer(n).diff_id for n in range(35, 40)]
    build_ids = caches.json(BUILD_IDS)
    assert list(build_ids) == [key(n).map_key for n in range(20, 40)]


def test_64_layers_are_kept(caches: Caches) -> None:
    items = [(key(n), layer(n)) for n in range(300)]
    assert caches().record_many(items)
    assert [n for n in range(300) if caches().lookup(key(n), GZIP)] == list(range(236, 300))
    assert len(caches.json(BUILD_IDS)) == 256


def test_what_is_recorded_again_is_the_newest(caches: Caches) -> None:
    """It moves to the end in both maps if it changed, so that it is the last to be dropped."""
    assert caches().record_many([(key(n), layer(n)) for n in range(3)])
    assert caches().record_many([(key(0), layer(7)), (key(1), layer(1, blob="drifted"))])
    assert list(caches.json(BUILD_IDS)) == [key(n).map_key for n in (1, 2, 0)]
    assert list(caches.json(SHARED)) == [layer(n).diff_id for n in (2, 7, 1)]


def test_a_layer_with_another_key_is_the_newest(caches: Caches) -> None:
    assert caches().record_many([(key(n), layer(n)) for n in range(3)])
    assert caches().record(key(9), layer(0))
    assert list(caches.json(SHARED)) == [layer(n).diff_id for n in (1, 2, 0)]
    assert caches().lookup(key(0), GZIP) == caches().lookup(key(9), GZIP) == layer(0)


@pytest.mark.parametrize("name", [BUILD_IDS, SHARED])
def test_a_tail_that_ko_left_is_removed_even_if_nothing_else_changes(
    caches: Caches, name: str
) -> None:
    assert caches().record(key(), layer())
    whole = (caches.here / name).read_text()
    caches.write(name, whole + "}")
    assert caches().record(key(), layer())
    assert (caches.here / name).read_text() == whole


def test_damaged_entries_are_dropped_by_the_next_write(caches: Caches) -> None:
    assert caches().record_many([(key(n), layer(n)) for n in range(2)])
    for name in (BUILD_IDS, SHARED):
        caches.write(name, {**caches.json(name), "damaged": 1})
    assert caches().record(key(0), layer(0)), "which is there already"
    assert list(caches.json(BUILD_IDS)) == [key(n).map_key for n in range(2)]
    assert list(caches.json(SHARED)) == [layer(n).diff_id for n in range(2)]
    assert caches.warnings == []


def test_a_damaged_file_of_a_compressor_is_repaired(caches: Caches) -> None:
    assert caches().record(key(), layer())
    assert caches().record(key(), layer(compressor=ZSTD))
    caches.write(own_descriptors(ZSTD), "{}}")
    assert caches().record(key(), layer(compressor=ZSTD))
    assert caches().lookup(key(), ZSTD) == layer(compressor=ZSTD)
    assert list(caches.json(own_descriptors(ZSTD))) == [layer().diff_id]


def test_what_ko_leaves_behind_a_shorter_write_is_ignored_and_removed(caches: Caches) -> None:
    assert caches().record_many([(key(n), layer(n)) for n in range(3)])
    caches.write_as_ko(BUILD_IDS, {key(1).build_key: layer(1).diff_id})
    with pytest.raises(ValueError, match="Extra data"):
        caches.json(BUILD_IDS)
    assert caches().lookup(key(1), GZIP) == layer(1)
    assert caches().lookup(key(0), GZIP) is None
    assert caches().record(key(1), layer(1))
    assert caches.json(BUILD_IDS) == {key(1).build_key: layer(1).diff_id}
    assert caches.warnings == []


# Beside ko


@pytest.mark.parametrize("evidence", ["out", "descriptors"])
def test_where_ko_works_its_descriptors_stay_and_build_ids_are_shared(
    caches: Caches, evidence: str
) -> None:
    caches.write_as_ko(BUILD_IDS, {key(0).build_key: layer(0).diff_id})
    if evidence == "out":
        caches.ko_output()
    else:
        caches.write_as_ko(SHARED, ko_entry(0))
    cache = caches(max_layers=2)
    for number in range(12):
        assert cache.record(key(number), layer(number))
    assert cache.lookup(key(11), GZIP) == layer(11)
    assert list(caches.json(own_descriptors(GZIP))) == [layer(n).diff_id for n in (10, 11)]
    kept = [] if evidence == "out" else [0]  # ko needs it for its descriptor
    newest = range(4 + len(kept), 12)
    assert list(caches.json(BUILD_IDS)) == [key(n).build_key for n in (*kept, *newest)]
    if evidence == "out":
        assert not (caches.here / SHARED).exists()
    else:
        assert caches.json(SHARED) == ko_entry(0)


def test_several_records_at_once_beside_ko(caches: Caches) -> None:
    caches.ko_output()
    assert caches().record_many([(key(n), layer(n)) for n in range(3)])
    assert [caches().lookup(key(n), GZIP) for n in range(3)] == [layer(n) for n in range(3)]


def test_what_ko_overwrites_is_a_miss_and_then_beside(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    caches.ko_output()
    caches.write_as_ko(SHARED, ko_entry(0))
    before = (caches.here / SHARED).read_bytes()
    assert cache.lookup(key(), GZIP) is None
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    assert (caches.here / SHARED).read_bytes() == before


def test_a_newer_layer_beside_ko_is_not_hidden_by_an_older_one(caches: Caches) -> None:
    assert caches().record(key(), layer(blob="old"))
    output = caches.ko_output()  # ko came and its build failed
    assert caches().record(key(), layer(blob="new"))
    assert caches().lookup(key(), GZIP) == layer(blob="new")
    output.unlink()
    assert caches().record(key(), layer(blob="newest"))
    assert caches().lookup(key(), GZIP) == layer(blob="newest")


# Writing


def test_one_write_for_all_records_of_a_directory(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(recording, "sync_directory", written.append)

    def note(path: str, content: bytes, *, locked: bool) -> None:
        written.append(os.path.basename(path))
        assert locked
        write_atomically(path, content, locked=locked)

    monkeypatch.setattr(recording, "write_atomically", note)
    assert caches().record_many([(key(n), layer(n)) for n in range(5)])
    assert written == [SHARED, BUILD_IDS, str(caches.here)], "so that no build id leads nowhere"


def test_records_without_a_lock_do_not_share_a_temporary_file(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    caches.write(".buildid-to-diffid.ko-pants.tmp", "half, and its writer is alive")
    cache = caches()
    assert cache.record(key(1), layer(1))
    assert cache.record(key(2), layer(2))
    assert caches().lookup(key(1), GZIP) == layer(1)
    assert ".buildid-to-diffid.ko-pants.tmp" in caches.names()
    assert len(caches.warnings) == 1
    assert "No locks available" in caches.warnings[0]


def test_a_temporary_file_of_a_killed_writer_is_taken_over(caches: Caches) -> None:
    caches.write(".buildid-to-diffid.ko-pants.tmp", "{half")
    assert caches().record(key(), layer())
    assert caches.names() == [BUILD_IDS, SHARED]


def test_a_directory_in_the_place_of_a_map_is_moved_aside(caches: Caches) -> None:
    (caches.here / SHARED).mkdir(parents=True)
    (caches.here / SHARED / "something").write_text("precious")
    assert caches().record(key(), layer())
    assert caches().lookup(key(), GZIP) == layer()
    (moved,) = caches.here.glob(".*")
    assert moved.name.startswith(".diffid-to-descriptor.moved-")
    assert (moved / "something").read_text() == "precious"


class Racing:
    """Deletes the cache while its maps are written, a number of times."""

    def __init__(self, caches: Caches, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.left = times
        self._root = caches.path
        monkeypatch.setattr(recording, "write_atomically", self.write)

    def write(self, path: str, content: bytes, *, locked: bool) -> None:
        if self.left:
            self.left -= 1
            shutil.rmtree(self._root)
        write_atomically(path, content, locked=locked)


@pytest.mark.parametrize("times", [1, 2])
def test_a_cache_that_is_deleted_under_way_is_written_again(
    caches: Caches, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    Racing(caches, monkeypatch, times)
    assert caches().record(key(), layer())
    assert caches().lookup(key(), GZIP) == layer()
    assert caches.warnings == []


def test_a_cache_that_is_deleted_again_and_again_is_one_warning(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    racing = Racing(caches, monkeypatch, 10)
    assert not caches().record(key(), layer())
    assert racing.left == 7
    assert len(caches.warnings) == 1
    assert "No such file or directory" in caches.warnings[0]


def test_another_error_is_not_tried_again(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    times = []

    def full(path: str, content: bytes, *, locked: bool) -> None:
        times.append(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recording, "write_atomically", full)
    assert record_layers(caches.root(), HERE, [("key", layer())]) is False
    assert len(times) == 1


def test_a_stale_handle_is_tried_again(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system, when another machine deleted the file."""
    times: list[str] = []

    def stale(path: str, content: bytes, *, locked: bool) -> None:
        times.append(path)
        if len(times) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        write_atomically(path, content, locked=locked)

    monkeypatch.setattr(recording, "write_atomically", stale)
    assert record_layers(caches.root(), HERE, [("key", layer())])
    assert caches.warnings == []


def test_threads_of_one_run_lose_nothing(caches: Caches) -> None:
    cache = caches(max_layers=1000)

    def work(first: int) -> None:
        for number in range(first, first + 10):
            cache.record(key(number), layer(number))

    threads = [threading.Thread(target=work, args=(10 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(caches().lookup(key(n), GZIP) == layer(n) for n in range(80))


def test_kos_file_stays_with_the_tail_that_ko_left(
    caches: Caches,
) -> None:
    """ko leaves tails behind; where it works we never write its file, not even to repair it."""
    caches.write(SHARED, json.dumps(ko_entry(0)) + "}")
    before = (caches.here / SHARED).read_bytes()
    assert caches().record(key(), layer())
    assert (caches.here / SHARED).read_bytes() == before
    kos = CachedLayer(
        layer().diff_id, Descriptor(media_types.OCI_LAYER_GZIP, digest("by ko", 0), 55), "unknown"
    )
    (caches.here / own_descriptors(GZIP)).unlink()
    assert caches().lookup(key(), GZIP, allow_foreign=True) == kos


@pytest.mark.parametrize("linked", ["bin", "bin/example.com", HERE])
@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_that_is_a_link_is_not_written_to(
    caches: Caches, linked: str, exists: bool
) -> None:
    outside = caches.path.parent / "outside"
    if exists:
        outside.mkdir()
    link = caches.path / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    assert not caches().record(key(), layer())
    assert not exists or list(outside.iterdir()) == []
    (warning,) = caches.warnings
    assert f"{link} is a symbolic link, which is not followed" in warning


def test_maps_that_are_links_are_replaced_and_what_they_name_stays(caches: Caches) -> None:
    assert caches().record(key(), layer())
    for name in caches.names():
        outside = caches.path.parent / name
        (caches.here / name).rename(outside)
        (caches.here / name).symlink_to(outside)
        age(outside, 3)
    before = {n: (caches.path.parent / n).stat() for n in caches.names()}
    assert caches().lookup(key(), GZIP) == layer()
    assert caches().record(key(1), layer(1))
    for name, status in before.items():
        assert not (caches.here / name).is_symlink()
        after = (caches.path.parent / name).stat()
        assert (after.st_mtime, after.st_size) == (status.st_mtime, status.st_size)
