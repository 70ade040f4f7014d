"""What a publish says of an image on the terminal."""

from __future__ import annotations

from pathlib import Path

from publishing.publish_runs import Run
from publishing.published_images import app

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.goals.publish_output import description_of
from ko_pants.publishing.publication import Published


def test_an_image_that_is_pushed_says_what_was_missing(tmp_path: Path) -> None:
    found = Run(tmp_path).check(app(tmp_path))
    text = f"published to {description_of(found.publication, found, lambda: Published({}, 0))}"
    assert text.startswith("published to dist/oci (linux/amd64, ")
    assert "blobs were missing" in text


def test_an_image_that_was_not_tagged_says_why_instead(tmp_path: Path) -> None:
    found = Run(tmp_path).check(app(tmp_path))
    published = Published({}, 0)
    description = description_of(found.publication, found, lambda: published)
    # It is made before the tags move, and written when the run is over.
    published = Published({}, 0, failure="OCI layout dist/oci: cannot write\nsecond line")
    text = f"failed for {description}"
    assert text.startswith("failed for dist/oci (linux/amd64, ")
    assert text.endswith("linux/arm64): OCI layout dist/oci: cannot write")
    assert "missing" not in text


def test_an_image_that_is_not_pushed_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    publication = run.check(app(tmp_path)).publication
    text = description_of(publication, None, lambda: Published({}, 0))
    assert f"built {publication.image.descriptor.digest}" in text
