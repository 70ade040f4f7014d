"""What a run sees of its cache: hits, misses, verdicts, and that nothing on disk stops it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from kocache.samples import (
    AMD64,
    CONFIG,
    CONFIG_DESCRIPTOR,
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
    ordinary_user,
)

from ko_pants.errors import KoPantsError
from ko_pants.kocache import cache as cache_module
from ko_pants.kocache import locks
from ko_pants.kocache.cache import KoCache, Verdict
from ko_pants.kocache.counters import Counters, last_run
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.pruning import prune
from ko_pants.kocache.root import KoCacheUnusable
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.platform import Platform


def test_a_record_is_found_by_the_next_run(caches: Caches) -> None:
    assert caches().lookup(key(), GZIP) is None
    assert caches().record(key(), layer())
    cache = caches()
    assert cache.lookup(key(), GZIP) == layer()
    assert cache.lookup(key(), GZIP) == layer()  # from memory
    assert caches.warnings == []


def test_making_a_cache_and_missing_touch_nothing(caches: Caches) -> None:
    cache = caches()
    assert cache.lookup(key(), GZIP) is None
    assert cache.read_content(digest()) is None
    assert cache.record_many([])
    assert not caches.path.exists()


@pytest.mark.parametrize(
    "other",
    [
        key(1),
        key(variant="app=/app"),
        key(kind="kodata"),
        key(import_path="example.com/other"),
        key(platform=Platform("linux", "arm64")),
        key(platform=Platform("linux", "amd64", "v3")),
    ],
)
def test_another_key_is_a_miss_and_lives_beside(caches: Caches, other: LayerKey) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.lookup(other, GZIP) is None
    assert cache.counters.total == Counters(misses=1, records=1)
    assert cache.record(other, layer(7))
    assert cache.lookup(other, GZIP) == layer(7)
    assert cache.lookup(key(), GZIP) == layer()


def test_records_of_several_programs_at_once(caches: Caches) -> None:
    cache = caches()
    other = key(import_path="example.com/other")
    assert cache.record_many([(key(), layer()), (other, layer(1)), (key(2), layer(2))])
    for one, expected in ((key(), layer()), (other, layer(1)), (key(2), layer(2))):
        assert caches().lookup(one, GZIP) == expected
    assert cache.counters.total.records == 3


def test_another_compressor_only_where_allowed_and_encoded_alike(caches: Caches) -> None:
    assert caches().record(key(), layer(compressor=GZIP))
    cache = caches()
    assert cache.lookup(key(), GZIP6) is None
    assert cache.lookup(key(), ZSTD, allow_foreign=True) is None
    assert cache.lookup(key(), "stargz-1/estargz-1", allow_foreign=True) is None
    assert cache.lookup(key(), GZIP6, allow_foreign=True) == layer(compressor=GZIP)
    assert cache.lookup(key(), GZIP, allow_foreign=True) == layer(compressor=GZIP)
    assert cache.counters.total == Counters(hits=2, foreign=1, half_hits=3, misses=3)


def test_what_ko_recorded_is_read_only_where_allowed(caches: Caches) -> None:
    caches.write_as_ko("buildid-to-diffid", {key().build_key: layer().diff_id})
    caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    cache = caches()
    assert cache.lookup(key(), GZIP) is None
    assert cache.lookup(key(), GZIP, allow_foreign=True) == CachedLayer(
        layer().diff_id,
        Descriptor(media_types.OCI_LAYER_GZIP, digest("by ko", 0), 55),
        "unknown",
    )
    assert cache.lookup(key(), ZSTD, allow_foreign=True) is None
    assert cache.counters.total == Counters(hits=1, foreign=1, half_hits=2, misses=2)


def test_docker_media_types_come_back_as_oci(caches: Caches) -> None:
    own = layer().descriptor
    docker = Descriptor(media_types.DOCKER_LAYER_GZIP, own.digest, own.size, platform=AMD64)
    given = CachedLayer(layer().diff_id, docker, GZIP)
    cache = caches()
    assert cache.record(key(), given)
    assert cache.lookup(key(), GZIP) == layer()
    assert cache.compare(key(), given) is Verdict.SAME


def test_annotations_of_a_layer_are_kept(caches: Caches) -> None:
    plain = layer().descriptor
    annotations = (("containerd.io/snapshot/stargz/toc.digest", digest("toc")),)
    annotated = CachedLayer(
        layer().diff_id,
        Descriptor(plain.media_type, plain.digest, plain.size, annotations=annotations),
        GZIP,
    )
    assert caches().record(key(), annotated)
    assert caches().lookup(key(), GZIP) == annotated


def test_what_is_no_layer_is_refused(caches: Caches) -> None:
    wrong = CachedLayer("sha256:short", layer().descriptor, GZIP)
    with pytest.raises(KoPantsError, match="sha256"):
        caches().record_many([(key(1), layer()), (key(), wrong)])
    assert not caches.path.exists(), "all or nothing"
    with pytest.raises(KoPantsError, match="sha256"):
        caches().compare(key(), wrong)


def test_drift_heals(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer(blob="old"))
    rebuilt = layer(blob="new")
    assert cache.compare(key(), layer(blob="old")) is Verdict.SAME
    assert cache.compare(key(), rebuilt) is Verdict.DESCRIPTOR_DIFFERS
    assert cache.record(key(), rebuilt)
    assert caches().lookup(key(), GZIP) == rebuilt
    assert cache.compare(key(), rebuilt) is Verdict.SAME
    assert cache.compare(key(1), rebuilt) is Verdict.ABSENT
    assert cache.compare(key(), layer(compressor=GZIP6)) is Verdict.ABSENT


@pytest.mark.parametrize("name", ["buildid-to-diffid", "diffid-to-descriptor"])
def test_comparing_with_a_damaged_map_is_told(caches: Caches, name: str) -> None:
    assert caches().record(key(), layer())
    caches.write(name, "")
    assert caches().compare(key(), layer()) is Verdict.ABSENT
    assert len(caches.warnings) == 1
    assert f"/{name}: it is empty" in caches.warnings[0]


def test_a_forged_diff_id_is_seen_and_healed(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(1), layer(1))
    assert cache.record(key(2), layer(2))
    path = caches.here / "buildid-to-diffid"
    path.write_text(path.read_text().replace(layer(1).diff_id, layer(2).diff_id))
    assert cache.lookup(key(1), GZIP) is None, "the descriptor of layer 2 does not name key 1"
    assert cache.compare(key(1), layer(1)) is Verdict.DIFF_ID_DIFFERS
    assert cache.record(key(1), layer(1))
    assert caches().lookup(key(1), GZIP) == layer(1)
    assert caches().lookup(key(2), GZIP) == layer(2)


def test_a_map_copied_to_another_program_is_no_hit(caches: Caches) -> None:
    assert caches().record(key(), layer())
    elsewhere = caches.path / "bin/example.com/other/linux/amd64"
    shutil.copytree(caches.here, elsewhere)
    assert caches().lookup(key(import_path="example.com/other"), GZIP) is None


def test_what_another_run_writes_is_seen_at_once(caches: Caches) -> None:
    """Lookups are remembered, hits and misses, until one of the files is another."""
    cache = caches()
    for expected in (None, layer(blob="old"), layer(blob="new"), layer(1)):
        if expected is not None:
            assert caches().record(key(), expected)
        for _ in range(2):
            assert cache.lookup(key(), GZIP) == expected
    caches.ko_output()
    assert cache.lookup(key(), GZIP) is None


def test_a_remembered_lookup_reads_no_file(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = caches()
    assert cache.record_many([(key(), layer()), (key(1), layer(1))])
    assert cache.record(key(), layer(0, ZSTD))
    questions = [(key(), GZIP, layer()), (key(), ZSTD, layer(0, ZSTD)), (key(1), GZIP, layer(1))]
    for one, compressor, expected in questions:
        assert cache.lookup(one, compressor) == expected
    for name in ("find_own_layer", "find_diff_id", "find_foreign_layer"):
        monkeypatch.setattr(cache_module, name, None)
    for one, compressor, expected in questions:
        assert cache.lookup(one, compressor, allow_foreign=True) == expected
        assert cache.lookup(one, compressor) == expected


def test_what_is_remembered_is_bounded(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "_MAX_REMEMBERED_LOOKUPS", 3)
    cache = caches()
    assert cache.record_many([(key(n), layer(n)) for n in range(7)])
    sizes = []
    for number in range(7):
        assert cache.lookup(key(number), GZIP) == layer(number)
        sizes.append(len(cache._remembered))
    assert sizes == [1, 2, 3, 1, 2, 3, 1]


def test_a_hit_notes_the_use_of_the_maps_and_not_of_kos_executable(caches: Caches) -> None:
    output = caches.ko_output()
    cache = caches()
    assert cache.record(key(), layer())
    age(caches.here, 5)
    before = {path.name: path.stat().st_mtime for path in caches.here.iterdir()}
    assert cache.lookup(key(1), GZIP) is None
    assert {path.name: path.stat().st_mtime for path in caches.here.iterdir()} == before
    assert cache.lookup(key(), GZIP) == layer()
    used = {path.name for path in caches.here.iterdir() if path.stat().st_mtime > before["out"] + 1}
    assert used == set(before) - {output.name}


def test_a_hit_costs_one_stat_for_each_path(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    asked: list[str] = []
    stat = os.stat

    def note(path: str) -> os.stat_result:
        asked.append(path)
        return stat(path)

    monkeypatch.setattr(os, "stat", note)
    assert cache.lookup(key(), GZIP) == layer()
    monkeypatch.undo()
    assert len(asked) == len(set(asked)) == 4


# Nothing on disk stops a run


def test_a_read_only_cache_is_read_with_one_warning(caches: Caches) -> None:
    assert caches().record(key(), layer())
    caches.make_read_only()
    cache = caches()
    with ordinary_user():
        cache.check_usable()
        with pytest.raises(KoCacheUnusable, match=r"KOCACHE .* cannot write"):
            cache.check_usable(writable=True)
        assert cache.lookup(key(), GZIP) == layer()
        assert not cache.record(key(1), layer(1))
        assert not cache.record(key(2), layer(2))
        assert not cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
        assert not cache.save_counters()
        assert cache.lookup(key(), GZIP) == layer()
        assert cache.lookup(key(1), GZIP) is None
    assert cache.counters.total.records == 0
    assert len(caches.warnings) == 1
    assert "not updated (Permission denied)" in caches.warnings[0]
    assert str(caches.path) in caches.warnings[0]


def test_one_directory_that_cannot_be_written_does_not_lose_the_others(caches: Caches) -> None:
    (caches.path / "bin").mkdir(parents=True)
    (caches.path / "bin/blocked").write_text("a file")
    cache = caches()
    assert not cache.record_many(
        [(key(import_path="blocked"), layer()), (key(), layer()), (key(1), layer(1))]
    )
    assert caches().lookup(key(), GZIP) == layer()
    assert cache.counters.total.records == 2
    assert [w for w in caches.warnings if "not updated" in w] == caches.warnings[-1:]
    assert "(Not a directory)" in caches.warnings[-1]


def test_a_full_disk_is_one_warning(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    write = os.write

    def full(fd: int, data: bytes) -> int:
        write(fd, bytes(data)[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not cache.record(key(1), layer(1))
    assert not cache.record(key(2), layer(2))
    monkeypatch.undo()
    assert [("No space left" in w) for w in caches.warnings] == [True]
    assert caches.names() == ["buildid-to-diffid", "diffid-to-descriptor"]
    assert caches().lookup(key(), GZIP) == layer()
    assert cache.record(key(1), layer(1))


def test_a_stuck_lock_holder_delays_and_does_not_block(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_TIMEOUT_SECONDS", 0.0)
    with caches.root().maps_lock(HERE):
        assert not caches().record(key(), layer())
    assert "lock" in caches.warnings[0]
    assert caches().record(key(), layer())


def test_the_cache_may_be_deleted_under_way(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    shutil.rmtree(caches.path)
    assert cache.lookup(key(), GZIP) is None
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    assert caches.warnings == []


@pytest.mark.parametrize("kind", ["a file", "below a file"])
def test_an_unusable_root_is_an_error_only_when_asked(
    caches: Caches, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "file").write_text("")
    root = {"a file": f"{tmp_path}/file", "below a file": f"{tmp_path}/file/x"}[kind]
    cache = KoCache(root, warn=caches.warnings.append)
    assert cache.lookup(key(), GZIP) is None
    assert not cache.record(key(), layer())
    assert caches.warnings
    with pytest.raises(KoCacheUnusable, match=r"KOCACHE .*directory") as caught:
        cache.check_usable()
    assert root in str(caught.value)


# Base images, upkeep, counts


def test_contents_are_kept(caches: Caches) -> None:
    cache = caches()
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    assert caches().read_content(CONFIG_DESCRIPTOR.digest) == CONFIG
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG + b" ") is False
    assert len(caches.warnings) == 1


def test_contents_that_cannot_be_written_are_told(caches: Caches) -> None:
    caches.path.write_text("a file")
    cache = caches()
    assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG) is False
    assert len(caches.warnings) == 1
    assert "not updated (Not a directory)" in caches.warnings[0]


def test_a_record_that_failed_does_not_prune(caches: Caches) -> None:
    cache = caches()
    old = key(import_path="example.com/old")
    assert cache.record(old, layer())
    age(caches.path, 100)
    (caches.path / "bin/blocked").write_text("a file")
    assert not cache.record(key(import_path="blocked"), layer())
    assert cache.lookup(old, GZIP) == layer()


@pytest.mark.parametrize("by", ["a record", "a content"])
def test_a_cache_bounds_itself_once_a_day(caches: Caches, by: str) -> None:
    cache = caches()
    old = caches.path / "bin/example.com/old"
    assert cache.record(key(import_path="example.com/old"), layer())
    age(old, 100)
    assert cache.record(key(), layer())
    assert old.exists()
    age(caches.path / "ko-pants", 1.1)
    if by == "a record":
        assert cache.record(key(), layer())
    else:
        assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
    assert not old.exists()


def test_a_cache_that_cannot_be_pruned_is_no_error(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    age(caches.path, 100)
    monkeypatch.setattr(locks, "_TIMEOUT_SECONDS", 0.0)
    with caches.root().maps_lock(HERE):
        assert cache.write_content(CONFIG_DESCRIPTOR, CONFIG)
        with pytest.raises(KoCacheUnusable):
            prune(cache.root)
    assert cache.lookup(key(), GZIP) == layer()


def test_the_counts_of_a_run_are_kept(caches: Caches) -> None:
    cache = caches()
    cache.lookup(key(), GZIP)
    cache.record(key(), layer())
    assert cache.save_counters()
    cache.begin_run()
    cache.lookup(key(), GZIP)
    cache.lookup(key(), GZIP6)
    assert cache.save_counters()
    assert last_run(caches.root()) == Counters(hits=1, half_hits=1, misses=1)


def test_verdicts_are_words_that_a_goal_prints() -> None:
    assert [verdict.value for verdict in Verdict] == [
        "same",
        "absent",
        "descriptor differs",
        "diffID differs",
    ]


def test_warnings_go_to_the_log_by_default(
    caches: Caches, caplog: pytest.LogCaptureFixture
) -> None:
    caches.write("buildid-to-diffid", "")
    assert KoCache(str(caches.path)).lookup(key(), GZIP) is None
    assert [record.name for record in caplog.records] == ["ko_pants.kocache"]
