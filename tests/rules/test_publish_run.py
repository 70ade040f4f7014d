"""The publish goal's gate: the first image that knocks brings all of its run with it."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Sequence

import pytest

pytest.importorskip("pants.core.goals.publish", reason="needs Pants")

from pants.engine.internals.session import RunId
from registry_support import client_for

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.publishing.worker_pool import Ticket
from ko_pants.rules.publish_run import PublishRun, find_run
from ko_pants.rules.registry_access import RegistryAccess

SECONDS = 20.0


class FakePublisher:
    """Remembers what was committed together."""

    def __init__(self, failures: dict[str, str] | None = None) -> None:
        self.commits: list[list[str]] = []
        self.failures = failures or {}
        self.closed = False

    def commit(self, publications: Sequence[Any], report: Callable[[str], None]) -> dict[int, str]:
        self.commits.append([p.destination.names[0] for p in publications])
        names = self.commits[-1]
        return {n: self.failures[name] for n, name in enumerate(names) if name in self.failures}

    def close(self) -> None:
        self.closed = True


def image(name: str) -> Any:
    return SimpleNamespace(destination=SimpleNamespace(names=(name,)))


def knock(argv: tuple[str, ...]) -> tuple[int, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
    return done.returncode, done.stderr


def new_run(publisher: FakePublisher) -> PublishRun:
    return PublishRun(publisher)  # type: ignore[arg-type]


def test_all_images_of_a_run_are_committed_once_by_the_first_knock() -> None:
    publisher = FakePublisher()
    run = new_run(publisher)
    processes = [run.enter_gate(image(name)) for name in "abc"]
    assert publisher.commits == []
    assert [knock(process) for process in processes] == [(0, "")] * 3
    assert publisher.commits == [["a", "b", "c"]]


def test_what_failed_fails_and_the_others_do_not() -> None:
    publisher = FakePublisher({"b": "registry.example.com: denied"})
    run = new_run(publisher)
    processes = [run.enter_gate(image(name)) for name in "abc"]
    statuses = [knock(process) for process in processes]
    assert statuses == [(0, ""), (1, "registry.example.com: denied\n"), (0, "")]
    assert len(publisher.commits) == 1


def test_of_two_publications_with_one_name_only_what_knocks_is_tagged() -> None:
    # A file changed in the middle of the run: the engine asked for the image anew.
    publisher = FakePublisher()
    run = new_run(publisher)
    run.enter_gate(image("a"))
    other, second = run.enter_gate(image("b")), run.enter_gate(image("a"))
    assert knock(other) == (0, "")
    assert knock(second) == (0, "")
    assert publisher.commits == [["b"], ["a"]]
    run.close()


def test_a_run_that_failed_commits_nothing() -> None:
    publisher = FakePublisher()
    run = new_run(publisher)
    process = run.enter_gate(image("a"))
    run.close()
    assert publisher.closed
    assert knock(process)[0] != 0
    assert publisher.commits == []


def access() -> RegistryAccess:
    return RegistryAccess(client_for({}))


def test_asked_twice_in_one_run_it_is_the_same(tmp_path: Path) -> None:
    mine = access()
    first = find_run(RunId(1001), mine, str(tmp_path))
    assert find_run(RunId(1001), mine, str(tmp_path)) is first
    done = threading.Event()
    ticket = Ticket()
    first.publisher._pool.submit(done.set, ticket)
    assert ticket.wait(SECONDS)
    assert done.is_set()


def test_another_client_in_one_run_ends_nothing(tmp_path: Path) -> None:
    first = find_run(RunId(1002), access(), str(tmp_path))
    second = find_run(RunId(1002), access(), str(tmp_path))
    assert second is not first
    ticket = Ticket()
    first.publisher._pool.submit(lambda: None, ticket)
    assert ticket.wait(SECONDS)


def test_the_next_run_ends_it_and_expects_as_many_images(tmp_path: Path) -> None:
    first = find_run(RunId(1003), access(), str(tmp_path))
    first.publisher.arrivals = 7
    assert find_run(RunId(1004), access(), str(tmp_path)).expected == 7
    ticket = Ticket()
    first.publisher._pool.submit(lambda: None, ticket)
    with pytest.raises(InterruptedError):
        ticket.wait(SECONDS)
