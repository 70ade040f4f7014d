"""What pruning deletes, in which order, and what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Callable, Iterator

import pytest
from kocache.samples import (
    CONFIG,
    CONFIG_DESCRIPTOR,
    GZIP,
    GZIP6,
    HERE,
    ZSTD,
    Caches,
    age,
    descriptor_of,
    key,
    ko_entry,
    layer,
    ordinary_user,
)

from ko_pants.kocache import locks, pruning
from ko_pants.kocache.inspection import measure_usage
from ko_pants.kocache.map_files import own_descriptors
from ko_pants.kocache.pruning import PruneResult, prune
from ko_pants.kocache.root import CacheRoot, KoCacheUnusable
from ko_pants.oci.descriptor import sha256_digest


def total_bytes(caches: Caches) -> int:
    usage = measure_usage(caches.root())
    return usage.map_bytes + usage.content_bytes


class Meanwhile(CacheRoot):
    """A cache in which something happens before pruning has the lock of a directory."""

    def __init__(self, caches: Caches, what: Callable[[], object]) -> None:
        super().__init__(str(caches.path), caches.warnings.append)
        self._what = what

    @contextlib.contextmanager
    def _after(self, lock: contextlib.AbstractContextManager[bool]) -> Iterator[bool]:
        self._what()
        with lock as held:
            yield held

    def maps_lock(self, directory: str) -> contextlib.AbstractContextManager[bool]:
        return self._after(super().maps_lock(directory))


def test_the_bounds_are_those_of_the_documentation() -> None:
    assert pruning.MAX_AGE_SECONDS == 90 * 86_400
    assert pruning.MAX_BYTES == 268_435_456


def test_what_is_in_use_is_spared(caches: Caches) -> None:
    old, used = key(import_path="example.com/old"), key(import_path="example.com/used")
    cache = caches()
    assert cache.record_many([(old, layer(1)), (used, layer(2))])
    for content in (CONFIG, b"[]"):
        assert cache.write_content(descriptor_of(content), content)
    age(caches.path, 91)
    assert cache.lookup(used, GZIP) == layer(2)
    assert cache.read_content(CONFIG_DESCRIPTOR.digest) == CONFIG
    before = total_bytes(caches)
    result = prune(caches.root())
    assert result.removed_files == 3
    assert result.kept_bytes == total_bytes(caches) == before - result.removed_bytes
    assert cache.lookup(old, GZIP) is None
    assert cache.lookup(used, GZIP) == layer(2)
    assert cache.read_content(CONFIG_DESCRIPTOR.digest) == CONFIG
    assert cache.read_content(sha256_digest(b"[]")) is None
    assert not (caches.path / "bin/example.com/old").exists()


def test_what_is_younger_than_the_age_stays(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    age(caches.path, 89)
    assert prune(caches.root()).removed_files == 0
    assert prune(caches.root(), max_age_seconds=88 * 86_400).removed_files == 2
    assert prune(caches.root()) == PruneResult(0, 0, 0)


def test_maps_of_a_platform_are_as_old_as_the_youngest_of_them(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.record(key(), layer(compressor=ZSTD))
    for young in caches.names():
        age(caches.here, 100)
        age(caches.here / young, 1)
        assert prune(caches.root()).removed_files == 0


def test_the_longest_unused_goes_first_down_to_the_size(caches: Caches) -> None:
    cache = caches()
    for number in range(6):
        one = key(import_path=f"example.com/{number}")
        assert cache.record(one, layer(number))
        age(caches.path / one.directory, 10 - number)
    total = total_bytes(caches)
    assert prune(caches.root(), max_bytes=total).removed_files == 0
    result = prune(caches.root(), max_bytes=total // 2)
    assert result.kept_bytes == total_bytes(caches) <= total // 2
    assert (result.removed_files, result.removed_bytes) == (6, total - result.kept_bytes)
    left = [n for n in range(6) if cache.lookup(key(import_path=f"example.com/{n}"), GZIP)]
    assert left == [3, 4, 5]


def test_directories_that_are_not_empty_then_stay(caches: Caches) -> None:
    below = key(import_path="example.com/app/cmd")
    assert caches().record_many([(key(), layer()), (below, layer(1))])
    age(caches.here, 100)
    prune(caches.root())
    assert not caches.here.exists()
    assert caches().lookup(below, GZIP) == layer(1)
    prune(caches.root(), max_age_seconds=-1)
    assert sorted(path.name for path in caches.path.iterdir()) == ["bin", "ko-pants"]
    assert os.listdir(caches.path / "bin") == []


@pytest.mark.parametrize("evidence", ["out", "descriptors"])
def test_where_ko_works_only_ours_go(caches: Caches, evidence: str) -> None:
    caches.write_as_ko("buildid-to-diffid", {key().build_key: layer().diff_id})
    if evidence == "out":
        caches.ko_output()
        caches.write_as_ko("diffid-to-descriptor", {})
    else:
        caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    for compressor in (GZIP, GZIP6):
        assert caches().record(key(1), layer(1, compressor))
    before = caches.names()
    ours = [own_descriptors(GZIP), own_descriptors(GZIP6)]
    assert set(ours) < set(before)
    assert prune(caches.root(), max_age_seconds=-1).removed_files == 2
    assert caches.names() == sorted(set(before) - set(ours))


def test_what_kos_list_reaches_stays(caches: Caches) -> None:
    cache = caches()
    manifest = json.dumps({"config": {"digest": sha256_digest(b"{}")}}).encode()
    for content in (b"{}", manifest, b"[]"):
        assert cache.write_content(descriptor_of(content), content)
    (caches.path / "img/index.json").write_text(
        json.dumps({"manifests": [{"digest": sha256_digest(manifest)}]})
    )
    assert prune(caches.root(), max_age_seconds=-1, max_bytes=0) == PruneResult(1, 2, 0)
    assert cache.read_content(sha256_digest(manifest)) == manifest
    assert cache.read_content(sha256_digest(b"{}")) == b"{}"
    assert cache.read_content(sha256_digest(b"[]")) is None


def test_where_kos_list_is_damaged_all_contents_stay(caches: Caches) -> None:
    cache = caches()
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    assert cache.record(key(), layer())
    (caches.path / "img/index.json").write_text("[]")
    assert prune(caches.root(), max_age_seconds=-1).removed_files == 2
    assert cache.read_content(CONFIG_DESCRIPTOR.digest) == CONFIG


def test_unfinished_writes_of_killed_writers_go(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    alone = caches.path / "bin/example.com/killed/linux/amd64"
    alone.mkdir(parents=True)
    hex_digest = CONFIG_DESCRIPTOR.digest.partition(":")[2]
    left = [
        caches.here / ".buildid-to-diffid.ko-pants.tmp.77-abc",
        alone / ".buildid-to-diffid.ko-pants.tmp",
        caches.path / f"img/blobs/sha256/.{hex_digest}.ko-pants.tmp.77-abc",
    ]
    for path in left:
        path.write_text("half")
        age(path, 1.01 / 24)
    fresh = caches.here / ".buildid-to-diffid.ko-pants.tmp.78-abc"
    fresh.write_text("half")
    age(fresh, 0.99 / 24)
    result = prune(caches.root())
    assert (result.removed_files, result.removed_bytes) == (3, 12)
    assert not any(path.exists() for path in left)
    assert fresh.exists(), "its writer may be alive"


# Others at the same time


def test_what_is_used_while_pruning_waits_for_the_lock_stays(caches: Caches) -> None:
    assert caches().record(key(), layer())
    size = total_bytes(caches)
    age(caches.path, 100)
    root = Meanwhile(caches, lambda: caches().lookup(key(), GZIP))
    assert prune(root) == PruneResult(0, 0, size)
    assert caches().lookup(key(), GZIP) == layer()
    assert prune(root) == PruneResult(0, 0, size)


def test_what_others_add_to_old_maps_meanwhile_goes_with_them(caches: Caches) -> None:
    """As with a clock that is late; what is left is never less than nothing."""

    def add() -> None:
        caches.write(own_descriptors(ZSTD), " " * 1000)
        age(caches.here, 100)

    assert caches().record(key(), layer())
    size = total_bytes(caches)
    age(caches.path, 99)
    root = Meanwhile(caches, add)
    assert prune(root) == PruneResult(3, size + 1000, 0)


def test_when_ko_comes_meanwhile_its_files_stay(caches: Caches) -> None:
    assert caches().record(key(), layer())
    age(caches.path, 100)
    kept = total_bytes(caches)
    assert prune(Meanwhile(caches, caches.ko_output)) == PruneResult(0, 0, kept)
    assert caches.names() == ["buildid-to-diffid", "diffid-to-descriptor", "out"]


def test_what_another_prunes_meanwhile_is_no_error(caches: Caches) -> None:
    assert caches().record(key(), layer())
    age(caches.path, 100)

    def prune_too() -> None:
        prune(caches.root())

    assert prune(Meanwhile(caches, prune_too)).removed_files == 0
    assert not caches.here.exists()


def test_build_ids_go_before_what_they_lead_to(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that nobody who is killed leaves a build id that leads nowhere."""
    assert caches().record(key(), layer())
    assert caches().record(key(), layer(compressor=ZSTD))
    deleted: list[str] = []
    unlink = os.unlink

    def note(path: str) -> None:
        deleted.append(os.path.basename(path))
        unlink(path)

    monkeypatch.setattr(os, "unlink", note)
    prune(caches.root(), max_age_seconds=-1)
    assert deleted == ["buildid-to-diffid", "diffid-to-descriptor", own_descriptors(ZSTD)]


