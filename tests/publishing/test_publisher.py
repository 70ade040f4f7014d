"""Publishing: what is asked, what is sent, in which order, and what is visible when it fails."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Callable, Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, fault_registry
from oci.images import AMD64
from publishing.published_images import BASE_BLOB, App, app, base_on
from registry_support import client_for

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.layout import Layout
from ko_pants.publishing import publisher as publisher_module
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.publisher import (
    Publication,
    Publisher,
    RepositoryMemory,
    missing_layers,
)


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def silent(line: str) -> None:
    pass


class Run:
    """One run of `publish`, against a registry or into the layout `dist/oci`."""

    def __init__(
        self,
        root: Path,
        registry: FaultRegistry | None = None,
        memory: dict[str, RepositoryMemory] | None = None,
    ) -> None:
        self.registry = registry
        self.root = root
        self.publisher = Publisher(client_for({}), layout_root=str(root), memory=memory)

    def destination(self, repository: str, tags: Sequence[str]) -> Destination:
        if self.registry is None:
            return Destination(repository, tuple(tags), layout="dist/oci")
        return Destination(repository, tuple(tags), registry=self.registry.host)

    def check(
        self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",)
    ) -> Publication:
        publication = self.publisher.publication(
            f"//:{repository}", image.image, image.base, self.destination(repository, tags)
        )
        self.publisher.begin_check(publication)
        self.publisher.finish_check(publication)
        return publication

    def upload(
        self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",)
    ) -> Publication:
        """As the publish rule: only what is missing is handed over as files."""
        publication = self.check(image, repository, tags)
        if not publication.up_to_date:
            files = {digest: image.files[digest] for digest in missing_layers(publication)}
            self.publisher.begin_upload(publication, files)
        return publication

    def publish(
        self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",)
    ) -> Publication:
        publication = self.upload(image, repository, tags)
        if not publication.up_to_date:
            assert self.publisher.commit([publication], silent) == {}
        return publication


def endpoints(registry: FaultRegistry) -> list[str]:
    return [seen.endpoint for seen in registry.seen]


def last(values: Sequence[str], word: str) -> int:
    return len(values) - 1 - list(reversed(values)).index(word)


# Order


def test_blobs_then_children_then_the_tag(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    publication = Run(tmp_path, registry).publish(image)
    order = endpoints(registry)
    assert order[0] == "HEAD manifest"
    assert last(order, "PUT upload") < order.index("PUT manifest")
    assert last(order, "PUT manifest") < order.index("PUT tag")
    assert order.count("PUT manifest") == 2
    assert order[-1] == "PUT tag"
    assert registry.tags == {("app", "v1"): image.digest}
    assert registry.complete("app", "v1")
    assert publication.store.requests == len(registry.seen)


def test_nothing_visible_changes_before_the_commit(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    first = run.upload(app(tmp_path, "first"), "first")
    second = run.upload(app(tmp_path, "second"), "second", ["v1", "v2"])
    run.publisher.wait([first, second], silent)
    assert registry.tags == {}
    assert registry.count("PUT manifest") == 4
    assert run.publisher.commit([first, second], silent) == {}
    assert set(registry.tags) == {("first", "v1"), ("second", "v1"), ("second", "v2")}


def test_every_child_waits_for_all_blobs_of_its_image(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    # The registry refuses a manifest whose parts are missing: one refusal would be seen.
    run = Run(tmp_path, registry)
    images = [app(tmp_path, f"app{n}") for n in range(5)]
    publications = [run.upload(image, f"app{n}") for n, image in enumerate(images)]
    assert run.publisher.commit(publications, silent) == {}
    assert {seen.status for seen in registry.seen if seen.method == "PUT"} == {201}


def test_a_single_image_has_no_children(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path, platforms=[AMD64])
    Run(tmp_path, registry).publish(image)
    assert registry.count("PUT manifest") == 0
    assert registry.count("PUT tag") == 1
    assert registry.manifests["app", image.digest][0] == mt.OCI_MANIFEST


# What is sent


def test_of_a_new_image_every_blob_is_sent_once(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    publication = Run(tmp_path, registry).publish(image)
    blobs = image.image.blobs()
    assert dict(registry.commits) == dict.fromkeys(blobs, 1)
    for digest, descriptor in blobs.items():
        assert publication.outcome(digest) == ("uploaded", descriptor.size)


def test_the_next_image_sends_only_what_is_new(registry: FaultRegistry, tmp_path: Path) -> None:
    Run(tmp_path, registry).publish(app(tmp_path, "old"))
    image = app(tmp_path, "new")
    publication = Run(tmp_path, registry).publish(image)
    assert registry.commits[image.kodata] == 1
    assert publication.outcome(image.kodata) == ("reused", 0)
    assert set(publication.missing) == set(image.image.blobs()) - {image.kodata}
    assert image.kodata not in missing_layers(publication)
    assert registry.complete("app", "v1")


def test_what_several_repositories_lack_goes_up_once_and_is_mounted(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    publications = [run.upload(image, f"app{n}") for n in range(3)]
    assert run.publisher.commit(publications, silent) == {}
    assert set(registry.commits.values()) == {1}
    for digest, descriptor in image.image.blobs().items():
        outcomes = sorted(p.outcome(digest) for p in publications)
        assert outcomes == [("mounted", 0), ("mounted", 0), ("uploaded", descriptor.size)]
    assert all(registry.complete(f"app{n}", "v1") for n in range(3))


def test_a_registry_that_mounts_nothing_is_sent_the_bytes(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    registry.mounts = False
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    publications = [run.upload(image, f"app{n}") for n in range(2)]
    assert run.publisher.commit(publications, silent) == {}
    assert all(registry.complete(f"app{n}", "v1") for n in range(2))


def test_two_targets_of_one_repository_share_their_blobs(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    first, second = app(tmp_path, "first"), app(tmp_path, "second")
    publications = []
    for image, tag in ((first, "a"), (second, "b")):
        destination = run.destination("app", [tag])
        publication = run.publisher.publication(f"//:{tag}", image.image, image.base, destination)
        run.publisher.begin_check(publication)
        publications.append(publication)
    for publication, image in zip(publications, (first, second)):
        run.publisher.finish_check(publication)
        run.publisher.begin_upload(publication, image.files)
    assert run.publisher.commit(publications, silent) == {}
    assert registry.commits[first.kodata] == 1
    assert registry.complete("app", "a")
    assert registry.complete("app", "b")


def test_layers_of_a_base_on_the_same_registry_are_mounted(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    digest = registry.put_blob("bases/static", BASE_BLOB)
    image = app(tmp_path, base=base_on(f"{registry.host}/bases/static"))
    publication = Run(tmp_path, registry).publish(image)
    assert publication.outcome(digest) == ("mounted", 0)
    assert digest not in registry.commits
    assert registry.count("GET blob") == 0


def test_layers_of_a_base_elsewhere_are_copied(registry: FaultRegistry, tmp_path: Path) -> None:
    with fault_registry() as elsewhere:
        digest = elsewhere.put_blob("bases/static", BASE_BLOB)
        image = app(tmp_path, base=base_on(f"{elsewhere.host}/bases/static"))
        publication = Run(tmp_path, registry).publish(image)
    assert publication.outcome(digest) == ("uploaded", len(BASE_BLOB))
    assert registry.blobs["app", digest] == BASE_BLOB
    # The engine has no part in it.
    assert digest not in missing_layers(publication)


def test_layers_of_a_base_on_disk_are_copied(registry: FaultRegistry, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path / "base"))
    image = app(tmp_path, base=base_on(f"oci:{layout.path}"))
    digest = sha256_digest(BASE_BLOB)
    path = Path(layout.blob_path(digest))
    path.parent.mkdir(parents=True)
    path.write_bytes(BASE_BLOB)
    Run(tmp_path, registry).publish(image)
    assert registry.blobs["app", digest] == BASE_BLOB


# How little is asked


def test_an_unchanged_image_costs_one_request(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path, registry).publish(image)
    registry.seen.clear()
    publication = Run(tmp_path, registry).publish(image)
    assert endpoints(registry) == ["HEAD manifest"]
    assert publication.store.requests == 1
    assert publication.up_to_date
    assert missing_layers(publication) == []
    assert all(publication.outcome(d) == ("reused", 0) for d in image.image.blobs())


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
    publication = Run(tmp_path, registry).publish(image, tags=tags)
    assert endpoints(registry) == expected
    assert publication.present
    assert publication.stale_tags == ("v2",)
    assert registry.tags["app", "v2"] == image.digest


@pytest.mark.parametrize(("tags"), [["v1", "v2"], ["v2"]])
def test_memory_of_the_last_run_saves_a_question(
    registry: FaultRegistry, tmp_path: Path, tags: list[str]
) -> None:
    memory: dict[str, RepositoryMemory] = {}
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
    memory: dict[str, RepositoryMemory] = {}
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
    memory: dict[str, RepositoryMemory] = {}
    ours, theirs = app(tmp_path, "ours"), app(tmp_path, "theirs")
    Run(tmp_path, registry, memory).publish(ours)
    Run(tmp_path, registry).publish(theirs)
    assert registry.tags["app", "v1"] == theirs.digest
    publication = Run(tmp_path, registry, memory).publish(ours)
    assert publication.present
    assert registry.tags["app", "v1"] == ours.digest


def test_begun_checks_are_asked_together(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    images = [app(tmp_path, f"app{n}") for n in range(4)]
    publications = []
    for n, image in enumerate(images):
        publication = run.publisher.publication(
            f"//:app{n}", image.image, image.base, run.destination(f"app{n}", ["v1"])
        )
        run.publisher.begin_check(publication)
        publications.append(publication)
    assert run.publisher.arrivals == 4
    for publication in publications:
        run.publisher.finish_check(publication)
        assert publication.stale_tags == ("v1",)
        assert len(publication.missing) == 5


# Failures


def test_a_failed_upload_moves_no_tag_at_all(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    good = run.upload(app(tmp_path, "good"), "good")
    run.publisher.wait([good], silent)
    registry.fail("POST upload", "403", None, "DENIED")
    registry.fail("POST mount", "403", None, "DENIED")
    bad = run.upload(app(tmp_path, "bad"), "bad")
    failures = run.publisher.commit([good, bad], silent)
    assert registry.tags == {}
    assert set(failures) == {0, 1}
    for text in failures.values():
        assert text.startswith("not tagged: //:bad: ")
        assert "denied" in text.lower()


def test_a_file_that_is_not_what_it_should_be_moves_no_tag(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    Path(image.files[image.kodata]).write_bytes(b"KODATA" * 20)
    run = Run(tmp_path, registry)
    publication = run.upload(image)
    failures = run.publisher.commit([publication], silent)
    assert set(failures) == {0}
    assert registry.tags == {}
    assert ("app", image.kodata) not in registry.blobs


def test_a_refused_tag_is_told_and_the_others_move(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    first = run.upload(app(tmp_path, "first"), "first")
    second = run.upload(app(tmp_path, "second"), "second")
    run.publisher.wait([first, second], silent)
    registry.immutable_tags = True
    registry.tags["first", "v1"] = sha256_digest(b"theirs")
    failures = run.publisher.commit([first, second], silent)
    assert set(failures) == {0}
    assert "immutable" in failures[0]
    assert set(registry.tags) == {("first", "v1"), ("second", "v1")}
    assert registry.tags["first", "v1"] == sha256_digest(b"theirs")


def test_what_failed_is_not_remembered(registry: FaultRegistry, tmp_path: Path) -> None:
    memory: dict[str, RepositoryMemory] = {}
    run = Run(tmp_path, registry, memory)
    publication = run.upload(app(tmp_path))
    run.publisher.wait([publication], silent)
    registry.fail("PUT tag", "403", None, "DENIED")
    assert set(run.publisher.commit([publication], silent)) == {0}
    assert memory == {}


def test_the_next_run_takes_up_what_a_failed_one_left(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    registry.fail("PUT tag", "403", None, "DENIED")
    assert run.publisher.commit([run.upload(image)], silent)
    registry.heal()
    publication = Run(tmp_path, registry).publish(image)
    assert set(registry.commits.values()) == {1}
    assert publication.outcome(image.kodata) == ("reused", 0)
    assert registry.complete("app", "v1")


def test_a_registry_that_cannot_be_asked_is_named(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.fail("HEAD manifest", "403", None, "DENIED")
    with pytest.raises(KoPantsError, match=registry.host):
        Run(tmp_path, registry).check(app(tmp_path))


def test_a_publisher_that_is_closed_does_nothing_more(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    run = Run(tmp_path, registry)
    publication = run.check(app(tmp_path))
    spool = run.publisher.spool_path(sha256_digest(b"x"))
    Path(spool).write_bytes(b"x")
    run.publisher.close()
    assert not os.path.exists(os.path.dirname(spool))
    seen = len(registry.seen)
    run.publisher.begin_upload(publication, {})

    def commit() -> None:
        with contextlib.suppress(InterruptedError):
            assert run.publisher.commit([publication], silent)

    # Whoever waits at the gate of an interrupted run must not wait for ever.
    waiting = threading.Thread(target=commit, daemon=True)
    waiting.start()
    waiting.join(10.0)
    assert not waiting.is_alive()
    assert len(registry.seen) == seen


def test_spooled_bytes_are_gone_after_the_commit(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    image = app(tmp_path)
    publication = run.check(image)
    files = {digest: run.publisher.spool_path(digest) for digest in missing_layers(publication)}
    for digest, path in files.items():
        Path(path).write_bytes(Path(image.files[digest]).read_bytes())
    run.publisher.begin_upload(publication, files)
    assert run.publisher.commit([publication], silent) == {}
    assert registry.complete("app", "v1")
    assert not any(map(os.path.exists, files.values()))
    assert not os.path.exists(os.path.dirname(next(iter(files.values()))))


# A registry that lost what it answers for


def lose(registry: FaultRegistry, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEAD says that the blob is there; a manifest that names it is refused."""
    head = registry.blobs[("app", digest)]

    class Forgetful(dict):  # type: ignore[type-arg]
        def get(self, key: object, default: object = None) -> object:
            return head if key == ("app", digest) else super().get(key, default)

    blobs = Forgetful(registry.blobs)
    del blobs["app", digest]
    monkeypatch.setattr(registry, "blobs", blobs)


