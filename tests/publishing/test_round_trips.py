"""How many round trips in a row a publication takes; docs/performance.md has the table."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, fault_registry
from oci.images import AMD64, FIVE
from publishing.publish_runs import Run, new_memory
from publishing.published_images import App, app, base_on
from publishing.round_trips import round_trips
from registry_support import client_for

from ko_pants.oci.platform import Platform
from ko_pants.publishing.checking import Memory
from ko_pants.publishing.run import PublishRun

TAG = {"HEAD manifest": 1}
PLATFORMS = pytest.mark.parametrize("platforms", [(AMD64,), FIVE], ids=["one", "five"])


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


class Daemon:
    """Runs one after the other, with what a daemon remembers and a client that is warm."""

    def __init__(self, root: Path, registry: FaultRegistry) -> None:
        self.memory: Memory = new_memory()
        self._root = root
        self._registry = registry
        self._client = client_for({}, per_host_connections=64)
        # It knows the registry, and whether that wants to know who asks.
        self.run().check(app(root, "unknown"), "unknown")

    def run(self, *, cold: bool = False) -> Run:
        """A new run; `cold`: it remembers nothing of the runs before."""
        run = Run(self._root, self._registry)
        run.run = PublishRun(
            self._client,
            layout_root=str(self._root),
            memory=new_memory() if cold else self.memory,
            threads=64,
        )
        return run

    def publish(self, image: App, tags: Sequence[str] = ("v1",), *, cold: bool = False) -> int:
        """All steps of one image; returns its requests."""
        return self.run(cold=cold).publish(image, tags=tags).requests


def uploads(image: App, missing: int) -> list[dict[str, int]]:
    """The trips after all questions: sessions, bytes, children, tag."""
    children = len(image.image.children)
    return [
        {"POST upload": missing},
        {"PUT upload": missing},
        *([{"PUT manifest": children}] if children else []),
        {"PUT tag": 1},
    ]


@PLATFORMS
def test_an_unchanged_image_takes_one(
    registry: FaultRegistry, tmp_path: Path, platforms: Sequence[Platform]
) -> None:
    daemon, image = Daemon(tmp_path, registry), app(tmp_path, platforms=platforms)
    daemon.publish(image, ["v1", "v2"])
    for cold in (False, True):
        with round_trips(registry, {"HEAD manifest": 2}):
            assert daemon.publish(image, ["v1", "v2"], cold=cold) == 2


@PLATFORMS
def test_a_new_tag_takes_two(
    registry: FaultRegistry, tmp_path: Path, platforms: Sequence[Platform]
) -> None:
    daemon, image = Daemon(tmp_path, registry), app(tmp_path, platforms=platforms)
    daemon.publish(image)
    with round_trips(registry, TAG, {"PUT tag": 1}):
        assert daemon.publish(image, ["v2"]) == 2
    # Without memory, the tag is asked for first.
    with round_trips(registry, TAG, TAG, {"PUT tag": 1}):
        assert daemon.publish(image, ["v3"], cold=True) == 3


@PLATFORMS
def test_a_changed_layer_takes_four_and_five_with_an_index(
    registry: FaultRegistry, tmp_path: Path, platforms: Sequence[Platform]
) -> None:
    daemon = Daemon(tmp_path, registry)
    old, new = (app(tmp_path, name, platforms) for name in ("old", "new"))
    daemon.publish(old)
    blobs = len(new.image.blobs())
    questions = {"HEAD manifest": 2, "HEAD blob": blobs}
    trips = [questions, *uploads(new, blobs - 1)]
    assert len(trips) == (4 if len(platforms) == 1 else 5)
    with round_trips(registry, *trips):
        requests = daemon.publish(new)
    assert registry.complete("app", "v1")
    assert requests == sum(sum(trip.values()) for trip in trips)


@PLATFORMS
def test_a_changed_layer_takes_one_more_if_nothing_is_remembered(
    registry: FaultRegistry, tmp_path: Path, platforms: Sequence[Platform]
) -> None:
    daemon = Daemon(tmp_path, registry)
    old, new = (app(tmp_path, name, platforms) for name in ("old", "new"))
    daemon.publish(old)
    blobs = len(new.image.blobs())
    # The tag names another image, so the new one is most likely not there.
    questions = {"HEAD manifest": 1, "HEAD blob": blobs}
    with round_trips(registry, TAG, questions, *uploads(new, blobs - 1)):
        daemon.publish(new, cold=True)


def test_images_that_changed_are_side_by_side(registry: FaultRegistry, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, registry)
    images = {f"app{n}": [app(tmp_path, f"{age}{n}") for age in ("old", "new")] for n in range(4)}
    run = daemon.run()
    assert run.commit(*(run.upload(old, name) for name, (old, _) in images.items())) == {}
    run, checks = daemon.run(), []
    one = [{"HEAD manifest": 2, "HEAD blob": 5}, *uploads(images["app0"][1], 4)]
    with round_trips(registry, *({k: 4 * n for k, n in trip.items()} for trip in one)):
        for name, (_, new) in images.items():
            checks.append((new, run.run.checks.begin(run.publication(new, name))))
        founds = [(new, run.run.checks.finish(check)) for new, check in checks]
        assert run.commit(*(run.run.uploads.begin(found, new.files) for new, found in founds)) == {}
    assert all(registry.complete(name, "v1") for name in images)


@PLATFORMS
def test_a_first_publication_asks_one_after_the_other(
    registry: FaultRegistry, tmp_path: Path, platforms: Sequence[Platform]
) -> None:
    daemon, image = Daemon(tmp_path, registry), app(tmp_path, platforms=platforms)
    blobs = len(image.image.blobs())
    with round_trips(registry, TAG, TAG, {"HEAD blob": blobs}, *uploads(image, blobs)):
        daemon.publish(image)


def test_a_base_on_the_same_registry_is_mounted_meanwhile(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path, registry)
    base = base_on(f"{registry.host}/base", (AMD64,))
    registry.put_blob("base", b"layer of the base" * 10)
    image = app(tmp_path, platforms=(AMD64,), base=base)
    blobs = len(image.image.blobs())
    trips = uploads(image, blobs - 1)
    trips[0]["POST mount"] = 1
    with round_trips(registry, TAG, TAG, {"HEAD blob": blobs}, *trips):
        daemon.publish(image)


@PLATFORMS
def test_sboms_take_as_many_as_the_image(
    registry: FaultRegistry, tmp_path: Path, platforms: Sequence[Platform]
) -> None:
    daemon = Daemon(tmp_path, registry)
    old, new = (app(tmp_path, name, platforms) for name in ("old", "new"))
    # By another client, for one does not ask again for a blob that it has sent.
    run = Run(tmp_path, registry, daemon.memory)
    assert run.commit(run.attach(old, ["spdx"])) == {}
    blobs, subjects = len(new.image.blobs()), len(new.image.children) + 1
    plain = uploads(new, blobs - 1)
    # All artifacts share the empty blob.
    begin = {"HEAD blob": 1, "POST upload": blobs - 1 + subjects}
    manifests = {"PUT manifest": len(new.image.children) + subjects}
    run = daemon.run()
    with round_trips(
        registry,
        {"HEAD manifest": 2, "HEAD blob": blobs},
        begin,
        {"PUT upload": blobs - 1 + subjects},
        manifests,
        plain[-1],
    ):
        assert run.commit(run.attach(new, ["spdx"])) == {}


def test_a_layout_takes_none(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    with round_trips(registry):
        for name in ("old", "new"):
            assert Run(tmp_path, memory=memory).publish(app(tmp_path, name)).requests == 0
