"""Records on disk: two for each image, whole or not at all, and damage is a miss."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from explanation.records import RECORD, digest, source, with_inputs

from ko_pants.explanation.documents import content_hash
from ko_pants.explanation.record import ImageRecord
from ko_pants.explanation.store import (
    IMAGES,
    OBJECTS,
    RECORDS,
    History,
    ImagePlace,
    NewRecord,
    RecordStore,
)
from ko_pants.explanation.upkeep import measure_records, records_of_images
from ko_pants.kocache.pruning import PruneResult, prune
from ko_pants.kocache.root import CacheRoot

PLACE = ImagePlace("app:app", ("registry.example.com/app",))
DAY = 86_400


def record(number: int) -> ImageRecord:
    """One that differs from others in one directory."""
    main = source("app/main.go", "0")
    return replace(
        with_inputs(RECORD, replace(main, value=f"sha256:{number:064}")), digest=digest("d")
    )


def new(number: int, place: ImagePlace = PLACE) -> NewRecord:
    """That record, under a key of its own."""
    return NewRecord(place, content_hash(str(number).encode()), record(number))


class Store(RecordStore):
    """A store that keeps its warnings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self.root = CacheRoot(str(path), self.warnings.append)
        super().__init__(self.root)

    def files(self, directory: str = RECORDS) -> list[Path]:
        """All files in a directory."""
        return sorted(p for p in (self.path / directory).rglob("*") if p.is_file())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kocache")


def test_the_last_two_records_are_kept(store: Store) -> None:
    assert store.history(PLACE) == History()
    assert store.last_key(PLACE) == ""
    for number in range(4):
        assert store.write([new(number)])
        assert store.last_key(PLACE) == new(number).key
        before = record(number - 1) if number else None
        assert store.history(PLACE) == History(record(number), before)
    assert store.warnings == []


def test_to_look_makes_no_directory(store: Store) -> None:
    store.history(PLACE)
    store.last_key(PLACE)
    store.write([])
    assert not store.path.exists()


def test_the_same_is_not_written_again(store: Store) -> None:
    store.write([new(0), new(1)])
    before = {path: path.stat().st_mtime_ns for path in store.files()}

    assert store.write([new(1)])

    assert {path: path.stat().st_mtime_ns for path in store.files()} == before


def test_images_are_told_apart_by_address_and_repositories(store: Store) -> None:
    places = [
        PLACE,
        replace(PLACE, address="other:app"),
        replace(PLACE, repositories=("registry.example.com/other",)),
        replace(PLACE, repositories=("registry.example.com/app", "registry.example.com/other")),
    ]
    store.write(new(number, place) for number, place in enumerate(places))

    for number, place in enumerate(places):
        assert store.history(place).last == record(number)


def test_what_images_share_is_there_once(store: Store) -> None:
    store.write([new(0)])
    alone = len(store.files(OBJECTS))
    other = replace(PLACE, address="other:app")

    store.write([replace(new(0, other), record=replace(record(0), address="other:app"))])

    assert len(store.files(OBJECTS)) == alone + 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"records": []}', b'{"records": [1]}'])
def test_a_damaged_pointer_is_a_miss_until_the_next_write(store: Store, content: bytes) -> None:
    store.write([new(0), new(1)])
    (pointer,) = store.files(IMAGES)
    pointer.write_bytes(content)

    assert store.history(PLACE) == History()
    assert store.last_key(PLACE) == ""
    assert store.history(PLACE) == History()
    assert len(store.warnings) == 1
    assert str(pointer) in store.warnings[0]

    assert store.write([new(2)])
    assert store.history(PLACE) == History(record(2))
    assert len(store.warnings) == 1


@pytest.mark.parametrize("damage", ["delete", "cut", "exchange"])
def test_damaged_documents_are_a_miss_until_the_next_write(store: Store, damage: str) -> None:
    store.write([new(0)])
    for path in store.files(OBJECTS):
        if damage == "delete":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:-1])
        else:
            path.write_bytes(path.read_bytes()[::-1])

    assert store.history(PLACE) == History()
    assert len(store.warnings) == 1

    # In a daemon that does not know the image yet.
    assert store.last_key(PLACE) == ""
    assert store.write([new(0)])
    assert store.history(PLACE) == History(record(0))
    assert len(store.warnings) == 1


@pytest.mark.parametrize("number", range(20))
def test_any_one_damaged_document_is_written_again(store: Store, number: int) -> None:
    store.write([new(0)])
    paths = store.files(OBJECTS)
    if number >= len(paths):
        return
    paths[number].write_bytes(paths[number].read_bytes()[:-1] + b" ")

    assert store.history(PLACE) == History()
    assert store.write([new(0)])
    assert store.history(PLACE) == History(record(0))


