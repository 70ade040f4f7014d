"""Base image documents in `img/`: verified, healed, and in ko's OCI layout."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from kocache.samples import (
    CONFIG,
    CONFIG_DESCRIPTOR,
    Caches,
    age,
    descriptor_of,
    digest,
    ordinary_user,
)

from ko_pants.kocache import content as content_module
from ko_pants.kocache.content import ContentStore
from ko_pants.kocache.shared_files import NotReadable
from ko_pants.oci.descriptor import Descriptor, sha256_digest

DIGEST = CONFIG_DESCRIPTOR.digest


@pytest.fixture
def store(caches: Caches) -> ContentStore:
    return ContentStore(str(caches.path), caches.root().problems)


@pytest.fixture
def img(caches: Caches) -> Path:
    return caches.path / "img"


def blob(img: Path, of: str = DIGEST) -> Path:
    return img / "blobs/sha256" / of.partition(":")[2]


def test_contents_are_verified_and_healed(caches: Caches, store: ContentStore, img: Path) -> None:
    assert store.read(DIGEST) is None
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert store.read(DIGEST) == CONFIG
    assert store.path(DIGEST) == str(blob(img))
    blob(img).write_bytes(CONFIG.replace(b"amd64", b"arm64"))
    assert store.read(DIGEST) is None
    assert store.read(DIGEST) is None
    assert caches.warnings == [
        f"KOCACHE: {blob(img)}: its content does not have the digest that is its name; it is taken "
        "as absent until rewritten"
    ]
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert store.read(DIGEST) == CONFIG


def test_what_cannot_be_read_is_absent_and_told(
    caches: Caches, store: ContentStore, img: Path
) -> None:
    os.makedirs(blob(img))
    assert store.read(DIGEST) is None
    assert len(caches.warnings) == 1
    assert f"{blob(img)}: it is not a regular file" in caches.warnings[0]


def test_a_read_is_noted_as_use(store: ContentStore, img: Path) -> None:
    store.write(CONFIG_DESCRIPTOR, CONFIG)
    age(blob(img), 2)
    assert store.read(DIGEST) == CONFIG
    assert blob(img).stat().st_mtime > time.time() - 3600


def test_two_that_write_a_blob_at_once_do_not_share_a_temporary_file(
    store: ContentStore, img: Path
) -> None:
    left = img / f"blobs/sha256/.{CONFIG_DESCRIPTOR.digest.partition(':')[2]}.ko-pants.tmp"
    left.parent.mkdir(parents=True)
    left.write_text("half, and its writer is alive")
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert left.exists()


def test_a_blob_is_on_disk_when_it_is_written(
    store: ContentStore, img: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(content_module, "sync_directory", synced.append)
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert synced == [str(img / "blobs/sha256")]


def test_what_is_there_is_not_written_again(store: ContentStore, img: Path) -> None:
    store.write(CONFIG_DESCRIPTOR, CONFIG)
    before = blob(img).stat()
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert blob(img).stat() == before


def test_contents_are_an_oci_layout_that_lists_nothing_of_ours(
    store: ContentStore, img: Path
) -> None:
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert json.loads((img / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((img / "index.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
    }
    (img / "index.json").write_text('{"schemaVersion": 2, "manifests": [{"by": "ko"}]}')
    assert store.write(descriptor_of(b"{}"), b"{}")
    assert "by" in (img / "index.json").read_text(), "ko's list stays"
    assert sorted(p.name for p in img.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_list_that_ko_links_elsewhere_stays(store: ContentStore, img: Path) -> None:
    img.mkdir(parents=True)
    (img / "index.json").symlink_to("elsewhere")
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert os.readlink(img / "index.json") == "elsewhere"


@pytest.mark.parametrize(
    "descriptor",
    [
        CONFIG_DESCRIPTOR,
        Descriptor("", descriptor_of(CONFIG + b" ").digest, len(CONFIG)),
        Descriptor("", "sha256:../../../../outside", len(CONFIG) + 1),
        Descriptor("", digest("other"), len(CONFIG) + 1),
    ],
    ids=["another size and digest", "another size", "no digest", "another digest"],
)
def test_wrong_contents_are_not_stored(
    caches: Caches, store: ContentStore, descriptor: Descriptor
) -> None:
    assert not store.write(descriptor, CONFIG + b" ")
    assert not caches.path.exists()
    assert len(caches.warnings) == 1
    assert ": content with another digest or size was not stored;" in caches.warnings[0]
    assert str(caches.path) in caches.warnings[0]


def test_contents_are_bounded(
    caches: Caches, store: ContentStore, img: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert content_module.MAX_CONTENT_BYTES == 33_554_432
    monkeypatch.setattr(content_module, "MAX_CONTENT_BYTES", 10)
    for size, stored in ((10, True), (11, False)):
        content = b"x" * size
        assert store.write(descriptor_of(content), content) is stored
        assert (store.read(sha256_digest(content)) == content) is stored
    assert len(caches.warnings) == 1
    too_much = b"y" * 11
    blob(img, sha256_digest(too_much)).write_bytes(too_much)
    assert store.read(sha256_digest(too_much)) is None
    assert len(caches.warnings) == 2


@pytest.mark.parametrize("wrong", ["", "sha256:../../../outside", "sha512:" + "0" * 64])
def test_what_is_no_digest_is_absent(caches: Caches, store: ContentStore, wrong: str) -> None:
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    (caches.path / "outside").write_bytes(CONFIG)
    assert store.read(wrong) is None
    assert caches.warnings == []


def test_a_directory_that_cannot_be_made_is_an_error(caches: Caches, store: ContentStore) -> None:
    caches.path.write_text("a file")
    with pytest.raises(OSError, match="Not a directory"):
        store.write(CONFIG_DESCRIPTOR, CONFIG)


def test_digests_are_listed_in_order(store: ContentStore, img: Path) -> None:
    assert store.digests() == []
    contents = [b"1", b"2", b"3"]
    for content in contents:
        store.write(descriptor_of(content), content)
    (img / "blobs/sha256/something").touch()
    assert store.digests() == sorted(map(sha256_digest, contents))


def test_unfinished_writes_are_found(store: ContentStore, img: Path) -> None:
    assert store.temporaries() == []
    store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert store.temporaries() == []
    left = [img / ".index.json.ko-pants.tmp.1-a", img / "blobs/sha256/.x.ko-pants.tmp.1-a"]
    for path in left:
        path.touch()
    assert store.temporaries() == [str(path) for path in left]


def test_a_blob_is_removed_and_its_size_told(
    caches: Caches, store: ContentStore, img: Path
) -> None:
    store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert store.remove(DIGEST) == len(CONFIG)
    assert not blob(img).exists()
    assert store.remove(DIGEST) is None
    assert caches.warnings == []


def test_a_blob_that_cannot_be_removed_is_told(
    caches: Caches, store: ContentStore, img: Path
) -> None:
    store.write(CONFIG_DESCRIPTOR, CONFIG)
    caches.make_read_only()
    with ordinary_user():
        assert store.remove(DIGEST) is None
    assert caches.warnings == [f"KOCACHE: {blob(img)}: not deleted (Permission denied)"]
    os.chmod(img / "blobs/sha256", 0o755)


# What ko's list reaches


def write_document(store: ContentStore, document: object) -> str:
    content = json.dumps(document).encode()
    assert store.write(descriptor_of(content), content)
    return sha256_digest(content)


def test_what_kos_list_reaches_is_known(store: ContentStore, img: Path) -> None:
    assert store.referenced() == set()
    config, layer, absent = write_document(store, {}), digest("layer"), digest("absent")
    write_document(store, ["of ours"])
    manifest = write_document(
        store, {"config": {"digest": config}, "layers": [{"digest": layer}, {}, "damaged"]}
    )
    index = write_document(
        store, {"manifests": [{"digest": manifest}, {"digest": absent}, {"digest": "x"}]}
    )
    assert store.referenced() == set()
    (img / "index.json").write_text(json.dumps({"manifests": [{"digest": index}]}))
    assert store.referenced() == {index, manifest, config, layer, absent}


def test_documents_that_lead_nowhere_are_passed_over(store: ContentStore, img: Path) -> None:
    documents = [
        write_document(store, document)
        for document in ([], {"manifests": {}, "layers": None, "config": "x"}, {"config": {}})
    ]
    broken = sha256_digest(b"{")
    store.write(descriptor_of(b"{"), b"{")
    os.makedirs(blob(img, digest("a directory")))
    wanted = {*documents, broken, digest("a directory")}
    (img / "index.json").write_text(
        json.dumps({"manifests": [{"digest": digest} for digest in 2 * sorted(wanted)]})
    )
    assert store.referenced() == wanted


def test_documents_in_a_circle_end(store: ContentStore, img: Path) -> None:
    """A blob cannot name itself, but a damaged one can."""
    store.write(CONFIG_DESCRIPTOR, CONFIG)
    circle = json.dumps({"manifests": [{"digest": DIGEST}]})
    blob(img).write_text(circle)
    (img / "index.json").write_text(circle)
    assert store.referenced() == {DIGEST}


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_list_that_is_not_understood_is_an_error(
    store: ContentStore, img: Path, text: str
) -> None:
    img.mkdir(parents=True)
    (img / "index.json").write_text(text)
    with pytest.raises(NotReadable, match="it is not a JSON object"):
        store.referenced()


@pytest.mark.parametrize("linked", ["img", "img/blobs", "img/blobs/sha256"])
def test_nothing_is_written_through_a_link(
    caches: Caches, store: ContentStore, linked: str
) -> None:
    outside = caches.path.parent / "outside"
    outside.mkdir()
    link = caches.path / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(OSError, match="is a symbolic link, which is not followed"):
        store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", ["oci-layout", "index.json", f"blobs/sha256/{DIGEST[7:]}"])
def test_a_file_that_is_a_link_creates_nothing_elsewhere(
    caches: Caches, store: ContentStore, img: Path, name: str
) -> None:
    outside = caches.path.parent / "outside"
    (img / name).parent.mkdir(parents=True)
    (img / name).symlink_to(outside)
    assert store.write(CONFIG_DESCRIPTOR, CONFIG)
    assert not outside.exists()
