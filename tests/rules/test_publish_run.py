"""The run of the publish goal: one for all of its images, and a new one for each session."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

pytest.importorskip("pants.core.goals.publish", reason="needs Pants")

from pants.engine.internals.session import RunId
from registry_support import client_for

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.publishing.worker_pool import TaskGroup
from ko_pants.rules.publish_run import find_run
from ko_pants.rules.registry_access import RegistryAccess

SECONDS = 60.0


def access() -> RegistryAccess:
    return RegistryAccess(client_for({}))


def test_asked_twice_in_one_run_it_is_the_same(tmp_path: Path) -> None:
    mine = access()
    first = find_run(RunId(1001), mine, str(tmp_path))
    assert find_run(RunId(1001), mine, str(tmp_path)) is first
    done = threading.Event()
    group = TaskGroup()
    first.publishing._pool.submit(done.set, group)
    assert group.wait(SECONDS)
    assert done.is_set()


def test_another_client_in_one_run_ends_nothing(tmp_path: Path) -> None:
    first = find_run(RunId(1002), access(), str(tmp_path))
    second = find_run(RunId(1002), access(), str(tmp_path))
    assert second is not first
    group = TaskGroup()
    first.publishing._pool.submit(lambda: None, group)
    assert group.wait(SECONDS)


def test_the_next_run_ends_it_and_expects_as_many_images(tmp_path: Path) -> None:
    first = find_run(RunId(1003), access(), str(tmp_path))
    first.publishing.begun = 7
    assert find_run(RunId(1004), access(), str(tmp_path)).publishing.expected == 7
    group = TaskGroup()
    first.publishing._pool.submit(lambda: None, group)
    with pytest.raises(InterruptedError):
        group.wait(SECONDS)