def test_where_nothing_can_be_written_there_is_one_warning(store: Store) -> None:
    store.path.mkdir()
    (store.path / "ko-pants").write_text("in the way")

    assert not store.write([new(0)])
    assert not store.write([new(1)])
    assert store.history(PLACE) == History()
    assert len([w for w in store.warnings if "not updated" in w]) == 1


def test_no_link_is_followed(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.path.mkdir()
    (store.path / "ko-pants").symlink_to(elsewhere)

    assert not store.write([new(0)])
    assert list(elsewhere.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_record(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([new(0)])
    rename = os.rename
    left = 0

    def fail(one: str, two: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        rename(one, two)

    monkeypatch.setattr(os, "rename", fail)
    # Nothing is written, then one of two documents, then the other one and no pointer.
    for allowed in (0, 1, 1):
        left = allowed
        assert not store.write([new(1)])
        assert store.history(PLACE) == History(record(0))
    monkeypatch.undo()
    assert store.write([new(1)])
    assert store.history(PLACE) == History(record(1), record(0))


def _write_for_ever(path: Path) -> None:
    store = Store(path)
    number = 0
    while True:
        number += 1
        store.write([new(number)])


def test_killed_writers_leave_a_whole_record(store: Store) -> None:
    store.write([new(0)])
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        before = store.last_key(PLACE)
        writer = context.Process(target=_write_for_ever, args=(store.path,))
        writer.start()
        deadline = time.monotonic() + 30
        while store.last_key(PLACE) == before and time.monotonic() < deadline:
            pass
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()

        found = store.history(PLACE)
        assert found.last is not None
        assert found.before is not None
        assert found.last != found.before
    assert store.warnings == []


def _write_some(path: Path, first: int) -> None:
    store = Store(path)
    for number in range(first, first + 20):
        place = replace(PLACE, address=f"app{number % 5}:app")
        if not store.write([new(number, place)]) or store.warnings:
            os._exit(1)


def test_writers_at_the_same_time_lose_no_image(store: Store) -> None:
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=_write_some, args=(store.path, first)) for first in (100, 200, 300)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    for number in range(5):
        found = store.history(replace(PLACE, address=f"app{number}:app"))
        assert found.last is not None
        assert found.before is not None
    assert store.warnings == []


# Pruning


def age(path: Path, days: float) -> None:
    """Let a file be as old as that."""
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_documents_that_no_image_has_are_pruned(store: Store) -> None:
    for number in range(4):
        store.write([new(number)])
    usage = measure_records(store.root)
    assert usage.images == 1

    result = prune(store.root)

    # Of each old record its document, and the list of the directory that was edited.
    assert result.removed_files == 4
    left = measure_records(store.root)
    assert left.bytes == usage.bytes - result.removed_bytes
    assert store.history(PLACE) == History(record(3), record(2))
    assert prune(store.root).removed_files == 0
    assert store.warnings == []


def test_images_that_nobody_publishes_are_pruned(store: Store) -> None:
    other = replace(PLACE, address="other:app")
    store.write([new(0), new(1, other)])
    for path in store.files(IMAGES):
        age(path, 91)
    # A publish that has nothing to do uses the records, too.
    assert store.last_key(other) == new(1).key

    result = prune(store.root)

    assert result.removed_files == 3
    assert store.history(PLACE) == History()
    assert store.history(other) == History(record(1))
    assert store.warnings == []


def test_records_count_for_the_size(store: Store) -> None:
    for number in range(6):
        place = replace(PLACE, address=f"app{number}:app")
        store.write([new(number, place)])
        age(store.path / IMAGES / place.name, 10 - number)
    total = measure_records(store.root).bytes
    sizes = sum(image.size for image in records_of_images(store.root))
    assert total - 10 <= sizes <= total

    result = prune(store.root, max_bytes=total // 2)

    assert result.removed_files > 6
    left = [n for n in range(6) if store.last_key(replace(PLACE, address=f"app{n}:app"))]
    assert left == list(range(6))[-len(left) :]
    assert 0 < len(left) < 6


def test_what_killed_writers_left_is_pruned(store: Store) -> None:
    store.write([new(0)])
    (pointer,) = store.files(IMAGES)
    document = store.files(OBJECTS)[0]
    for path in (pointer, document):
        path.with_name(f".{path.name}.ko-pants.tmp.1-abc").write_text("half")

    assert prune(store.root) == PruneResult(2, 8, records_of_images(store.root)[0].size)
    assert store.history(PLACE) == History(record(0))
