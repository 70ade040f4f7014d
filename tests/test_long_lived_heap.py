"""Full collections leave out what an earlier one found alive, but not for ever."""

from __future__ import annotations

import gc
from typing import Iterator

import pytest

from ko_pants import long_lived_heap
from ko_pants.long_lived_heap import spare_long_lived_objects


@pytest.fixture
def sparing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(long_lived_heap, "_heap", long_lived_heap._LongLivedHeap())
    spare_long_lived_objects()
    yield
    gc.callbacks.remove(long_lived_heap._heap)  # type: ignore[arg-type]
    gc.unfreeze()


def test_a_long_collection_sets_its_survivors_aside(
    sparing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_lived_heap, "_LONG_SECONDS", 0.0)
    gc.collect()
    assert gc.get_freeze_count() > 0


def test_a_short_one_does_not(sparing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lived_heap, "_LONG_SECONDS", 1e9)
    gc.collect()
    gc.collect(0)
    assert gc.get_freeze_count() == 0


def test_everything_is_looked_at_again(sparing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_lived_heap, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(long_lived_heap, "_ALL_AGAIN", 3)
    counts = []
    for _ in range(3):
        gc.collect()
        counts.append(gc.get_freeze_count())
    assert counts[0] > 0
    assert counts[1] > 0
    assert counts[2] == 0


def test_it_is_begun_with_once(sparing: None) -> None:
    before = len(gc.callbacks)
    spare_long_lived_objects()
    assert len(gc.callbacks) == before
