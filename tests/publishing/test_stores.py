"""Repositories in an OCI layout, alone and beside a registry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run, outcome, silent
from publishing.published_images import app

from ko_pants.errors import KoPantsError
from ko_pants.oci.layout import Layout


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

    def counted(self: Layout, references: dict[str, object]) -> None:
        written.append(set(references))
        update(self, references)

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


def test_a_layout_that_is_no_directory_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("a file")
    with pytest.raises(KoPantsError, match=r"dist is a file; .*option \[ko\]\.layout_path"):
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
