"""What was asked, and what is kept of it for the next run to show."""

from __future__ import annotations

import json
import os

import pytest
from kocache.samples import Caches

from ko_pants.kocache.counters import Counters, RunCounters, last_run


def test_counts_add_up() -> None:
    counters = RunCounters()
    assert counters.total == Counters(0, 0, 0, 0, 0)
    counters.add(hits=1, foreign=0)
    counters.add(hits=2, foreign=1)
    counters.add(misses=5, half_hits=4, records=3)
    assert counters.total == Counters(hits=3, foreign=1, half_hits=4, misses=5, records=3)


def test_a_run_does_not_wait_for_the_disk_to_keep_its_counts(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(fd: int) -> None:
        raise AssertionError("waits for the disk")

    monkeypatch.setattr(os, "fsync", fsync)
    counters = RunCounters()
    counters.add(hits=1)
    assert counters.save(caches.root())
    assert last_run(caches.root()) == Counters(hits=1)


def test_the_counts_of_the_last_run_are_kept(caches: Caches) -> None:
    root = caches.root()
    assert last_run(root) is None
    counters = RunCounters()
    counters.add(hits=3, records=1)
    assert counters.save(root)
    assert last_run(caches.root()) == Counters(hits=3, records=1)
    assert (caches.path / "ko-pants/last-run.json").read_text() == (
        '{"hits": 3, "foreign": 0, "half_hits": 0, "misses": 0, "records": 1}\n'
    )
    assert os.listdir(caches.path / "ko-pants") == ["last-run.json"]


def test_all_saves_of_a_run_are_one_run(caches: Caches) -> None:
    root = caches.root()
    counters = RunCounters()
    counters.add(hits=3)
    counters.save(root)
    counters.add(hits=2)
    counters.save(root)
    assert last_run(root) == Counters(hits=5)


def test_a_run_has_what_was_asked_since_the_last_save(caches: Caches) -> None:
    root = caches.root()
    counters = RunCounters()
    counters.add(hits=3, misses=1)
    counters.save(root)
    counters.add(hits=10)  # before the run is known to have begun
    counters.begin_run()
    counters.add(misses=5)
    counters.save(root)
    assert last_run(root) == Counters(hits=10, misses=5)
    counters.begin_run()
    counters.add(hits=1)
    counters.save(root)
    assert last_run(root) == Counters(hits=1)


def test_a_run_that_asks_nothing_leaves_the_counts_of_the_last(caches: Caches) -> None:
    root = caches.root()
    counters = RunCounters()
    assert counters.save(root)
    assert not caches.path.exists()
    counters.add(hits=3)
    counters.save(root)
    before = (caches.path / "ko-pants/last-run.json").stat()
    counters.begin_run()
    assert counters.save(root)
    assert (caches.path / "ko-pants/last-run.json").stat() == before


def test_two_runs_that_save_at_once_do_not_share_a_temporary_file(caches: Caches) -> None:
    left = caches.path / "ko-pants/.last-run.json.ko-pants.tmp"
    left.parent.mkdir(parents=True)
    left.write_text("half, and its writer is alive")
    counters = RunCounters()
    counters.add(hits=1)
    assert counters.save(caches.root())
    assert left.exists()


def test_counts_that_cannot_be_read_are_told(caches: Caches) -> None:
    (caches.path / "ko-pants/last-run.json").mkdir(parents=True)
    assert last_run(caches.root()) is None
    assert len(caches.warnings) == 1
    assert "not a regular file" in caches.warnings[0]


def test_where_nothing_can_be_written_is_one_warning(caches: Caches) -> None:
    caches.path.write_text("a file")
    counters, root = RunCounters(), caches.root()
    for _ in range(2):
        counters.add(hits=1)
        assert not counters.save(root)
    assert len(caches.warnings) == 1
    assert "not updated" in caches.warnings[0]


@pytest.mark.parametrize(
    "damage", [{"hits": "1"}, {"hits": True}, {"hits": None}, {"hits": 1.5}, {"hits": ...}]
)
def test_damaged_counts_are_none(caches: Caches, damage: dict[str, object]) -> None:
    saved: dict[str, object] = dict.fromkeys(
        ["hits", "foreign", "half_hits", "misses", "records"], 0
    )
    path = caches.path / "ko-pants/last-run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**saved, "later": "more"}))
    assert last_run(caches.root()) == Counters()
    saved.update(damage)
    path.write_text(json.dumps({k: v for k, v in saved.items() if v is not ...}))
    assert last_run(caches.root()) is None