def test_a_config_that_the_registry_lost_is_brought_again(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = app(tmp_path)
    lost = image.image.manifests[0].config_descriptor.digest
    registry.put_blob("app", image.image.configs()[lost])
    lose(registry, lost, monkeypatch)
    publication = Run(tmp_path, registry).publish(image)
    assert publication.outcome(lost)[0] == "uploaded"
    assert registry.complete("app", "v1")


def test_a_layer_that_the_registry_lost_is_an_error_that_says_so(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its bytes were not asked for: the registry had said that it has them.
    image = app(tmp_path)
    registry.put_blob("app", Path(image.files[image.kodata]).read_bytes())
    lose(registry, image.kodata, monkeypatch)
    run = Run(tmp_path, registry)
    publication = run.upload(image)
    (text,) = run.publisher.commit([publication], silent).values()
    assert f"{registry.host}/app answered that it has the blob {image.kodata}" in text
    assert registry.tags == {}


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


def test_a_base_layer_that_the_registry_lost_is_copied_again(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fault_registry() as elsewhere:
        lost = elsewhere.put_blob("bases/static", BASE_BLOB)
        image = app(tmp_path, base=base_on(f"{elsewhere.host}/bases/static"))
        registry.put_blob("app", BASE_BLOB)
        lose(registry, lost, monkeypatch)
        Run(tmp_path, registry).publish(image)
    assert registry.complete("app", "v1")


# A layout


def blob_files(run: Run) -> set[str]:
    return {f"sha256:{p.name}" for p in (run.root / "dist/oci/blobs/sha256").iterdir()}


def test_a_layout_is_written_and_named_at_the_end(tmp_path: Path) -> None:
    image = app(tmp_path)
    run = Run(tmp_path)
    publication = run.upload(image, tags=["v1", "v2"])
    run.publisher.wait([publication], silent)
    layout = Layout(str(tmp_path / "dist/oci"))
    assert layout.references() == {}
    assert run.publisher.commit([publication], silent) == {}
    assert set(layout.references()) == {"app:v1", "app:v2"}
    children = {c.descriptor.digest for c in image.image.children}
    assert blob_files(run) == {image.digest, *children, *image.image.blobs()}
    assert publication.outcome(image.kodata)[0] == "written"
    assert publication.store.requests == 0


def test_a_layout_that_has_the_image_is_left_alone(tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path).publish(image)
    before = (tmp_path / "dist/oci/index.json").stat()
    publication = Run(tmp_path).publish(image)
    assert publication.up_to_date
    assert (tmp_path / "dist/oci/index.json").stat().st_mtime_ns == before.st_mtime_ns


def test_a_blob_that_was_deleted_from_the_layout_is_written_anew(tmp_path: Path) -> None:
    image = app(tmp_path)
    Run(tmp_path).publish(image)
    os.unlink(Layout(str(tmp_path / "dist/oci")).blob_path(image.kodata))
    publication = Run(tmp_path).publish(image)
    assert set(publication.missing) == {image.kodata}
    assert Run(tmp_path).check(image).up_to_date


def test_all_images_of_a_layout_appear_in_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[set[str]] = []
    update: Callable[..., None] = Layout.update

    def counted(self: Layout, references: dict[str, object]) -> None:
        written.append(set(references))
        update(self, references)

    monkeypatch.setattr(Layout, "update", counted)
    run = Run(tmp_path)
    publications = [run.upload(app(tmp_path, f"app{n}"), f"app{n}") for n in range(3)]
    assert run.publisher.commit(publications, silent) == {}
    assert written == [{"app0:v1", "app1:v1", "app2:v1"}]


def test_a_damaged_layout_is_an_error_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "dist/oci").mkdir(parents=True)
    (tmp_path / "dist/oci/index.json").write_text("{]")
    with pytest.raises(KoPantsError, match=r"index\.json: expected JSON"):
        Run(tmp_path).check(app(tmp_path))


def test_a_layout_and_a_registry_in_one_run(registry: FaultRegistry, tmp_path: Path) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    remote = run.upload(image)
    run.registry = None
    local = run.upload(image)
    assert run.publisher.commit([remote, local], silent) == {}
    assert registry.complete("app", "v1")
    assert set(Layout(str(tmp_path / "dist/oci")).references()) == {"app:v1"}
    # A blob of the registry is no blob of the layout.
    assert remote.outcome(image.kodata)[0] == "uploaded"
    assert local.outcome(image.kodata)[0] == "written"


def test_two_targets_with_one_name_are_refused_at_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    image = app(tmp_path)
    run.check(image)
    with pytest.raises(KoPantsError, match=r"//:app and //:other are both published as"):
        run.publisher.publication(
            "//:other", image.image, image.base, run.destination("app", ["v1"])
        )


# Progress


def test_a_long_upload_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "_PROGRESS_SECONDS", 0.01)
    image = app(tmp_path)
    content = Path(image.files[image.kodata]).read_bytes()
    # Nothing can be read from the pipe before the first line of progress.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    image.files[image.kodata] = str(pipe)
    lines: list[str] = []

    def report(line: str) -> None:
        if not lines:
            threading.Thread(target=pipe.write_bytes, args=(content,)).start()
        lines.append(line)

    run = Run(tmp_path)
    publication = run.upload(image)
    assert run.publisher.commit([publication], report) == {}
    assert lines
    assert lines[0].startswith("Uploading: 0.0 of 0.0 MB, ")
    assert lines[0].endswith(" MB/s")


def test_progress_counts_bytes_sent_of_bytes_to_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "_PROGRESS_SECONDS", 0.01)
    image = app(tmp_path)
    total = sum(d.size for d in image.image.blobs().values())
    run = Run(tmp_path)
    publication = run.upload(image)
    assert run.publisher.commit([publication], silent) == {}
    assert (run.publisher._sent, run.publisher._total) == (total, total)


def test_a_new_attempt_counts_from_the_beginning(registry: FaultRegistry, tmp_path: Path) -> None:
    registry.fail("PUT upload", "reset in body", 2)
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    assert run.publisher.commit([run.upload(image)], silent) == {}
    total = sum(d.size for d in image.image.blobs().values())
    assert run.publisher._sent == run.publisher._total == total


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
