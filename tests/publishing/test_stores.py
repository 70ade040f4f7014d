"""Repositories in an OCI layout, alone and beside a registry."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO, Callable, Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run, outcome, silent
from publishing.published_images import app
from registry_support import client_for

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.layout import Layout
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.stores import LayoutStore, RegistryStore, Stores


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def blob_files(run: Run) -> set[str]:
    return {f"sha256:{p.name}" for p in (run.root / "dist/oci/blobs/sha256").iterdir()}


def test_a_layout_is_written_and_named_at_the_end(tmp_path: Path) -> None:
    image = app(tmp_path)
    run = Run(tmp_path)
    upload = run.upload(image, tags=["v1", "v2"])
    run.run.uploads.wait([upload], silent)
    layout = Layout(str(tmp_path / "dist/oci"))
    assert layout.references() == {}
    assert run.commit(upload) == {}
    assert set(layout.references()) == {"app:v1", "app:v2"}
    children = {c.descriptor.digest for c in image.image.children}
    assert blob_files(run) == {image.digest, *children, *image.image.blobs()}
    assert outcome(upload, image.kodata)[0] == "written"
    assert upload.publication.store.requests == 0


def test_a_layout_that_has_the_image_is_left_alone(tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path).publish(image)
    before = (tmp_path / "dist/oci/index.json").stat()
    done = Run(tmp_path).publish(image)
    assert done.found.up_to_date
    assert (tmp_path / "dist/oci/index.json").stat().st_mtime_ns == before.st_mtime_ns


def test_a_blob_that_was_deleted_from_the_layout_is_written_anew(tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path).publish(image)
    os.unlink(Layout(str(tmp_path / "dist/oci")).blob_path(image.kodata))
    done = Run(tmp_path).publish(image)
    assert set(done.found.missing) == {image.kodata}
    assert Run(tmp_path).check(image).up_to_date


def test_all_images_of_a_layout_appear_in_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[set[str]] = []
    update: Callable[..., None] = Layout.update

    def counted(self: Layout, references: dict[str, object], *artifacts: object) -> None:
        written.append(set(references))
        update(self, references, *artifacts)

    monkeypatch.setattr(Layout, "update", counted)
    run = Run(tmp_path)
    uploads = [run.upload(app(tmp_path, f"app{n}"), f"app{n}") for n in range(3)]
    assert run.commit(*uploads) == {}
    assert written == [{"app0:v1", "app1:v1", "app2:v1"}]


def test_a_damaged_layout_is_an_error_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "dist/oci").mkdir(parents=True)
    (tmp_path / "dist/oci/index.json").write_text("{]")
    with pytest.raises(KoPantsError, match=r"index\.json: expected JSON"):
        Run(tmp_path).check(app(tmp_path))


def test_a_layout_and_a_registry_in_one_run(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    remote = run.upload(image)
    run.registry = None
    local = run.upload(image)
    assert run.commit(remote, local) == {}
    assert registry.complete("app", "v1")
    assert set(Layout(str(tmp_path / "dist/oci")).references()) == {"app:v1"}
    # A blob of the registry is no blob of the layout.
    assert outcome(remote, image.kodata)[0] == "uploaded"
    assert outcome(local, image.kodata)[0] == "written"


def no_repair(missing: tuple[str, ...]) -> None:
    raise AssertionError(f"nothing is missing, least of all {missing}")


def registry_store(registry: FaultRegistry) -> RegistryStore:
    destination = Destination("app", ("v1",), registry=registry.host)
    store = Stores(client_for({}), "").open(destination)
    assert isinstance(store, RegistryStore)
    return store


def layout_store(root: Path) -> LayoutStore:
    destination = Destination("app", ("v1",), layout="dist/oci")
    store = Stores(client_for({}), str(root)).open(destination)
    assert isinstance(store, LayoutStore)
    return store


def test_a_tag_on_a_registry_names_an_image_or_another_or_nothing(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    ours, theirs = app(tmp_path, "ours"), app(tmp_path, "theirs")
    Run(tmp_path, registry).publish(ours)
    store = registry_store(registry)
    assert store.tag_digest("v1", ours.image) == ours.digest
    assert store.tag_digest("v1", theirs.image) == ours.digest
    assert store.tag_digest("v2", ours.image) == ""
    assert store.requests == 3


def test_tags_of_a_registry_have_moved_at_once(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    store = registry_store(registry)
    # So there is nothing that the caller has to write.
    assert store.put_tags(["v2", "v3"], image.image, no_repair) == {}
    assert registry.tags == {("app", f"v{n}"): image.digest for n in (1, 2, 3)}


def test_one_token_is_enough_to_ask_and_to_push(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.auth = "bearer"
    registry.anonymous_actions = frozenset({"pull", "push"})
    Run(tmp_path, registry).publish(app(tmp_path))
    assert registry.complete("app", "v1")
    assert registry.count("token") == 1


def test_a_name_in_a_layout_names_an_image_or_another_or_nothing(tmp_path: Path) -> None:
    ours, theirs = app(tmp_path, "ours"), app(tmp_path, "theirs")
    Run(tmp_path).publish(ours)
    # All parts of both are there.
    Run(tmp_path).publish(theirs, "other")
    store = layout_store(tmp_path)
    assert store.tag_digest("v1", ours.image)
    assert not store.tag_digest("v1", theirs.image)
    assert not store.tag_digest("v2", ours.image)
    assert store.has_image(ours.image)
    assert store.has_image(theirs.image)


@pytest.mark.parametrize("part", ["index", "child", "layer", "config"])
def test_an_image_in_a_layout_is_there_only_as_a_whole(tmp_path: Path, part: str) -> None:
    image = app(tmp_path)
    Run(tmp_path).publish(image)
    manifest = image.image.manifests[1]
    digest = {
        "index": image.digest,
        "child": manifest.descriptor.digest,
        "layer": manifest.layers[-1].descriptor.digest,
        "config": manifest.config_descriptor.digest,
    }[part]
    os.unlink(Layout(str(tmp_path / "dist/oci")).blob_path(digest))
    store = layout_store(tmp_path)
    assert not store.has_image(image.image)
    assert not store.tag_digest("v1", image.image)
    Run(tmp_path).publish(image)
    assert store.has_image(image.image)
    assert store.tag_digest("v1", image.image)


def test_a_manifest_that_is_in_a_layout_is_not_written_again(tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path).publish(image)
    path = Layout(str(tmp_path / "dist/oci")).blob_path(image.digest)
    before = os.stat(path)
    assert layout_store(tmp_path).put_tags(["v2"], image.image, no_repair) == {
        "app:v2": image.image.descriptor
    }
    after = os.stat(path)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_index_of_a_layout_is_read_once_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    references: Callable[[Layout], dict[str, Descriptor]] = Layout.references

    def counted(self: Layout) -> dict[str, Descriptor]:
        read.append(self.path)
        return references(self)

    monkeypatch.setattr(Layout, "references", counted)
    run = Run(tmp_path)
    for n in range(3):
        run.publication(app(tmp_path), f"app{n}")
    assert read == [str(tmp_path / "dist/oci")]


def test_a_registry_has_an_image_or_a_blob_or_not(registry: FaultRegistry, tmp_path: Path) -> None:
    ours, theirs = app(tmp_path, "ours"), app(tmp_path, "theirs")
    Run(tmp_path, registry).publish(ours)
    store = registry_store(registry)
    assert store.has_image(ours.image) is True
    assert store.has_image(theirs.image) is False
    own = theirs.image.manifests[0].config_descriptor
    assert store.has_blob(theirs.image.blobs()[ours.kodata]) is True
    assert store.has_blob(own) is False


def test_a_missing_blob_goes_to_a_registry_without_another_question(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    descriptor = image.image.blobs()[image.kodata]
    sent: list[int] = []
    done = registry_store(registry).put_blob(
        descriptor,
        lambda: io.BytesIO(Path(image.files[image.kodata]).read_bytes()),
        (),
        sent.append,
    )
    assert done == "uploaded"
    assert sent[-1] == descriptor.size
    assert registry.count("HEAD blob") == 0


def test_a_blob_is_mounted_from_a_repository_that_has_it(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    registry.put_blob("base", Path(image.files[image.kodata]).read_bytes())

    def open_blob() -> BinaryIO:
        raise AssertionError("its bytes are not needed")

    sent: list[int] = []
    store = registry_store(registry)
    blob = image.image.blobs()[image.kodata]
    assert store.put_blob(blob, open_blob, ("base",), sent.append) == "mounted"
    assert not any(sent)


def test_a_registry_that_lacks_a_part_of_a_manifest_is_brought_it(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    store = registry_store(registry)
    asked: list[tuple[str, ...]] = []

    def bring_blobs(missing: tuple[str, ...]) -> None:
        asked.append(missing)
        for content in image.image.configs().values():
            registry.put_blob("app", content)
        for path in image.files.values():
            registry.put_blob("app", Path(path).read_bytes())

    def bring_second(missing: tuple[str, ...]) -> None:
        asked.append(missing)
        store.put_manifest(second.descriptor, second.manifest, no_repair)

    first, second = image.image.children
    store.put_manifest(first.descriptor, first.manifest, bring_blobs)
    store.put_tags(["v1"], image.image, bring_second)
    assert registry.complete("app", "v1")
    assert len(asked) == 2


def test_a_blob_that_was_written_into_a_layout_counts_as_sent(tmp_path: Path) -> None:
    image = app(tmp_path)
    descriptor = image.image.blobs()[image.kodata]
    sent: list[int] = []
    store = layout_store(tmp_path)
    content = Path(image.files[image.kodata]).read_bytes()
    assert store.put_blob(descriptor, lambda: io.BytesIO(content), (), sent.append) == "written"
    assert sent == [descriptor.size]
    assert store.has_blob(descriptor)
