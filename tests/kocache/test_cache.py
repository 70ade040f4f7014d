"""What a user of the KoCache sees: hits, misses, one warning, repaired files."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.kocache import files
from ko_pants.kocache.cache import (
    CachedLayer,
    Counters,
    KoCache,
    KoCacheUnusable,
    LayerKey,
    Verdict,
)
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.platform import Platform

GZIP = "deflate-0.8.1/gzip-1/1MiB"
GZIP6 = "deflate-0.8.1/gzip-6/1MiB"
ZSTD = "zstandard-0.23.0/zstd-3/2MiB"
AMD64 = Platform("linux", "amd64")
HERE = "bin/example.com/app/linux/amd64"


def digest(*what: object) -> str:
    return sha256_digest(repr(what).encode())


def key(number: int = 0, **other: Any) -> LayerKey:
    return LayerKey(
        **{
            "import_path": "example.com/app",
            "platform": AMD64,
            "build_key": digest("key", number),
            **other,
        }
    )


def layer(number: int = 0, compressor: str = GZIP, *, blob: object = 0) -> CachedLayer:
    media_type = media_types.OCI_LAYER_ZSTD if "zstd" in compressor else media_types.OCI_LAYER_GZIP
    descriptor = Descriptor(media_type, digest("blob", number, compressor, blob), 100 + number)
    return CachedLayer(digest("tar", number), descriptor, compressor)


def ko_entry(number: int) -> dict[str, Any]:
    """A descriptor as ko records it."""
    return {
        digest("tar", number): {
            "mediaType": media_types.DOCKER_LAYER_GZIP,
            "size": 55,
            "digest": digest("by ko", number),
        }
    }


class Caches:
    """Makes KoCache objects on one root, as separate runs would, and keeps their warnings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.here = root / HERE
        self.warnings: list[str] = []

    def __call__(self, **options: Any) -> KoCache:
        return KoCache(str(self.root), warn=self.warnings.append, **options)

    def write_as_ko(self, name: str, value: Any) -> None:
        """As Go's encoder with indent, onto the file as it is: without truncation."""
        self.here.mkdir(parents=True, exist_ok=True)
        path = self.here / name
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o755)
        os.write(fd, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
        os.close(fd)


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path / "kocache")


def test_a_record_is_found_by_the_next_run(caches: Caches) -> None:
    assert caches().lookup(key(), GZIP) is None
    assert caches().record(key(), layer())
    cache = caches()
    assert cache.lookup(key(), GZIP) == layer()
    assert cache.lookup(key(), GZIP) == layer()  # from memory
    assert cache.lookup_diff_id(key()) == layer().diff_id
    assert caches.warnings == []


def test_making_a_cache_and_missing_touch_nothing(caches: Caches) -> None:
    cache = caches()
    assert cache.lookup(key(), GZIP) is None
    assert cache.read_content(digest()) is None
    assert not caches.root.exists()


def test_the_files_are_kos_and_not_readable_as_descriptors_by_ko(caches: Caches) -> None:
    assert caches().record(key(), layer())
    build_ids = json.loads((caches.here / "buildid-to-diffid").read_text())
    assert build_ids == {key().build_key: layer().diff_id}
    text = (caches.here / "diffid-to-descriptor").read_text()
    descriptor = json.loads(text)[layer().diff_id]
    assert list(descriptor)[:3] == ["mediaType", "size", "digest"]
    assert descriptor["annotations"]["dev.ko-pants.compressor"] == GZIP
    # Go decodes annotations into map[string]string and fails on this: a miss for ko.
    assert descriptor["annotations"]["dev.ko-pants.format"] == 1
    assert text.startswith('{\n  "sha256:')
    assert text.endswith("}\n")


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
    assert cache.lookup_diff_id(other) is None
    assert cache.record(other, layer(7))
    assert cache.lookup(other, GZIP) == layer(7)
    assert cache.lookup(key(), GZIP) == layer()


def test_two_keys_of_one_layer(caches: Caches) -> None:
    assert caches().record_many([(key(1), layer()), (key(2), layer())])
    assert caches().lookup(key(1), GZIP) == layer()
    assert caches().lookup(key(2), GZIP) == layer()


