"""A daemon gives memory back after a run with many images."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from ko_pants.daemon_memory import clear_all
from ko_pants.free_memory import give_back_memory

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim") or not os.path.exists("/proc/self/statm"),
    reason="only glibc gives back on demand, and only Linux says what a process has",
)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_free_memory_between_what_is_used_is_given_back() -> None:
    blocks = [bytes(3000) for _ in range(50_000)]
    kept = blocks[::500]
    blocks.clear()
    before = resident_mb()
    thread = give_back_memory(1000, changed=True)
    assert thread is not None
    thread.join()
    assert resident_mb() < before - 50
    assert len(kept) == 100


def test_a_run_of_few_images_does_nothing() -> None:
    assert give_back_memory(50, changed=True) is None


def test_of_runs_that_change_nothing_only_the_first_does_it() -> None:
    clear_all()
    for images, is_done in ((200, True), (200, False), (150, False), (300, True), (300, False)):
        thread = give_back_memory(images, changed=False)
        assert (thread is not None) == is_done
        if thread is not None:
            thread.join()
    changed = give_back_memory(200, changed=True)
    assert changed is not None
    changed.join()
