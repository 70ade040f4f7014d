"""What a publish says of an image on the terminal."""

from __future__ import annotations

import re
from pathlib import Path

from oci.images import AMD64
from publishing.publish_runs import Run
from publishing.published_images import app

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.goals.publish_output import PushedName, description_of, shown_digest
from ko_pants.publishing.publication import Published


def test_an_image_that_is_pushed_says_what_was_missing(tmp_path: Path) -> None:
    found = Run(tmp_path).check(app(tmp_path))
    text = f"published to {description_of(found.publication, found, lambda: Published({}, 0))}"
    assert text.startswith("published to dist/oci: 2 platforms, ")
    assert re.search(r"platforms, [\d.]+ [kM]?B \(\d+ of \d+ blobs\)$", text)


def test_an_image_that_was_not_tagged_says_why_instead(tmp_path: Path) -> None:
    found = Run(tmp_path).check(app(tmp_path))
    published = Published({}, 0)
    description = description_of(found.publication, found, lambda: published)
    # It is made before the tags move, and written when the run is over.
    published = Published({}, 0, failure="OCI layout dist/oci: cannot write\nsecond line")
    text = f"failed for {description}"
    assert text == "failed for dist/oci: OCI layout dist/oci: cannot write"


def test_an_image_that_is_not_pushed_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path)
    publication = run.check(app(tmp_path)).publication
    text = description_of(publication, None, lambda: Published({}, 0))
    assert f"built {publication.image.descriptor.digest[:19]}, 2 platforms" in text


def test_a_line_fits_on_the_terminal_and_says_which_image_it_is(tmp_path: Path) -> None:
    found = Run(tmp_path).check(app(tmp_path, platforms=[AMD64]))
    digest = found.publication.image.descriptor.digest
    description = description_of(found.publication, found, lambda: Published({}, 0))
    name = PushedName("ghcr.io/example/shop/checkout:2.1", shown_digest(digest, full=False))
    # As Pants writes it.
    line = f"✓ {name} published to {description}."
    assert line.startswith(f"✓ ghcr.io/example/shop/checkout:2.1 as {digest[:19]} published")
    assert "linux/amd64, " in line
    assert len(line) <= 120


def test_all_of_a_digest_is_shown_on_request(tmp_path: Path) -> None:
    run = Run(tmp_path)
    publication = run.check(app(tmp_path)).publication
    digest = publication.image.descriptor.digest
    assert shown_digest(digest, full=True) == digest
    text = description_of(publication, None, lambda: Published({}, 0), full_digests=True)
    assert f"built {digest}, " in text