def test_compressors_alternate_without_displacing_each_other(caches: Caches) -> None:
    for compressor in (GZIP, ZSTD, GZIP6):
        assert caches().record(key(), layer(compressor=compressor))
    before = {path.name: path.stat().st_mtime_ns for path in caches.here.iterdir()}
    for compressor in (GZIP, ZSTD, GZIP6):
        assert caches().lookup(key(), compressor) == layer(compressor=compressor)
        assert caches().record(key(), layer(compressor=compressor))
    assert {path.name: path.stat().st_mtime_ns for path in caches.here.iterdir()} == before


def test_another_compressor_only_where_allowed_and_encoded_alike(caches: Caches) -> None:
    assert caches().record(key(), layer(compressor=GZIP))
    cache = caches()
    assert cache.lookup(key(), GZIP6) is None
    assert cache.lookup(key(), ZSTD, allow_foreign=True) is None
    assert cache.lookup(key(), "stargz-1/estargz-1", allow_foreign=True) is None
    assert cache.lookup(key(), GZIP6, allow_foreign=True) == layer(compressor=GZIP)
    assert cache.counters == Counters(hits=1, foreign=1, half_hits=3, misses=3)


def test_docker_media_types_come_back_as_oci(caches: Caches) -> None:
    docker = CachedLayer(
        layer().diff_id,
        Descriptor(
            media_types.DOCKER_LAYER_GZIP,
            layer().descriptor.digest,
            layer().descriptor.size,
            platform=AMD64,
        ),
        GZIP,
    )
    assert caches().record(key(), docker)
    assert caches().lookup(key(), GZIP) == layer()


def test_annotations_of_a_layer_are_kept(caches: Caches) -> None:
    plain = layer().descriptor
    annotated = CachedLayer(
        layer().diff_id,
        Descriptor(
            plain.media_type,
            plain.digest,
            plain.size,
            annotations=(("containerd.io/snapshot/stargz/toc.digest", digest("toc")),),
        ),
        GZIP,
    )
    assert caches().record(key(), annotated)
    assert caches().lookup(key(), GZIP) == annotated


def test_what_is_no_layer_is_refused(caches: Caches) -> None:
    wrong = CachedLayer("sha256:short", layer().descriptor, GZIP)
    with pytest.raises(KoPantsError, match="sha256"):
        caches().record(key(), wrong)
    manifest = Descriptor(media_types.OCI_MANIFEST, digest(), 1)
    with pytest.raises(KoPantsError, match="layer"):
        caches().record(key(), CachedLayer(digest(), manifest, GZIP))


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


