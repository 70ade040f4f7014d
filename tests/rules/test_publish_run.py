"""The publish goal's gate: the first image that knocks brings all of its run with it."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any, Callable, Sequence

import pytest

pytest.importorskip("pants.core.goals.publish", reason="needs Pants")

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.rules.publish_run import PublishRun

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
