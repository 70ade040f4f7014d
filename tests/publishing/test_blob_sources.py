"""Where the bytes of a blob come from."""

from __future__ import annotations

import os
import urllib.parse
from dataclasses import replace
from pathlib import Path
from typing import Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.lost_blobs import lose
from publishing.publish_runs import Run
from publishing.published_images import BASE_BLOB, app, base_on

from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.layout import Layout


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def mounts(registry: FaultRegistry) -> list[str]:
    """The requests for a mount from another repository."""
    return [seen.path for seen in registry.seen if seen.endpoint == "POST mount"]


def test_layers_of_a_base_on_the_same_registry_are_mounted(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    digest = registry.put_blob("bases/static", BASE_BLOB)
    image = app(tmp_path, base=base_on(f"{registry.host}/bases/static"))
    done = Run(tmp_path, registry).publish(image)
    assert done.outcome(digest) == ("mounted", 0)
    assert digest not in registry.commits
    assert registry.count("GET blob") == 0
    # The base lacks the layers of the app, so no mount of them is tried.
    assert [urllib.parse.unquote(path) for path in mounts(registry)] == [
        f"/v2/app/blobs/uploads/?mount={digest}&from=bases/static"
    ]


def test_layers_of_a_base_elsewhere_are_copied(registry: FaultRegistry, tmp_path: Path) -> None:
    with fault_registry() as elsewhere:
        digest = elsewhere.put_blob("bases/static", BASE_BLOB)
        image = app(tmp_path, base=base_on(f"{elsewhere.host}/bases/static"))
        done = Run(tmp_path, registry).publish(image)
    assert done.outcome(digest) == ("uploaded", len(BASE_BLOB))
    assert registry.blobs["app", digest] == BASE_BLOB
    assert mounts(registry) == []
    # The engine has no part in it.
    assert digest not in done.found.missing_layers


def test_layers_of_a_base_on_disk_are_copied(registry: FaultRegistry, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "base"))
    image = app(tmp_path, base=base_on(f"oci:{layout.path}"))
    digest = sha256_digest(BASE_BLOB)
    path = Path(layout.blob_path(digest))
    path.parent.mkdir(parents=True)
    path.write_bytes(BASE_BLOB)
    Run(tmp_path, registry).publish(image)
    assert registry.blobs["app", digest] == BASE_BLOB


@pytest.mark.parametrize(
    ("if_lost", "words"),
    [
        ("", "Push the base image again, or choose another one"),
        ("Run `./pants ko-lock images:static`", "Run `./pants ko-lock images:static`"),
    ],
)
def test_a_base_that_is_gone_is_named_with_what_can_be_done(
    if_lost: str, words: str, registry: FaultRegistry, tmp_path: Path
) -> None:
    with fault_registry() as elsewhere:
        base = replace(base_on(f"{elsewhere.host}/bases/static"), if_lost=if_lost)
        run = Run(tmp_path, registry)
        (text,) = run.commit(run.upload(app(tmp_path, base=base))).values()
    assert f"{sha256_digest(BASE_BLOB)}: HTTP 404" in text
    assert f"It is a layer of the base image base ({base.digest}), which is gone" in text
    assert text.endswith(words)


def test_a_base_that_is_gone_from_the_disk(registry: FaultRegistry, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "base"))
    run = Run(tmp_path, registry)
    image = app(tmp_path, base=base_on(f"oci:{layout.path}"))
    (text,) = run.commit(run.upload(image)).values()
    assert text.endswith(
        f"base image base: the layer {sha256_digest(BASE_BLOB)} is missing in the OCI layout "
        f"{layout.path}; write the layout anew"
    )


def test_a_layer_that_the_registry_lost_is_an_error_that_says_so(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its bytes were not asked for: the registry had said that it has them.
    image = app(tmp_path)
    registry.put_blob("app", Path(image.files[image.kodata]).read_bytes())
    lose(registry, image.kodata, monkeypatch)
    run = Run(tmp_path, registry)
    (text,) = run.commit(run.upload(image)).values()
    assert f"{registry.host}/app answered that it has the blob {image.kodata}" in text
    assert registry.tags == {}


def test_a_base_layer_that_the_registry_lost_is_copied_again(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fault_registry() as elsewhere:
        lost = elsewhere.put_blob("bases/static", BASE_BLOB)
        image = app(tmp_path, base=base_on(f"{elsewhere.host}/bases/static"))
        registry.put_blob("app", BASE_BLOB)
        lose(registry, lost, monkeypatch)
        Run(tmp_path, registry).publish(image)
    assert registry.complete("app", "v1")


def test_files_of_layers_are_gone_after_the_commit(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    found = run.check(image)
    files = {digest: run.run.files.path(digest) for digest in found.missing_layers}
    for digest, path in files.items():
        Path(path).write_bytes(Path(image.files[digest]).read_bytes())
    assert run.commit(run.run.uploads.begin(found, files)) == {}
    assert registry.complete("app", "v1")
    assert not any(map(os.path.exists, files.values()))
    directory = os.path.dirname(next(iter(files.values())))
    # The name by which a later run finds what a killed process left.
    assert os.path.basename(directory).startswith(f"ko_pants_blobs_{os.getpid()}_")
    assert not os.path.exists(directory)
    # The end of the run finds nothing to delete.
    run.run.close()