def test_forget_leaves_the_diff_id(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.record(key(), layer(compressor=ZSTD))
    assert cache.forget_descriptor(key(), GZIP)
    assert cache.lookup(key(), GZIP) is None
    assert cache.lookup(key(), ZSTD) == layer(compressor=ZSTD)
    assert cache.lookup_diff_id(key()) == layer().diff_id
    assert cache.forget_descriptor(key(5), GZIP), "nothing to forget is no failure"


def test_a_map_copied_to_another_program_is_no_hit(caches: Caches) -> None:
    assert caches().record(key(), layer())
    elsewhere = caches.root / "bin/example.com/other/linux/amd64"
    elsewhere.mkdir(parents=True)
    for path in caches.here.iterdir():
        (elsewhere / path.name).write_bytes(path.read_bytes())
    assert caches().lookup(key(import_path="example.com/other"), GZIP) is None


def test_maps_are_bounded_and_the_oldest_go(caches: Caches) -> None:
    cache = caches(max_entries=5)
    for number in range(40):
        assert cache.record(key(number), layer(number))
    found = [n for n in range(40) if cache.lookup(key(n), GZIP)]
    assert found == [35, 36, 37, 38, 39]
    assert len(json.loads((caches.here / "buildid-to-diffid").read_text())) == 20


# What lies on disk


def make_directory(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("precious")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda p: p.write_bytes(b""),
    "blanks": lambda p: p.write_bytes(b" \n"),
    "no JSON": lambda p: p.write_bytes(b"hello"),
    "not UTF-8": lambda p: p.write_bytes(b"\xff\xfe{}"),
    "a list": lambda p: p.write_bytes(b"[1, 2]"),
    "a number": lambda p: p.write_bytes(b"17"),
    "wrong types": lambda p: p.write_bytes(b'{"a": 1, "sha256:b": [], "c": {"digest": {}}}'),
    "nested too deep": lambda p: p.write_bytes(b'{"a":' + b"[" * 100_000),
    "a number too long": lambda p: p.write_bytes(b'{"a": ' + b"9" * 100_000 + b"}"),
    "huge": lambda p: os.truncate(os.open(p, os.O_CREAT | os.O_RDWR), 1 << 40),
    "a directory": make_directory,
    "a FIFO": lambda p: os.mkfifo(p),
    "a dangling link": lambda p: p.symlink_to("nowhere"),
    "a loop": lambda p: p.symlink_to(p.name),
}


@pytest.mark.parametrize("name", ["buildid-to-diffid", "diffid-to-descriptor"])
@pytest.mark.parametrize("what", DAMAGE)
def test_anything_on_disk_is_a_miss_and_repaired_by_the_next_write(
    caches: Caches, name: str, what: str
) -> None:
    assert caches().record(key(), layer())
    path = caches.here / name
    path.unlink()
    DAMAGE[what](path)
    cache = caches()
    for _ in range(3):
        assert cache.lookup(key(), GZIP) is None
        assert cache.lookup(key(), GZIP, allow_foreign=True) is None
    if what not in ("a dangling link", "wrong types", "a number too long"):
        assert len([w for w in caches.warnings if str(path) in w]) == 1
    assert cache.record(key(1), layer(1))
    assert caches().lookup(key(1), GZIP) == layer(1)
    json.loads(path.read_text())


def test_what_ko_leaves_behind_a_shorter_write_is_ignored_and_removed(caches: Caches) -> None:
    assert caches().record_many([(key(n), layer(n)) for n in range(3)])
    path = caches.here / "buildid-to-diffid"
    caches.write_as_ko(path.name, {key(1).build_key: layer(1).diff_id})
    with pytest.raises(ValueError, match="Extra data"):
        json.loads(path.read_text())
    assert caches().lookup(key(1), GZIP) == layer(1)
    assert caches().lookup(key(0), GZIP) is None
    assert caches().record(key(1), layer(1))
    assert json.loads(path.read_text()) == {key(1).build_key: layer(1).diff_id}
    assert caches.warnings == []


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Without root's power over permissions."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_cache_is_read_with_one_warning(caches: Caches, tmp_path: Path) -> None:
    assert caches().record(key(), layer())
    caches().stats()  # imports what is read as root
    for directory, _, names in os.walk(caches.root):
        for name in names:
            os.chmod(os.path.join(directory, name), 0o444)
        os.chmod(directory, 0o555)
    for parent in tmp_path.parents:  # pytest's own, which are for its user alone
        if "pytest" in str(parent):
            os.chmod(parent, 0o755)
    os.chmod(tmp_path, 0o755)
    cache = caches()
    with ordinary_user():
        cache.check_usable()
        with pytest.raises(KoCacheUnusable, match=r"KOCACHE .* cannot write"):
            cache.check_usable(writable=True)
        assert cache.lookup(key(), GZIP) == layer()
        assert not cache.record(key(1), layer(1))
        assert not cache.record(key(2), layer(2))
        assert not cache.write_content(DESCRIPTOR, CONFIG)
        assert cache.lookup(key(), GZIP) == layer()
        assert cache.lookup(key(1), GZIP) is None
        with pytest.raises(KoCacheUnusable, match="Permission denied"):
            cache.prune(max_age_seconds=-1)
    assert len(caches.warnings) == 1
    assert "not updated (Permission denied)" in caches.warnings[0]
    assert str(caches.root) in caches.warnings[0]


def test_a_full_disk_is_one_warning(caches: Caches, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    write = os.write

    def full(fd: int, data: bytes) -> int:
        write(fd, bytes(data)[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "write", full)
    assert not cache.record(key(1), layer(1))
    assert not cache.record(key(2), layer(2))
    monkeypatch.undo()
    assert [("No space left" in w) for w in caches.warnings] == [True]
    assert sorted(p.name for p in caches.here.iterdir()) == [
        "buildid-to-diffid",
        "diffid-to-descriptor",
    ]
    assert caches().lookup(key(), GZIP) == layer()
    assert cache.record(key(1), layer(1))


def test_without_file_locks_the_cache_works_with_one_warning(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(fd: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    cache = caches()
    assert cache.record(key(1), layer(1))
    assert cache.record(key(2), layer(2))
    assert caches().lookup(key(1), GZIP) == layer(1)
    assert len(caches.warnings) == 1
    assert "No locks available" in caches.warnings[0]


def test_a_stuck_lock_holder_delays_and_does_not_block(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOCK_TIMEOUT_SECONDS", 0.0)
    cache = caches()
    with cache.locked(HERE):
        assert not caches().record(key(), layer())
    assert "lock" in caches.warnings[0]
    assert caches().record(key(), layer())


def test_a_temporary_file_of_a_killed_writer_is_taken_over(caches: Caches) -> None:
    caches.here.mkdir(parents=True)
    (caches.here / ".buildid-to-diffid.ko-pants.tmp").write_text("{half")
    assert caches().record(key(), layer())
    assert sorted(p.name for p in caches.here.iterdir()) == [
        "buildid-to-diffid",
        "diffid-to-descriptor",
    ]


def test_threads_of_one_run_lose_nothing(caches: Caches) -> None:
    cache = caches(max_entries=1000)

    def work(first: int) -> None:
        for number in range(first, first + 10):
            cache.record(key(number), layer(number))

    threads = [threading.Thread(target=work, args=(10 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(caches().lookup(key(n), GZIP) == layer(n) for n in range(80))


def test_the_cache_may_be_deleted_under_way(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    subprocess.run(["rm", "-rf", str(caches.root)], check=True)
    assert cache.lookup(key(), GZIP) is None
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    assert caches.warnings == []


@pytest.mark.parametrize("kind", ["a file", "below a file", "empty"])
def test_an_unusable_root_is_a_clear_error_only_when_asked(
    caches: Caches, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "file").write_text("")
    root = {"a file": f"{tmp_path}/file", "below a file": f"{tmp_path}/file/x", "empty": ""}[kind]
    cache = KoCache(root, warn=caches.warnings.append)
    if root:
        assert cache.lookup(key(), GZIP) is None
        assert not cache.record(key(), layer())
        assert caches.warnings
    with pytest.raises(KoCacheUnusable, match=r"KOCACHE .*directory") as caught:
        cache.check_usable()
    assert root in str(caught.value)


def test_an_absent_root_is_created_by_the_check(caches: Caches) -> None:
    caches().check_usable(writable=True)
    assert caches.root.is_dir()


# Beside ko


def test_what_ko_recorded_is_read_only_where_allowed(caches: Caches) -> None:
    caches.write_as_ko("buildid-to-diffid", {key().build_key: layer().diff_id})
    caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    cache = caches()
    assert cache.lookup(key(), GZIP) is None
    assert cache.lookup_diff_id(key()) == layer().diff_id
    assert cache.lookup(key(), GZIP, allow_foreign=True) == CachedLayer(
        layer().diff_id,
        Descriptor(media_types.OCI_LAYER_GZIP, digest("by ko", 0), 55),
        "unknown",
    )
    assert cache.lookup(key(), ZSTD, allow_foreign=True) is None


@pytest.mark.parametrize("evidence", ["out", "descriptors"])
def test_where_ko_works_its_descriptors_stay_and_build_ids_are_shared(
    caches: Caches, evidence: str
) -> None:
    caches.write_as_ko("buildid-to-diffid", {key(0).build_key: layer(0).diff_id})
    if evidence == "out":
        (caches.here / "out").write_bytes(b"\x7fELF")
    else:
        caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    cache = caches(max_entries=2)
    for number in range(12):
        assert cache.record(key(number), layer(number))
    assert cache.lookup(key(11), GZIP) == layer(11)
    shared = caches.here / "diffid-to-descriptor"
    build_ids = json.loads((caches.here / "buildid-to-diffid").read_text())
    assert build_ids[key(11).build_key] == layer(11).diff_id
    if evidence == "out":
        assert not shared.exists()
    else:
        assert json.loads(shared.read_text()) == ko_entry(0)
        assert build_ids[key(0).build_key] == layer(0).diff_id, "ko needs it for its descriptor"


def test_what_ko_overwrites_is_a_miss_and_then_beside(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    (caches.here / "out").write_bytes(b"\x7fELF")
    caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    assert cache.lookup(key(), GZIP) is None
    assert cache.record(key(), layer())
    assert cache.lookup(key(), GZIP) == layer()
    text = (caches.here / "diffid-to-descriptor").read_text()
    assert json.JSONDecoder().raw_decode(text)[0] == ko_entry(0)


def test_a_newer_layer_beside_ko_is_not_hidden_by_an_older_one(caches: Caches) -> None:
    assert caches().record(key(), layer(blob="old"))
    (caches.here / "out").write_bytes(b"\x7fELF")  # ko came and its build failed
    assert caches().record(key(), layer(blob="new"))
    assert caches().lookup(key(), GZIP) == layer(blob="new")
    (caches.here / "out").unlink()
    assert caches().record(key(), layer(blob="newest"))
    assert caches().lookup(key(), GZIP) == layer(blob="newest")


# Base image contents

CONFIG = b'{"architecture":"amd64"}'
DESCRIPTOR = Descriptor(media_types.OCI_CONFIG, sha256_digest(CONFIG), len(CONFIG))
DESCRIPTOR_HEX = DESCRIPTOR.digest[len("sha256:") :]


def test_contents_are_verified_and_healed(caches: Caches) -> None:
    cache = caches()
    assert cache.write_content(DESCRIPTOR, CONFIG)
    assert caches().read_content(DESCRIPTOR.digest) == CONFIG
    blob = caches.root / "img/blobs/sha256" / DESCRIPTOR_HEX
    blob.write_bytes(CONFIG.replace(b"amd64", b"arm64"))
    assert cache.read_content(DESCRIPTOR.digest) is None
    assert cache.read_content(DESCRIPTOR.digest) is None
    assert len(caches.warnings) == 1
    assert str(blob) in caches.warnings[0]
    assert cache.write_content(DESCRIPTOR, CONFIG)
    assert cache.read_content(DESCRIPTOR.digest) == CONFIG


def test_contents_are_an_oci_layout_that_lists_nothing_of_ours(caches: Caches) -> None:
    assert caches().write_content(DESCRIPTOR, CONFIG)
    img = caches.root / "img"
    assert json.loads((img / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((img / "index.json").read_text())["manifests"] == []
    (img / "index.json").write_text('{"schemaVersion": 2, "manifests": [{"by": "ko"}]}')
    assert caches().write_content(
        Descriptor(media_types.OCI_CONFIG, sha256_digest(b"{}"), 2), b"{}"
    )
    assert "by" in (img / "index.json").read_text(), "ko's list stays"
    assert sorted(p.name for p in img.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_wrong_contents_are_not_stored(caches: Caches) -> None:
    cache = caches()
    assert not cache.write_content(DESCRIPTOR, CONFIG + b" ")
    assert cache.read_content(DESCRIPTOR.digest) is None
    assert cache.read_content("sha256:../../../etc/passwd") is None
    assert cache.read_content("") is None
    assert len(caches.warnings) == 1


# Upkeep


def age(path: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.utime(file, (then, then))


def test_prune_by_age_spares_what_is_in_use(caches: Caches) -> None:
    old, used = key(import_path="example.com/old"), key(import_path="example.com/used")
    cache = caches()
    assert cache.record_many([(old, layer(1)), (used, layer(2))])
    assert cache.write_content(DESCRIPTOR, CONFIG)
    age(caches.root, 100)
    assert cache.lookup(used, GZIP) == layer(2)
    assert cache.read_content(DESCRIPTOR.digest) == CONFIG
    result = cache.prune()
    assert result.removed_files == 2
    assert cache.lookup(old, GZIP) is None
    assert cache.lookup(used, GZIP) == layer(2)
    assert cache.read_content(DESCRIPTOR.digest) == CONFIG
    assert not (caches.root / "bin/example.com/old").exists()


def test_prune_by_size_takes_the_longest_unused_first(caches: Caches) -> None:
    cache = caches()
    for number in range(6):
        one = key(import_path=f"example.com/{number}")
        assert cache.record(one, layer(number))
        age(caches.root / one.directory, 10 - number)
    total = cache.stats().total_bytes
    result = cache.prune(max_bytes=total // 2)
    assert result.kept_bytes == cache.stats().total_bytes <= total // 2
    left = [n for n in range(6) if cache.lookup(key(import_path=f"example.com/{n}"), GZIP)]
    assert left == [3, 4, 5]


def test_prune_leaves_what_is_kos(caches: Caches) -> None:
    caches.write_as_ko("buildid-to-diffid", {key().build_key: layer().diff_id})
    caches.write_as_ko("diffid-to-descriptor", ko_entry(0))
    (caches.here / "out").write_bytes(b"\x7fELF")
    cache = caches()
    assert cache.record(key(1), layer(1))
    config, manifest = b"{}", json.dumps({"config": {"digest": sha256_digest(b"{}")}}).encode()
    for content in (config, manifest, b"[]"):
        descriptor = Descriptor(media_types.OCI_CONFIG, sha256_digest(content), len(content))
        assert cache.write_content(descriptor, content)
    (caches.root / "img/index.json").write_text(
        json.dumps({"manifests": [{"digest": sha256_digest(manifest)}]})
    )
    cache.prune(max_age_seconds=-1, max_bytes=0)
    assert cache.read_content(sha256_digest(manifest)) == manifest
    assert cache.read_content(sha256_digest(config)) == config
    assert cache.read_content(sha256_digest(b"[]")) is None
    assert sorted(p.name for p in caches.here.iterdir()) == [
        "buildid-to-diffid",
        "diffid-to-descriptor",
        "out",
    ]


def test_prune_removes_unfinished_writes_and_empty_directories(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(), layer())
    assert cache.write_content(DESCRIPTOR, CONFIG)
    left = [
        caches.here / ".buildid-to-diffid.ko-pants.tmp.77-abc",
        caches.root / "img/blobs/sha256" / f".{DESCRIPTOR_HEX}.ko-pants.tmp.77-abc",
    ]
    for path in left:
        path.write_text("half")
        age(path, 1)
    fresh = caches.here / ".buildid-to-diffid.ko-pants.tmp.78-abc"
    fresh.write_text("half")
    cache.prune()
    assert not any(path.exists() for path in left)
    assert fresh.exists(), "its writer may be alive"


def test_a_cache_bounds_itself_once_a_day(caches: Caches) -> None:
    cache = caches()
    assert cache.record(key(import_path="example.com/old"), layer())
    age(caches.root, 100)
    assert cache.record(key(), layer())
    assert not (caches.root / "bin/example.com/old").exists()


def test_stats_and_entries(caches: Caches) -> None:
    cache = caches()
    arm = key(platform=Platform("linux", "arm", "v7"), kind="kodata", variant="mtime=5")
    assert cache.record_many([(key(), layer()), (arm, layer(3))])
    assert cache.write_content(DESCRIPTOR, CONFIG)
    ko = caches.root / "bin/example.com/ko/linux/amd64"
    ko.mkdir(parents=True)
    (ko / "out").write_bytes(b"x" * 1000)
    (ko / "buildid-to-diffid").write_text(
        json.dumps({"id": digest("tar", 1), "two": digest("half")})
    )
    (ko / "diffid-to-descriptor").write_text(json.dumps({**ko_entry(1), "x": 1}))
    found = [(e.import_path, e.platform, e.state, e.keys) for e in cache.entries()]
    assert found == [
        ("example.com/app", "linux/amd64", "own", (key().map_key,)),
        ("example.com/app", "linux/arm/v7", "own", (arm.map_key,)),
        ("example.com/ko", "linux/amd64", "foreign", ("id",)),
        ("example.com/ko", "linux/amd64", "damaged", ()),
        ("example.com/ko", "linux/amd64", "half", ("two",)),
    ]
    stats = cache.stats()
    assert (stats.layers, stats.foreign, stats.damaged, stats.contents) == (2, 1, 1, 1)
    assert (stats.ko_bytes, stats.content_bytes) == (1000, len(CONFIG))
    assert stats.total_bytes == stats.map_bytes + len(CONFIG)


def test_the_counts_of_the_last_run_are_kept(caches: Caches) -> None:
    assert caches().last_run() is None
    cache = caches()
    cache.lookup(key(), GZIP)
    cache.record(key(), layer())
    cache.lookup(key(), GZIP)
    cache.lookup(key(), GZIP6)
    assert cache.save_counters()
    assert caches().last_run() == Counters(hits=1, half_hits=1, misses=2, records=1)
