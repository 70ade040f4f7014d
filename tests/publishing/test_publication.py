"""What the steps of a publish tell each other about one image."""

from __future__ import annotations

from pathlib import Path

from publishing.publish_runs import Run
from publishing.published_images import app, base_on

from ko_pants.oci.descriptor import Descriptor
from ko_pants.publishing.publication import BlobOutcome, Found, Published


def test_a_blob_for_which_something_was_done_has_that_outcome() -> None:
    uploaded = BlobOutcome("uploaded", 17)
    published = Published({"sha256:a": uploaded}, requests=3)
    assert published.outcome("sha256:a") == uploaded


def test_every_other_blob_was_reused_and_no_byte_of_it_was_sent() -> None:
    published = Published({"sha256:a": BlobOutcome("uploaded", 17)}, requests=3)
    assert published.outcome("sha256:b") == BlobOutcome("reused", 0)


def test_an_image_without_a_failure_has_an_empty_text_for_it() -> None:
    assert Published({}, requests=0).failure == ""


def test_an_image_whose_tags_all_name_it_is_up_to_date(tmp_path: Path) -> None:
    publication = Run(tmp_path).publication(app(tmp_path))
    assert Found(publication, (), present=True, missing={}).up_to_date
    assert not Found(publication, ("v1",), present=True, missing={}).up_to_date


def test_the_engine_is_asked_only_for_missing_layers_that_are_not_of_the_base(
    tmp_path: Path,
) -> None:
    image = app(tmp_path, base=base_on("registry.example.com/base"))
    publication = Run(tmp_path).publication(image)
    blobs: dict[str, Descriptor] = image.image.blobs()

    everything = Found(publication, ("v1",), present=False, missing=blobs)
    # A config is in the image, and a layer of the base comes from the base's registry.
    assert set(everything.missing_layers) == set(image.files)

    kodata = Found(publication, ("v1",), False, {image.kodata: blobs[image.kodata]})
    assert kodata.missing_layers == (image.kodata,)
    nothing = Found(publication, ("v1",), present=True, missing={})
    assert nothing.missing_layers == ()
