"""When tags move, together, and when they do not."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Iterator, Sequence

import pytest
from fault_registry import FaultRegistry, Seen, fault_registry
from publishing.publish_runs import Run, new_memory, silent
from publishing.published_images import app

from ko_pants.errors import KoPantsError
from ko_pants.interruption import InterruptedRunError
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.publishing import tagging
from ko_pants.publishing.publication import Found
from ko_pants.publishing.tagging import TagMoves
from ko_pants.publishing.uploading import PendingUpload, Report
from ko_pants.publishing.worker_pool import WorkerPool

SECONDS = 60.0


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def test_a_failed_upload_moves_no_tag_at_all(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    good = run.upload(app(tmp_path, "good"), "good")
    run.run.uploads.wait([good], silent)
    registry.fail("POST upload", "403", None, "DENIED")
    registry.fail("POST mount", "403", None, "DENIED")
    bad = run.upload(app(tmp_path, "bad"), "bad")
    failures = run.commit(good, bad)
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
    upload = run.upload(image)
    failures = run.commit(upload)
    assert set(failures) == {0}
    assert registry.tags == {}
    assert ("app", image.kodata) not in registry.blobs


def test_a_refused_tag_is_told_and_the_others_move(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    first = run.upload(app(tmp_path, "first"), "first")
    second = run.upload(app(tmp_path, "second"), "second")
    run.run.uploads.wait([first, second], silent)
    registry.immutable_tags = True
    registry.tags["first", "v1"] = sha256_digest(b"theirs")
    failures = run.commit(first, second)
    assert set(failures) == {0}
    assert "immutable" in failures[0]
    assert set(registry.tags) == {("first", "v1"), ("second", "v1")}
    assert registry.tags["first", "v1"] == sha256_digest(b"theirs")


def test_a_tag_that_cannot_move_keeps_no_other_from_moving(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    tags = ("1.0", "latest")
    Run(tmp_path, registry).publish(app(tmp_path, "old"), tags=tags)
    registry.fixed_tags = frozenset({"1.0"})
    new = app(tmp_path, "new")
    run = Run(tmp_path, registry)
    (failure,) = run.commit(run.upload(new, tags=tags)).values()
    assert "app:1.0: HTTP 400" in failure
    assert failure.endswith("The tags that were set: latest")
    assert registry.tags["app", "latest"] == new.image.descriptor.digest
    # The next run says what is as it should be.
    run = Run(tmp_path, registry)
    (failure,) = run.commit(run.upload(new, tags=tags)).values()
    assert "app:1.0: HTTP 400" in failure
    assert failure.endswith("Up to date: latest")


def test_who_ends_a_run_while_tags_move_is_told_which_have(
    registry: FaultRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagging, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(tagging, "_PATIENCE_SECONDS", 0.01)
    names = ("held", "moved")
    images = [app(tmp_path, name) for name in names]
    asked, release = threading.Event(), threading.Event()

    def hold(seen: Seen) -> None:
        if seen.endpoint == "PUT tag" and "/held/" in seen.path:
            asked.set()
            assert release.wait(SECONDS)

    def report(line: str) -> None:
        if asked.is_set() and ("moved", "v1") in registry.tags:
            raise InterruptedRunError

    run = Run(tmp_path, registry)
    uploads = [run.upload(image, name) for image, name in zip(images, names)]
    registry.on_request = hold
    failures = run.run.move_tags(uploads, report)
    release.set()
    assert failures == (
        "interrupted: the tags of 1 of 2 images have moved; those of //:held were on their way, "
        "and no answer has come; all images are there, and the next run moves the tags that have "
        "not moved",
        "",
    )
    registry.on_request = lambda seen: None
    for image, name in zip(images, names):
        Run(tmp_path, registry).publish(image, name)
        assert registry.tags[name, "v1"] == image.image.descriptor.digest


def test_a_layout_that_cannot_be_named_in_fails_all_its_images(tmp_path: Path) -> None:
    memory = new_memory()
    run = Run(tmp_path, memory=memory)
    uploads = [run.upload(app(tmp_path, name), name) for name in ("first", "second")]
    run.run.uploads.wait(uploads, silent)
    (tmp_path / "dist/oci/index.json").mkdir()
    failures = run.commit(*uploads)
    assert set(failures) == {0, 1}
    for text in failures.values():
        assert text.startswith("OCI layout ")
        assert "index.json is a directory" in text
    assert len(memory) == 0


def test_what_failed_is_not_remembered(registry: FaultRegistry, tmp_path: Path) -> None:
    memory = new_memory()
    run = Run(tmp_path, registry, memory)
    upload = run.upload(app(tmp_path))
    run.run.uploads.wait([upload], silent)
    registry.fail("PUT tag", "403", None, "DENIED")
    assert set(run.commit(upload)) == {0}
    assert len(memory) == 0


def test_the_next_run_takes_up_what_a_failed_one_left(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    image = app(tmp_path)
    run = Run(tmp_path, registry)
    registry.fail("PUT tag", "403", None, "DENIED")
    assert run.commit(run.upload(image))
    registry.heal()
    done = Run(tmp_path, registry).publish(image)
    assert set(registry.commits.values()) == {1}
    assert done.outcome(image.kodata) == ("reused", 0)
    assert registry.complete("app", "v1")


class Moves:
    """Remembers what was tagged together."""

    def __init__(self, failures: dict[str, str] | None = None) -> None:
        self.batches: list[list[str]] = []
        self.failures = failures or {}

    def __call__(self, pending: Sequence[PendingUpload], report: Report) -> Sequence[str]:
        self.batches.append([u.publication.destination.names[0] for u in pending])
        return [self.failures.get(name, "") for name in self.batches[-1]]


class Images:
    """Makes uploads that have nothing to do."""

    def __init__(self, directory: Path) -> None:
        self._run = Run(directory)
        self._image = app(directory)

    def __call__(self, repository: str) -> PendingUpload:
        found = Found(
            self._run.publication(self._image, repository, target="//:x"), ("v1",), True, {}
        )
        return self._run.run.uploads.begin(found, {})


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path)


def name(repository: str) -> str:
    return f"oci:dist/oci:{repository}:v1"


def run_process(argv: tuple[str, ...]) -> tuple[int, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
    return done.returncode, done.stderr


def test_all_images_of_a_run_are_tagged_once_by_the_first_process(images: Images) -> None:
    moves = Moves()
    tags = TagMoves(moves)
    processes = [tags.enter(images(n))[0] for n in "abc"]
    assert moves.batches == []
    assert [run_process(process) for process in processes] == [(0, "")] * 3
    assert moves.batches == [[name("a"), name("b"), name("c")]]


def test_what_failed_fails_and_the_others_do_not(images: Images) -> None:
    denied = "registry.example.com: denied\nmore about it"
    moves = Moves({name("b"): denied, name("c"): "interrupted: no tag has moved"})
    tags = TagMoves(moves)
    entered = [tags.enter(images(n)) for n in "abc"]
    statuses = [run_process(process) for process, _, _ in entered]
    # The line of the image has the first line. Pants writes none if the run is interrupted, and may
    # start no other process.
    assert statuses == [
        (0, "interrupted: no tag has moved\n"),
        (1, "more about it\n"),
        (1, ""),
    ]
    assert len(moves.batches) == 1
    assert [result().failure for _, result, _ in entered] == [
        "",
        denied,
        "interrupted: no tag has moved",
    ]


def test_the_first_process_of_those_that_succeed_speaks_for_them(images: Images) -> None:
    moves = Moves({name("a"): "registry.example.com: denied"})
    tags = TagMoves(moves)
    entered = {n: tags.enter(images(n)) for n in "abcd"}
    for image, (_, _, number) in entered.items():
        tags.announcements.add(number, (image,), "only the tags were not there")
    a, b, c, d = (number for _, _, number in entered.values())
    directory = Path(entered["a"][0][-2])
    assert run_process(entered["a"][0])[0] == 1
    assert not any(tags.announcements.is_silent(n) for n in (a, b, c, d))
    assert run_process(entered["b"][0]) == (0, "")
    assert [tags.announcements.is_silent(n) for n in (a, b, c, d)] == [False, False, True, True]
    assert tags.announcements.names(b) == ("b", "c", "d")
    # Nobody waits for the processes of the others: the gate has gone.
    for _ in range(3000):
        if not directory.exists():
            break
        time.sleep(0.02)
    assert run_process(entered["c"][0]) == (1, "the run that this image belongs to is over\n")
    assert len(moves.batches) == 1


def test_of_two_images_with_one_name_only_the_one_that_asks_is_tagged(images: Images) -> None:
    # A file changed in the middle of the run: the engine asked for the image again.
    moves = Moves()
    tags = TagMoves(moves)
    tags.enter(images("a"))
    (other, *_), (second, *_) = tags.enter(images("b")), tags.enter(images("a"))
    assert run_process(other) == (0, "")
    assert run_process(second) == (0, "")
    assert moves.batches == [[name("b")], [name("a")]]
    tags.close()


def test_a_run_that_failed_tags_nothing(images: Images) -> None:
    moves = Moves()
    tags = TagMoves(moves)
    process, result, _ = tags.enter(images("a"))
    tags.close()
    assert run_process(process)[0] != 0
    assert moves.batches == []
    assert result().failure == ""
    assert result().outcomes == {}


def test_what_follows_is_done_once_the_tags_have_moved(images: Images) -> None:
    moves = Moves()
    tags = TagMoves(moves)
    done: list[list[list[str]]] = []
    *_, a = tags.enter(images("a"))
    other, *_ = tags.enter(images("b"))
    process = tags.follow([a], lambda: done.append(list(moves.batches)))
    assert done == []
    assert run_process(process) == (0, "")
    assert done == [[[name("a"), name("b")]]]
    assert run_process(other) == (0, "")
    assert len(moves.batches) == 1
    tags.close()


def test_what_follows_is_not_done_if_a_tag_of_its_images_could_not_be_moved(
    images: Images,
) -> None:
    tags = TagMoves(Moves({name("b"): "registry.example.com: denied"}))
    done: list[str] = []
    (*_, a), (*_, b) = tags.enter(images("a")), tags.enter(images("b"))
    without_b = tags.follow([a], lambda: done.append("a"))
    with_b = tags.follow([a, b], lambda: done.append("a and b"))
    assert run_process(with_b) == (1, "registry.example.com: denied\n")
    assert run_process(without_b) == (0, "")
    assert done == ["a"]
    tags.close()


def test_lists_of_artifacts_that_stay_uncertain_fail_their_own_image(images: Images) -> None:
    tags, pool = TagMoves(Moves()), WorkerPool(1)
    uploads = {key: images(key) for key in "ab"}
    entered = {key: tags.enter(upload) for key, upload in uploads.items()}
    uploads["b"].confirming = pool.group()

    def fail() -> None:
        raise KoPantsError("others keep changing the list")

    pool.submit(fail, uploads["b"].confirming)
    assert run_process(entered["a"][0]) == (0, "")
    assert run_process(entered["b"][0]) == (1, "")
    assert entered["b"][1]().failure == (
        "tagged, but others keep changing the list. Run again with `--ko-verify-artifacts`"
    )
    tags.close()


def test_tags_move_without_a_process(images: Images) -> None:
    moves = Moves({name("b"): "registry.example.com: denied"})
    tags = TagMoves(moves)
    (*_, a), (*_, b) = tags.enter(images("a")), tags.enter(images("b"))
    tags.move([a], silent)
    with pytest.raises(KoPantsError, match=r"^registry\.example\.com: denied$"):
        tags.move([a, b], silent)
    assert moves.batches == [[name("a"), name("b")]]
    tags.close()
