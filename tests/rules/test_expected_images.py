"""What is noted of the images of a daemon's first publish."""

from __future__ import annotations

import asyncio
from typing import Iterator

import pytest

pytest.importorskip("pants.core.goals.publish", reason="needs Pants")

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.daemon_memory import clear_all
from ko_pants.products import Packaging, PackagingRequest
from ko_pants.publishing.destinations import Destination
from ko_pants.rules import expected_images
from ko_pants.rules.expected_images import (
    end_first_publish,
    note_destinations,
    take_repositories,
)

PUSHED = Destination("team/app", ("v1",), registry="registry.example.com")


@pytest.fixture(autouse=True)
def new_daemon() -> Iterator[None]:
    clear_all()
    yield
    clear_all()


def note(monkeypatch: pytest.MonkeyPatch, *, goal: str = "publish") -> None:
    async def packaging(request: PackagingRequest) -> Packaging:
        return Packaging(writes_files=goal == "package")

    monkeypatch.setattr(expected_images, "packaging", packaging)
    layout = Destination("app", ("v1",), layout="dist/oci")
    skipped = Destination("team/not", ("v1",), registry="registry.example.com", skip="by skip_push")
    asyncio.run(note_destinations([PUSHED, layout, skipped]))


def test_what_will_be_pushed_to_a_registry_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    note(monkeypatch)
    note(monkeypatch)
    assert take_repositories() == [PUSHED.reference]
    assert take_repositories() == []


def test_nothing_is_noted_of_packages_that_are_not_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    note(monkeypatch, goal="package")
    assert take_repositories() == []


def test_nothing_is_noted_after_the_first_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    note(monkeypatch)
    end_first_publish()
    note(monkeypatch)
    assert take_repositories() == []
