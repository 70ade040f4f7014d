"""The gate, with the shell processes that Pants would run."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from typing import Callable, Iterator

import pytest

from ko_pants.publishing.commit_gate import CommitGate

SECONDS = 20.0
Report = Callable[[str], None]


class Commits:
    """What was asked of the gate's owner, and what it answers."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.errors: dict[int, str] = {}
        self.lines: list[str] = []
        self.raises: BaseException | None = None

    def __call__(self, number: int, report: Report) -> str | None:
        self.numbers.append(number)
        for line in self.lines:
            report(line)
        if self.raises is not None:
            raise self.raises
        return self.errors.get(number)


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
def gate(commits: Commits) -> Iterator[CommitGate]:
    gate = CommitGate(commits)
    yield gate
    gate.close()
    gone(gate)


def gone(gate: CommitGate) -> None:
    gate._thread.join(SECONDS)
    assert not gate._thread.is_alive()
    assert not os.path.exists(gate.directory)


def knock(argv: tuple[str, ...]) -> tuple[int, str]:
    """Run an image's process as Pants does; exit status and what the user sees."""
    done = subprocess.run(
        argv,
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_nothing_moves_before_somebody_knocks(gate: CommitGate, commits: Commits) -> None:
    gate.enter(0)
    assert commits.numbers == []


def test_a_knock_moves_the_tags_and_ends_well(gate: CommitGate, commits: Commits) -> None:
    assert knock(gate.enter(0)) == (0, "")
    assert commits.numbers == [0]
    gone(gate)


def test_several_images_one_after_another(gate: CommitGate, commits: Commits) -> None:
    processes = [gate.enter(n) for n in range(12)]
    # Pants sorts by name, not by when they were made.
    for process in reversed(processes):
        assert knock(process) == (0, "")
    assert commits.numbers == list(reversed(range(12)))
    gone(gate)


def test_several_images_at_once(gate: CommitGate, commits: Commits) -> None:
    # As Pants 2.26 and newer run other artifacts.
    processes = [gate.enter(n) for n in range(4)]
    running = [subprocess.Popen(process) for process in processes]
    assert [process.wait(SECONDS) for process in running] == [0] * 4
    assert sorted(commits.numbers) == [0, 1, 2, 3]


def test_what_failed_says_why_and_the_others_do_not(gate: CommitGate, commits: Commits) -> None:
    commits.errors = {1: "registry.example.com: denied; log in with `docker login` ($HOME, \\n)"}
    processes = [gate.enter(n) for n in range(3)]
    assert [knock(process) for process in processes] == [
        (0, ""),
        (1, commits.errors[1] + "\n"),
        (0, ""),
    ]


def test_an_error_of_several_lines_is_shown_whole(gate: CommitGate, commits: Commits) -> None:
    commits.errors = {0: "first line\n  second line\nthird"}
    assert knock(gate.enter(0)) == (1, "first line\n  second line\nthird\n")


def test_an_error_that_reads_like_the_end_does_not_end_well(
    gate: CommitGate, commits: Commits
) -> None:
    commits.errors = {0: "the server said:\nexit 0"}
    assert knock(gate.enter(0))[0] == 1


def test_progress_is_shown_to_whoever_knocked(gate: CommitGate, commits: Commits) -> None:
    commits.lines = ["Uploading: 1.0 of 2.0 MB, 1.0 MB/s", "Uploading: 2.0 of 2.0 MB, 1.0 MB/s"]
    assert knock(gate.enter(0)) == (0, "\n".join(commits.lines) + "\n")


def test_a_fault_of_ours_is_shown_and_nobody_waits_for_ever(
    gate: CommitGate, commits: Commits
) -> None:
    commits.raises = OSError(28, "No space left on device")
    status, text = knock(gate.enter(0))
    assert status == 1
    assert "No space left on device" in text


def test_who_knocks_at_a_gate_that_is_over_fails(gate: CommitGate, commits: Commits) -> None:
    first, second = gate.enter(0), gate.enter(1)
    assert knock(first) == (0, "")
    gate.close()
    gone(gate)
    status, _ = knock(second)
    assert status == 1
    assert commits.numbers == [0]


def test_an_abandoned_gate_goes_away_with_its_files(commits: Commits) -> None:
    gate = CommitGate(commits)
    gate.enter(0)
    assert os.path.exists(gate.directory)
    gate.close()
    gone(gate)
    assert commits.numbers == []
    # Once more is harmless.
    gate.close()


def test_close_makes_what_waits_fail() -> None:
    begun, release = threading.Event(), threading.Event()

    def commit(number: int, report: Report) -> str | None:
        begun.set()
        assert release.wait(SECONDS)
        return None

    gate = CommitGate(commit)
    first = subprocess.Popen(gate.enter(0))
    assert begun.wait(SECONDS)
    # It knocks while the first is being served: its turn never comes.
    gate.close()
    second = subprocess.Popen(
        gate.enter(1), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    release.set()
    assert first.wait(SECONDS) == 0
    _, text = second.communicate(timeout=SECONDS)
    assert second.returncode == 1
    assert text
    gone(gate)


def test_a_process_that_was_killed_does_not_kill_the_gates_owner(commits: Commits) -> None:
    begun, release = threading.Event(), threading.Event()

    def commit(number: int, report: Report) -> str | None:
        begun.set()
        assert release.wait(SECONDS)
        # Nobody listens any more.
        report("x" * 200_000)
        return commits(number, report)

    gate = CommitGate(commit)
    process = subprocess.Popen(gate.enter(0))
    assert begun.wait(SECONDS)
    process.kill()
    process.wait(SECONDS)
    release.set()
    with contextlib.suppress(OSError):
        gate.close()
    gone(gate)
