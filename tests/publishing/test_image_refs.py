"""References of published images: what ko prints, and its file of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from oci.images import AMD64, ARM64
from publishing.published_images import app

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.image_refs import ReferencesFile, check_tag_only, image_references

REGISTRY, LAYOUT = {"registry": "r.example.com"}, {"layout": "dist/oci"}


@pytest.mark.parametrize(
    ("platforms", "tags", "where", "expected"),
    [
        ([AMD64], ("latest",), REGISTRY, ["r.example.com/app@{0}"]),
        # One tag that tells images apart is most likely a release.
        ([AMD64], ("v1",), REGISTRY, ["r.example.com/app:v1@{0}"]),
        ([AMD64], ("v1", "latest"), REGISTRY, ["r.example.com/app@{0}"]),
        (
            [AMD64, ARM64],
            ("v1",),
            REGISTRY,
            ["r.example.com/app@{0}", "r.example.com/app@{1}", "r.example.com/app@{2}"],
        ),
        ([AMD64], ("v1",), LAYOUT, ["dist/oci@{0}"]),
        ([AMD64], ("v1",), {"registry": "ko.local"}, ["ko.local/app:{0}"]),
        ([AMD64, ARM64], ("v1",), LAYOUT, ["dist/oci@{0}", "dist/oci@{1}", "dist/oci@{2}"]),
    ],
)
def test_what_an_image_is_called(
    platforms: list[Platform],
    tags: tuple[str, ...],
    where: dict[str, str],
    expected: list[str],
    tmp_path: Path,
) -> None:
    image = app(tmp_path, platforms=platforms).image
    digests = [image.descriptor.digest, *(c.descriptor.digest for c in image.children)]
    found = image_references(image, Destination("app", tags, **where), tag_only=False)
    assert list(found) == [text.format(*digests).replace(":sha256:", ":") for text in expected]


def test_a_tag_without_digest(tmp_path: Path) -> None:
    image = app(tmp_path).image
    registry, layout = (
        Destination("app", ("v1",), **REGISTRY),
        Destination("app", ("v1",), **LAYOUT),
    )
    assert image_references(image, registry, tag_only=True) == ("r.example.com/app:v1",)
    assert image_references(image, layout, tag_only=True) == ("oci:dist/oci:app:v1",)
    check_tag_only("a:a", [registry, layout])


@pytest.mark.parametrize("tags", [("latest",), ("v1", "v2"), ("v1", "latest")])
def test_a_tag_alone_has_to_tell_images_apart(tags: tuple[str, ...]) -> None:
    with pytest.raises(KoPantsError) as e:
        check_tag_only("a:a", [Destination("app", ("v1",)), Destination("app", tags, **REGISTRY)])
    for word in ("a:a", "[ko].tag_only", "`image_tags`", "r.example.com/app", *tags):
        assert word in str(e.value)


def encode(value: Any) -> Any:
    """As the publish goal does: what json does not know is made a list if it is a sequence."""
    return json.loads(json.dumps(value, default=list, indent=2))


def test_the_file_is_written_when_the_data_of_the_run_is_encoded(tmp_path: Path) -> None:
    file = ReferencesFile(str(tmp_path), "out/refs")
    data = [
        {"references": file.note("b:b", "r/b", ["r/b@1", "r/b@2"], failed=False)},
        {"references": file.note("a:a", "r/a", ["r/a@3"], failed=False)},
    ]
    assert not (tmp_path / "out").exists()
    assert encode(data) == [{"references": ["r/b@1", "r/b@2"]}, {"references": ["r/a@3"]}]
    assert (tmp_path / "out/refs").read_text() == "r/a@3\nr/b@1\nr/b@2\n"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["refs"]


def test_an_image_that_failed_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "refs").write_text("old\n")
    file = ReferencesFile(str(tmp_path), "refs")
    data = [
        file.note("a:a", "r/a", ["r/a@1"], failed=False),
        file.note("b:b", "r/b", ["r/b@2"], failed=True),
    ]
    assert encode(data) == [["r/a@1"], ["r/b@2"]]
    assert (tmp_path / "refs").read_text() == "old\n"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = ReferencesFile(str(tmp_path), "file/refs")
    references = file.note("a:a", "r/a", ["r/a@1"], failed=False)
    with pytest.raises(KoPantsError, match=r"\[ko\]\.image_refs: file/refs cannot be written"):
        encode([references])
