"""What is asked of a destination, and how little."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run, new_memory
from publishing.published_images import app

from ko_pants.errors import KoPantsError


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def endpoints(registry: FaultRegistry) -> list[str]:
    return [seen.endpoint for seen in registry.seen]


def test_an_unchanged_image_costs_one_request(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    registry.seen.clear()
    done = Run(tmp_path, registry).publish(image)
    assert endpoints(registry) == ["HEAD manifest"]
    assert done.requests == 1
    assert done.found.up_to_date
    assert done.found.missing_layers == ()
    assert all(done.outcome(d) == ("reused", 0) for d in image.image.blobs())


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # HEAD of the tag that names it shows that the image is there.
        (["v1", "v2"], ["HEAD manifest", "HEAD manifest", "PUT tag"]),
        (["v2"], ["HEAD manifest", "HEAD manifest", "PUT tag"]),
    ],
)
def test_a_new_tag_of_an_image_that_is_there_is_one_put(
    registry: FaultRegistry, tmp_path: Path, tags: list[str], expected: list[str]
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    registry.seen.clear()
    found = Run(tmp_path, registry).publish(image, tags=tags).found
    assert endpoints(registry) == expected
    assert found.present
    assert found.stale_tags == ("v2",)
    assert registry.tags["app", "v2"] == image.digest


@pytest.mark.parametrize(("tags"), [["v1", "v2"], ["v2"]])
def test_memory_of_the_last_run_saves_a_question(
    registry: FaultRegistry, tmp_path: Path, tags: list[str]
) -> None:
    memory = new_memory()
    image = app(tmp_path)
    Run(tmp_path, registry, memory).publish(image)
    registry.seen.clear()
    Run(tmp_path, registry, memory).publish(image, tags=tags)
    assert endpoints(registry) == ["HEAD manifest", "PUT tag"]
    assert registry.tags["app", "v2"] == image.digest
    registry.seen.clear()
    Run(tmp_path, registry, memory).publish(image, tags=tags)
    assert endpoints(registry) == ["HEAD manifest"] * len(tags)


def test_memory_decides_nothing(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    image = app(tmp_path)
    Run(tmp_path, registry, memory).publish(image)
    # Somebody empties the registry meanwhile.
    registry.tags.clear()
    registry.manifests.clear()
    registry.blobs.clear()
    Run(tmp_path, registry, memory).publish(image, tags=["v1", "v2"])
    assert registry.complete("app", "v1")
    assert registry.complete("app", "v2")


def test_a_tag_that_another_moved_is_moved_back(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    ours, theirs = app(tmp_path, "ours"), app(tmp_path, "theirs")
    Run(tmp_path, registry, memory).publish(ours)
    Run(tmp_path, registry).publish(theirs)
    assert registry.tags["app", "v1"] == theirs.digest
    done = Run(tmp_path, registry, memory).publish(ours)
    assert done.found.present
    assert registry.tags["app", "v1"] == ours.digest


def test_begun_checks_are_asked_together(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    checks = [
        run.run.checks.begin(run.publication(app(tmp_path, f"app{n}"), f"app{n}")) for n in range(4)
    ]
    assert run.run.begun == 4
    assert registry.seen == []
    for check in checks:
        found = run.run.checks.finish(check)
        assert found.stale_tags == ("v1",)
        assert len(found.missing) == 5


def test_what_is_missing_is_in_the_order_of_the_image(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    assert list(Run(tmp_path, registry).check(image).missing) == list(image.image.blobs())


def test_a_registry_that_cannot_be_asked_is_named(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.fail("HEAD manifest", "403", None, "DENIED")
    with pytest.raises(KoPantsError, match=registry.host):
        Run(tmp_path, registry).check(app(tmp_path))
