"""What is sent, in which order, and what a user sees meanwhile."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, Seen, fault_registry
from oci.images import AMD64
from publishing.lost_blobs import lose
from publishing.publish_runs import Run, outcome, silent
from publishing.published_images import app

from ko_pants.errors import KoPantsError
from ko_pants.interruption import InterruptedRunError
from ko_pants.oci import media_types as mt
from ko_pants.publishing import uploading

SECONDS = 60.0


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def endpoints(registry: FaultRegistry) -> list[str]:
    return [seen.endpoint for seen in registry.seen]


def last(values: Sequence[str], word: str) -> int:
    return len(values) - 1 - list(reversed(values)).index(word)


def test_blobs_then_children_then_the_tag(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    done = Run(tmp_path, registry).publish(image)
    order = endpoints(registry)
    assert order[0] == "HEAD manifest"
    assert last(order, "PUT upload") < order.index("PUT tag")
    assert last(order, "PUT manifest") < order.index("PUT tag")
    assert order.count("PUT manifest") == 2
    assert order[-1] == "PUT tag"
    assert registry.tags == {("app", "v1"): image.digest}
    assert registry.complete("app", "v1")
    assert done.requests == len(registry.seen)


def test_nothing_visible_changes_before_the_commit(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    first = run.upload(app(tmp_path, "first"), "first")
    second = run.upload(app(tmp_path, "second"), "second", ["v1", "v2"])
    run.run.uploads.wait([first, second], silent)
    assert registry.tags == {}
    assert registry.count("PUT manifest") == 4
    assert run.commit(first, second) == {}
    assert set(registry.tags) == {("first", "v1"), ("second", "v1"), ("second", "v2")}


def test_every_child_waits_for_its_own_blobs(registry: FaultRegistry, tmp_path: Path) -> None:
    # The registry refuses a manifest whose parts are missing: one refusal would be seen.
    run = Run(tmp_path, registry)
    images = [app(tmp_path, f"app{n}") for n in range(5)]
    uploads = [run.upload(image, f"app{n}") for n, image in enumerate(images)]
    assert run.commit(*uploads) == {}
    assert {seen.status for seen in registry.seen if seen.method == "PUT"} == {201}


def test_a_child_does_not_wait_for_the_blobs_of_others(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run, image = Run(tmp_path, registry), app(tmp_path)
    first, other = image.image.children
    found = run.check(image)
    files = {digest: image.files[digest] for digest in found.missing_layers}
    # The executable of the other platform comes only when the first child is there.
    late = other.layers[-1].descriptor.digest
    content = Path(files[late]).read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files[late] = str(pipe)

    def release(seen: Seen) -> None:
        if seen.endpoint == "PUT manifest" and first.descriptor.digest in seen.path:
            threading.Thread(target=pipe.write_bytes, args=(content,)).start()

    registry.on_request = release
    assert run.commit(run.run.uploads.begin(found, files)) == {}
    assert registry.complete("app", "v1")


def test_what_many_repositories_lack_is_mounted_side_by_side(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    founds = [run.check(image, f"app{n}") for n in range(5)]
    together = threading.Barrier(3)

    def hold(seen: Seen) -> None:
        if seen.endpoint == "POST mount" and image.kodata.partition(":")[2] in seen.path:
            mounts = sum(
                1
                for each in registry.seen
                if each.endpoint == "POST mount" and image.kodata.partition(":")[2] in each.path
            )
            # The first two repositories show that the registry mounts.
            if mounts > 1:
                together.wait(SECONDS)

    registry.on_request = hold
    uploads = [run.run.uploads.begin(found, image.files) for found in founds]
    assert run.commit(*uploads) == {}
    assert not together.broken
    assert set(registry.commits.values()) == {1}


def test_a_single_image_has_no_children(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path, platforms=[AMD64])
    Run(tmp_path, registry).publish(image)
    assert registry.count("PUT manifest") == 0
    assert registry.count("PUT tag") == 1
    assert registry.manifests["app", image.digest][0] == mt.OCI_MANIFEST


def test_of_a_new_image_every_blob_is_sent_once(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    done = Run(tmp_path, registry).publish(image)
    blobs = image.image.blobs()
    assert dict(registry.commits) == dict.fromkeys(blobs, 1)
    for digest, descriptor in blobs.items():
        assert done.outcome(digest) == ("uploaded", descriptor.size)


def test_the_next_image_sends_only_what_is_new(registry: FaultRegistry, tmp_path: Path) -> None:
    Run(tmp_path, registry).publish(app(tmp_path, "old"))
    image = app(tmp_path, "new")
    done = Run(tmp_path, registry).publish(image)
    assert registry.commits[image.kodata] == 1
    assert done.outcome(image.kodata) == ("reused", 0)
    assert set(done.found.missing) == set(image.image.blobs()) - {image.kodata}
    assert image.kodata not in done.found.missing_layers
    assert registry.complete("app", "v1")


def test_what_several_repositories_lack_goes_up_once_and_is_mounted(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    uploads = [run.upload(image, f"app{n}") for n in range(3)]
    assert run.commit(*uploads) == {}
    assert set(registry.commits.values()) == {1}
    for digest, descriptor in image.image.blobs().items():
        outcomes = sorted(outcome(u, digest) for u in uploads)
        assert outcomes == [("mounted", 0), ("mounted", 0), ("uploaded", descriptor.size)]
    assert all(registry.complete(f"app{n}", "v1") for n in range(3))


def test_a_registry_that_mounts_nothing_is_sent_the_bytes(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    registry.mounts = False
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    uploads = [run.upload(image, f"app{n}") for n in range(2)]
    assert run.commit(*uploads) == {}
    assert all(registry.complete(f"app{n}", "v1") for n in range(2))


def test_two_targets_of_one_repository_share_their_blobs(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    checks = run.run.checks
    first, second = app(tmp_path, "first"), app(tmp_path, "second")
    begun = [
        (image, checks.begin(run.publication(image, "app", [tag], target=f"//:{tag}")))
        for image, tag in ((first, "a"), (second, "b"))
    ]
    uploads = [run.run.uploads.begin(checks.finish(check), image.files) for image, check in begun]
    assert run.commit(*uploads) == {}
    assert registry.commits[first.kodata] == 1
    assert registry.complete("app", "a")
    assert registry.complete("app", "b")


def test_a_config_that_the_registry_lost_is_brought_again(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = app(tmp_path)
    lost = image.image.manifests[0].config_descriptor.digest
    registry.put_blob("app", image.image.configs()[lost])
    lose(registry, lost, monkeypatch)
    done = Run(tmp_path, registry).publish(image)
    assert done.outcome(lost)[0] == "uploaded"
    assert registry.complete("app", "v1")
    # Two children, and again the one that was refused.
    assert registry.count("PUT manifest") == 3


def test_children_that_the_registry_lost_are_brought_with_the_tag(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    # The index is still there by digest, so nothing else is asked for.
    for child in image.image.children:
        del registry.manifests["app", child.descriptor.digest]
    Run(tmp_path, registry).publish(image, tags=["v2"])
    assert registry.complete("app", "v2")


def test_a_config_that_turns_out_lost_with_its_manifest_is_brought_too(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    lost = image.image.manifests[0]
    del registry.manifests["app", lost.descriptor.digest]
    del registry.blobs["app", lost.config_descriptor.digest]
    done = Run(tmp_path, registry).publish(image, tags=["v2"])
    assert registry.complete("app", "v2")
    assert done.outcome(lost.config_descriptor.digest)[0] == "uploaded"


def test_of_an_image_whose_blobs_are_all_there_only_the_manifests_are_sent(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    registry.manifests.clear()
    registry.tags.clear()
    registry.seen.clear()
    done = Run(tmp_path, registry).publish(image)
    assert not done.found.present
    assert done.outcomes == {}
    puts = [(seen.endpoint, seen.status) for seen in registry.seen if seen.method == "PUT"]
    assert puts == [("PUT manifest", 201), ("PUT manifest", 201), ("PUT tag", 201)]


def test_no_manifest_is_sent_if_a_blob_was_refused(registry: FaultRegistry, tmp_path: Path) -> None:
    for endpoint in ("POST upload", "PUT upload"):
        registry.fail(endpoint, "403", None, "DENIED")
    run = Run(tmp_path, registry)
    (failure,) = run.commit(run.upload(app(tmp_path))).values()
    assert failure.startswith("not tagged: //:app: ")
    assert registry.count("PUT manifest") == 0
    assert registry.tags == {}


def test_waiting_for_an_upload_of_a_closed_run_raises(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    found = run.check(image)
    run.run.close()
    upload = run.run.uploads.begin(found, image.files)
    with pytest.raises(InterruptedError):
        run.run.uploads.wait([upload], silent)
    assert registry.tags == {}


def test_a_blob_that_two_images_of_a_layout_lack_is_written_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    first, second = app(tmp_path, "first"), app(tmp_path, "second")
    founds = [run.check(first, "first"), run.check(second, "second")]
    assert all(first.kodata in found.missing for found in founds)
    uploads = [
        run.run.uploads.begin(found, image.files) for found, image in zip(founds, (first, second))
    ]
    assert run.commit(*uploads) == {}
    assert sorted(outcome(upload, first.kodata) for upload in uploads) == [
        ("reused", 0),
        ("written", len(b"kodata" * 20)),
    ]


def test_a_long_upload_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "_LOOK_SECONDS", 0.01)
    image = app(tmp_path)
    content = Path(image.files[image.kodata]).read_bytes()
    # Nothing can be read from the pipe before the first line of progress.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    image.files[image.kodata] = str(pipe)
    lines: list[str] = []

    def report(line: str) -> None:
        if line and not lines:
            threading.Thread(target=pipe.write_bytes, args=(content,)).start()
        lines.extend([line] if line else [])

    run = Run(tmp_path, interval_seconds=0.01)
    upload = run.upload(image)
    assert run.run.move_tags([upload], report) == ("",)
    assert lines
    assert lines[0].startswith("Uploading //:app (linux/amd64, linux/arm64): 0.0 of 0.0 MB, ")
    assert " MB/s" in lines[0]


def test_who_ends_a_run_that_waits_for_an_upload_is_told_what_is_where(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    held, release = threading.Event(), threading.Event()

    def hold(seen: Seen) -> None:
        if seen.endpoint == "PUT upload" and image.kodata.partition(":")[2] in seen.path:
            held.set()
            assert release.wait(SECONDS)

    registry.on_request = hold
    run = Run(tmp_path, registry)
    upload = run.upload(image)
    assert held.wait(SECONDS)

    def report(line: str) -> None:
        if upload.progress is not None and len(upload.outcomes) == len(upload.found.missing) - 1:
            raise InterruptedRunError

    (failure,) = run.run.move_tags([upload], report)
    count = len(upload.found.missing)
    assert failure.startswith("interrupted: no tag has moved; ")
    assert f"{count - 1} of {count} missing blobs are there by now" in failure
    # The one that waits for the registry ends, though the registry does not answer.
    with pytest.raises(KoPantsError):
        upload.tasks.wait(SECONDS)
    release.set()
    registry.on_request = lambda seen: None
    assert registry.tags == {}

    # The next run sends what lacks.
    done = Run(tmp_path, registry).publish(image)
    assert set(done.found.missing) <= {image.kodata}
    assert registry.complete("app", "v1")


def test_progress_counts_bytes_sent_of_bytes_to_be_sent(tmp_path: Path) -> None:
    image = app(tmp_path)
    total = sum(d.size for d in image.image.blobs().values())
    run = Run(tmp_path)
    assert run.commit(run.upload(image)) == {}
    progress = run.run.uploads.progress
    assert (progress.sent_bytes, progress.total_bytes) == (total, total)


def test_a_new_attempt_counts_from_the_beginning(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.fail("PUT upload", "reset in body", 2)
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    assert run.commit(run.upload(image)) == {}
    total = sum(d.size for d in image.image.blobs().values())
    progress = run.run.uploads.progress
    assert progress.sent_bytes == progress.total_bytes == total


def test_the_index_that_is_served_is_the_one_that_was_composed(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    media_type, content = registry.manifests["app", image.digest]
    assert media_type == mt.OCI_INDEX
    assert content == image.image.index
    for entry in json.loads(content)["manifests"]:
        media_type, content = registry.manifests["app", entry["digest"]]
        assert (media_type, len(content)) == (entry["mediaType"], entry["size"])
