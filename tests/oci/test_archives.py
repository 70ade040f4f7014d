"""The files of whole images, without their bytes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from oci.images import AMD64
from publishing.published_images import app

from ko_pants.oci.archive_tool import write_tar
from ko_pants.oci.archives import ImageFile, docker_archive_files, layout_files


def manifest_json(files: tuple[ImageFile, ...]) -> Any:
    (image,) = json.loads(next(f.content for f in files if f.path == "manifest.json"))
    return image


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], None), (["app:v1"], ["app:v1"]), (["app:v1", "app:v2"], ["app:v1", "app:v2"])],
)
def test_a_docker_archive_has_any_number_of_tags(
    names: list[str], expected: list[str] | None, tmp_path: Path
) -> None:
    (manifest,) = app(tmp_path, platforms=[AMD64]).image.manifests
    files = docker_archive_files(manifest, names)
    image = manifest_json(files)
    assert image["RepoTags"] == expected
    assert image["Config"] == manifest.config_descriptor.digest
    # Config first and the list last, as ko has it.
    assert [f.path for f in files] == [image["Config"], *image["Layers"], "manifest.json"]


@pytest.mark.parametrize("names", [[], ["r/app:v1", "r/app:v2"]])
def test_a_layout_has_one_entry(names: list[str], tmp_path: Path) -> None:
    image = app(tmp_path).image
    files = {f.path: f for f in layout_files(image, names)}
    (entry,) = json.loads(files["index.json"].content)["manifests"]
    name = entry.pop("annotations", {}).get("org.opencontainers.image.ref.name")
    assert name == (names[0] if names else None)
    assert entry == image.descriptor.to_json()
    blobs = {f"sha256:{path.rpartition('/')[2]}" for path in files if path.startswith("blobs/")}
    children = {child.descriptor.digest for child in image.children}
    assert blobs == {image.descriptor.digest, *children, *image.blobs()}
    assert {f.blob.digest for f in files.values() if f.blob} == set(image.blobs()) - set(
        image.configs()
    )


def test_a_tar_is_always_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = []
    for mode in (0o600, 0o755):
        for name in ("b", "a:1"):
            Path(name).write_bytes(name.encode() * 1000)
            Path(name).chmod(mode)
        write_tar("x.tar", ["b", "a:1"])
        contents.append(Path("x.tar").read_bytes())
    assert contents[0] == contents[1]
    with tarfile.open("x.tar") as tar:
        assert tar.getnames() == ["b", "a:1"]
