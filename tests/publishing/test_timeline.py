"""When blobs went up and tags moved, for the page of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Iterator, List

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run
from publishing.published_images import App, app

from ko_pants.publishing.timeline import Step, Timeline


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as running:
        yield running


def publish(run: Run, image: App) -> List[Step]:
    """Publish an image with a timeline; its steps."""
    timeline = run.run.uploads.timeline = Timeline()
    upload = run.upload(image)
    assert run.commit(upload) == {}
    return list(timeline.of(upload.publication))


@pytest.mark.parametrize("layout", [False, True])
def test_each_blob_and_then_the_tags(tmp_path: Path, registry: FaultRegistry, layout: bool) -> None:
    image = app(tmp_path)
    before = time.time()
    steps = publish(Run(tmp_path, None if layout else registry), image)
    after = time.time()
    assert {step.digest for step in steps} == {*image.image.blobs(), ""}
    assert [step.digest for step in steps].count("") == 1
    assert steps[-1].digest == ""
    assert all(before <= step.begin <= step.end <= after for step in steps)


def test_an_image_for_which_nothing_was_done_has_no_step(
    tmp_path: Path, registry: FaultRegistry
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    run = Run(tmp_path, registry)
    timeline = run.run.uploads.timeline = Timeline()
    found = run.check(image)
    assert found.up_to_date
    assert timeline.of(found.publication) == ()


def test_without_a_timeline_nothing_is_noted(tmp_path: Path, registry: FaultRegistry) -> None:
    run = Run(tmp_path, registry)
    assert run.run.uploads.timeline is None
    run.publish(app(tmp_path))
