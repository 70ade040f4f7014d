"""The gate, with the shell processes that Pants would run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from typing import Callable, Iterator

import pytest
from posix_shells import command_of, in_every_shell

from ko_pants.errors import KoPantsError
from ko_pants.interruption import InterruptedRunError
from ko_pants.publishing import commit_gate
from ko_pants.publishing.commit_gate import KNOCK, CommitGate

# The thread of a gate must not end with a traceback on the user's terminal.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")

SECONDS = 60.0
# Linux's number of the call that sets how many bytes a pipe holds.
F_SETPIPE_SZ = 1031
Report = Callable[[str], None]


class Commits:
    """What was asked of the gate's owner, and what it answers."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.threads: list[threading.Thread] = []
        self.errors: dict[int, str] = {}
        self.lines: list[str] = []
        self.raises: BaseException | None = None

    def __call__(self, number: int, report: Report) -> str | None:
        self.numbers.append(number)
        self.threads.append(threading.current_thread())
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
        encoding="utf-8",
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
    assert text == "OSError: [Errno 28] No space left on device\n"


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that does not wait for a process that does not read."""
    monkeypatch.setattr(commit_gate, "_PATIENCE_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_was_killed_ends_what_it_asked_for_and_not_the_gates_owner() -> None:
    begun, release = threading.Event(), threading.Event()
    failures: list[str] = []

    def commit(number: int, report: Report) -> str | None:
        begun.set()
        assert release.wait(SECONDS)
        try:
            report("x" * 200_000)
        except KoPantsError as e:
            failures.append(str(e))
            raise
        return None

    gate = CommitGate(commit)
    process = subprocess.Popen(gate.enter(0))
    assert begun.wait(SECONDS)
    process.kill()
    process.wait(SECONDS)
    release.set()
    with contextlib.suppress(OSError):
        gate.close()
    gone(gate)
    assert failures == ["the run was interrupted"]


@pytest.mark.usefixtures("impatient")
def test_the_answer_reaches_a_process_that_was_too_slow_for_the_lines_before_it() -> None:
    begun, release = threading.Event(), threading.Event()

    def commit(number: int, report: Report) -> str | None:
        begun.set()
        assert release.wait(SECONDS)
        pipe = os.open(os.path.join(own.directory, str(number)), os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b"\n" * 4096)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b"\n")
        os.close(pipe)
        return None

    own = CommitGate(commit)
    process = subprocess.Popen(own.enter(0))
    assert begun.wait(SECONDS)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    release.set()
    gone(own)
    process.send_signal(signal.SIGCONT)
    assert process.wait(SECONDS) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sets the size of a pipe")
def test_no_line_is_lost_where_a_pipe_holds_less_than_the_lines(commits: Commits) -> None:
    """As on macOS, whose pipes hold 8 KiB."""
    commits.lines = [f"{number}: {'x' * 100}" for number in range(300)]
    gate = CommitGate(commits)
    process = gate.enter(0)
    fcntl.fcntl(gate._answers[0], F_SETPIPE_SZ, 4096)
    assert knock(process) == (0, "\n".join(commits.lines) + "\n")
    gone(gate)


@in_every_shell
def test_every_shell_can_knock(gate: CommitGate, commits: Commits, shell: str) -> None:
    """/bin/sh of macOS is bash 3.2 or dash; nothing here may need more than POSIX has."""
    start = command_of(shell)
    commits.lines = ["a line  with \\n and $HOME"]
    commits.errors = {1: "denied"}
    fine, denied, over = (gate.enter(number) for number in range(3))
    assert fine[:3] == ("/bin/sh", "-c", KNOCK)
    shown = "\n".join(commits.lines) + "\n"
    assert knock((*start, *fine[1:])) == (0, shown)
    assert knock((*start, *denied[1:])) == (1, shown + "denied\n")
    gate.close()
    gone(gate)
    assert knock((*start, *over[1:])) == (1, "the run that this image belongs to is over\n")


@in_every_shell
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_the_process_is_told_what_is_where(shell: str, number: int) -> None:
    begun = threading.Event()

    def commit(image: int, report: Report) -> str | None:
        begun.set()
        try:
            while True:
                report("")
        except InterruptedRunError:
            return "interrupted: no tag has moved\n2 of 3 blobs are there"

    gate = CommitGate(commit)
    process = subprocess.Popen(
        (*command_of(shell), *gate.enter(0)[1:]), stderr=subprocess.PIPE, text=True
    )
    assert begun.wait(SECONDS)
    process.send_signal(number)
    try:
        _, text = process.communicate(timeout=SECONDS)
    finally:
        # The thread of the gate asks as long as the process is there.
        process.kill()
    assert text == "interrupted: no tag has moved\n2 of 3 blobs are there\n"
    assert process.returncode == 1
    gone(gate)


def test_the_directory_has_the_name_that_later_runs_sweep(gate: CommitGate) -> None:
    assert os.path.basename(gate.directory).startswith(f"ko_pants_publish_{os.getpid()}_")


def test_only_the_user_may_open_the_pipes(gate: CommitGate) -> None:
    gate.enter(0)
    states = {entry.name: entry.stat().st_mode for entry in os.scandir(gate.directory)}
    expected = stat.S_IFIFO | stat.S_IRUSR | stat.S_IWUSR
    assert states == {"knock": expected, "0": expected}


def test_the_thread_is_named_in_dumps_and_does_not_hold_the_exit(
    gate: CommitGate, commits: Commits
) -> None:
    assert knock(gate.enter(0)) == (0, "")
    (thread,) = commits.threads
    assert thread.name == "ko_pants publish"
    assert thread.daemon


def test_a_gate_that_is_over_has_no_file_open(commits: Commits) -> None:
    def open_pipes() -> int:
        """How many descriptors of this process lead to a pipe of the gate."""
        count = 0
        for descriptor in os.listdir("/dev/fd"):
            with contextlib.suppress(OSError):
                state = os.fstat(int(descriptor))
                count += stat.S_ISFIFO(state.st_mode) and (state.st_dev, state.st_ino) in pipes
        return count

    gate = CommitGate(commits)
    processes = [gate.enter(n) for n in range(4)]
    states = [os.stat(entry.path) for entry in os.scandir(gate.directory)]
    pipes = {(state.st_dev, state.st_ino) for state in states}
    # The knocks, and a pipe for each image.
    assert open_pipes() == 5
    assert knock(processes[0]) == (0, "")
    gate.close()
    gone(gate)
    assert open_pipes() == 0


def test_a_directory_that_a_cleaner_deleted_in_the_middle_of_a_run_is_no_fault() -> None:
    def commit(number: int, report: Report) -> str | None:
        shutil.rmtree(own.directory)
        return None

    own = CommitGate(commit)
    assert knock(own.enter(0)) == (0, "")
    gone(own)


@pytest.mark.parametrize("text", ["x" * 124, "\U0001f600" * 124])
def test_a_line_of_124_characters_is_shown_as_one(
    gate: CommitGate, commits: Commits, text: str
) -> None:
    commits.errors = {0: text}
    assert knock(gate.enter(0)) == (1, text + "\n")


def test_a_longer_line_is_cut_so_that_each_part_is_written_as_a_whole(
    gate: CommitGate, commits: Commits
) -> None:
    commits.errors = {0: "\U0001f600" * 300}
    status, text = knock(gate.enter(0))
    assert status == 1
    assert text.replace("\n", "") == commits.errors[0]
    # POSIX lets others write in between where a line is longer than 512 bytes.
    assert max(len(f"0 :{line}\n".encode()) for line in text.splitlines()) <= 500


def test_a_longer_line_is_cut_between_words(gate: CommitGate, commits: Commits) -> None:
    commits.errors = {0: " ".join(f"wörd-{number}" for number in range(200))}
    status, text = knock(gate.enter(0))
    assert status == 1
    lines = text.splitlines()
    assert " ".join(lines) == commits.errors[0]
    assert max(len(f"0 :{line}\n".encode()) for line in lines) <= 500
    assert len(lines) == 4


def test_a_path_that_is_not_utf8_is_shown_with_question_marks(
    gate: CommitGate, commits: Commits
) -> None:
    commits.errors = {0: os.fsdecode(b"cannot read caf\xe9")}
    assert knock(gate.enter(0)) == (1, "cannot read caf?\n")