def test_what_cannot_be_deleted_is_left_and_counted_as_such(caches: Caches) -> None:
    """A directory has the name of a map; the next write moves it aside."""
    assert caches().record(key(), layer())
    (caches.here / own_descriptors(ZSTD)).mkdir()
    age(caches.path, 100)
    result = prune(caches.root())
    assert result.removed_files == 2
    assert caches.names() == [own_descriptors(ZSTD)]


def test_blobs_that_cannot_be_deleted_are_told_and_counted_as_left(caches: Caches) -> None:
    cache = caches()
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    caches.make_read_only()
    with ordinary_user():
        result = prune(caches.root(), max_age_seconds=-1)
    assert result == PruneResult(0, 0, len(CONFIG))
    assert len(caches.warnings) == 1
    assert "not deleted (Permission denied)" in caches.warnings[0]


def test_links_that_lead_nowhere_have_no_size_and_go_or_stay(caches: Caches) -> None:
    caches.here.mkdir(parents=True)
    (caches.here / "buildid-to-diffid").symlink_to("nowhere")
    (caches.here / ".buildid-to-diffid.ko-pants.tmp").symlink_to("nowhere")
    assert prune(caches.root()) == PruneResult(0, 0, 0)


def test_a_damaged_map_is_told_and_pruned(caches: Caches) -> None:
    assert caches().record(key(), layer())
    caches.write("diffid-to-descriptor", "")
    assert prune(caches.root(), max_age_seconds=-1).removed_files == 2
    assert len(caches.warnings) == 1
    assert "it is empty" in caches.warnings[0]


def test_where_no_map_is_ours_nothing_is_locked(caches: Caches) -> None:
    caches.write_as_ko("buildid-to-diffid", {key().build_key: layer().diff_id})
    caches.ko_output()
    assert prune(caches.root(), max_age_seconds=-1) == PruneResult(0, 0, 0)
    assert not (caches.path / "ko-pants").exists()


def test_a_cache_that_cannot_be_locked_is_a_clear_error(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert caches().record(key(), layer())
    monkeypatch.setattr(locks, "_TIMEOUT_SECONDS", 0.0)
    message = (
        rf"^KOCACHE is {caches.path}, which cannot be pruned \(another process has held the lock "
        r"for 30 seconds\): make it writable for this user, or end the process that holds its lock$"
    )
    with caches.root().maps_lock(HERE), pytest.raises(KoCacheUnusable, match=message):
        prune(caches.root(), max_age_seconds=-1)
    assert caches().lookup(key(), GZIP) == layer()


def test_a_read_only_cache_is_a_clear_error(caches: Caches) -> None:
    assert caches().record(key(), layer())
    assert caches().write_content(CONFIG_DESCRIPTOR, CONFIG)
    caches.make_read_only()
    with ordinary_user(), pytest.raises(KoCacheUnusable, match=r"pruned \(Permission denied\)"):
        prune(caches.root(), max_age_seconds=-1)
    assert caches().lookup(key(), GZIP) == layer()


def test_nothing_is_pruned_where_there_is_no_cache(caches: Caches) -> None:
    assert prune(caches.root(), max_age_seconds=-1) == PruneResult(0, 0, 0)
    assert not caches.path.exists()


@pytest.mark.parametrize("linked", ["img", "img/blobs/sha256", "bin", "bin/example.com"])
def test_what_links_lead_to_is_not_deleted(caches: Caches, linked: str) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    temporary = caches.path / "img/blobs/sha256/.x.ko-pants.tmp"
    temporary.touch()
    outside = caches.path.parent / "outside"
    (caches.path / linked).rename(outside)
    (caches.path / linked).symlink_to(outside)
    age(outside, 400)
    before = sorted(outside.rglob("*"))
    prune(caches.root())
    assert sorted(outside.rglob("*")) == before
