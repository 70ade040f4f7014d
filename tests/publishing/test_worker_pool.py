"""A pool of threads: so many at a time, the first failure told, nothing kept at the end."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
from typing import Callable

import pytest

from ko_pants.publishing import worker_pool
from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool

SECONDS = 60.0


def wait(event: threading.Event) -> None:
    assert event.wait(SECONDS), "nobody came"


def test_tasks_run_in_parallel_up_to_the_limit_and_no_further() -> None:
    pool, group = WorkerPool(3), TaskGroup()
    # Passes only if three are there at once; a fourth would be seen.
    meeting = threading.Barrier(3, timeout=SECONDS)
    lock = threading.Lock()
    active, most = 0, 0

    def task() -> None:
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        meeting.wait()
        with lock:
            active -= 1
        meeting.wait()

    for _ in range(12):
        pool.submit(task, group)
    assert group.wait(SECONDS)
    assert most == 3
    assert active == 0


def test_one_thread_serves_them_in_their_order() -> None:
    pool, group = WorkerPool(1), TaskGroup()
    done: list[int] = []
    for n in range(20):
        pool.submit(lambda n=n: done.append(n), group)  # type: ignore[misc]
    assert group.wait(SECONDS)
    assert done == list(range(20))


def test_threads_are_started_only_as_they_are_needed() -> None:
    before = threading.active_count()
    pool = WorkerPool(16)
    assert threading.active_count() == before
    for _ in range(5):
        group = TaskGroup()
        pool.submit(lambda: None, group)
        assert group.wait(SECONDS)
    # One after another: at most one more while the last is not yet counted out.
    assert threading.active_count() <= before + 5


def test_a_group_without_tasks_is_done() -> None:
    assert TaskGroup().wait(0)


def test_waiting_has_an_end() -> None:
    pool, group, release = WorkerPool(1), TaskGroup(), threading.Event()
    pool.submit(lambda: wait(release), group)
    assert group.wait(0) is False
    release.set()
    assert group.wait(SECONDS)


def test_the_first_failure_is_told_and_the_others_still_run() -> None:
    pool, group = WorkerPool(1), TaskGroup()
    done: list[str] = []

    def fail(text: str) -> Callable[[], None]:
        def task() -> None:
            raise RuntimeError(text)

        return task

    pool.submit(lambda: done.append("before"), group)
    pool.submit(fail("first"), group)
    pool.submit(fail("second"), group)
    pool.submit(lambda: done.append("after"), group)
    with pytest.raises(RuntimeError, match="first"):
        group.wait(SECONDS)
    assert done == ["before", "after"]


def test_a_failure_is_of_its_own_group_only() -> None:
    pool, good, bad = WorkerPool(2), TaskGroup(), TaskGroup()

    def fail() -> None:
        raise SystemExit("even this")

    pool.submit(fail, bad)
    pool.submit(lambda: None, good)
    assert good.wait(SECONDS)
    with pytest.raises(SystemExit):
        bad.wait(SECONDS)


def test_a_task_may_submit_others_to_its_group() -> None:
    pool, group = WorkerPool(1), TaskGroup()
    done: list[int] = []

    def task(depth: int) -> None:
        done.append(depth)
        if depth:
            pool.submit(lambda: task(depth - 1), group)

    pool.submit(lambda: task(5), group)
    assert group.wait(SECONDS)
    assert done == [5, 4, 3, 2, 1, 0]


def test_after_close_nothing_begins_and_who_waits_learns_it() -> None:
    pool, running, queued, late = WorkerPool(1), TaskGroup(), TaskGroup(), TaskGroup()
    begun, release = threading.Event(), threading.Event()
    done: list[str] = []

    def busy() -> None:
        begun.set()
        wait(release)
        done.append("running")

    dropped: list[str] = []
    pool.submit(busy, running)
    pool.submit(lambda: done.append("queued"), queued, lambda error: dropped.append(str(error)))
    wait(begun)
    pool.close()
    pool.submit(lambda: done.append("late"), late)
    release.set()
    # What has begun ends as it would.
    assert running.wait(SECONDS)
    for group in (queued, late):
        with pytest.raises(InterruptedError, match=r"\Athe run is over\Z"):
            group.wait(SECONDS)
    assert done == ["running"]
    assert dropped == ["the run is over"]


def test_a_task_that_runs_in_the_callers_thread_counts_for_its_group() -> None:
    group = TaskGroup()
    done: list[threading.Thread] = []
    group.begin()
    assert not group.wait(0)
    group.run(lambda: done.append(threading.current_thread()))
    assert group.wait(0)
    assert done == [threading.current_thread()]


def test_a_failure_in_the_callers_thread_is_raised_by_wait() -> None:
    def fail() -> None:
        raise RuntimeError("here")

    group = TaskGroup()
    group.begin()
    group.run(fail)
    with pytest.raises(RuntimeError, match="here"):
        group.wait(0)


def run_in(pool: WorkerPool) -> threading.Thread:
    """Run a task, and return the thread that it ran in."""
    threads: list[threading.Thread] = []
    group = TaskGroup()
    pool.submit(lambda: threads.append(threading.current_thread()), group)
    assert group.wait(SECONDS)
    return threads[0]


def test_threads_are_named_in_dumps_and_do_not_hold_the_exit() -> None:
    thread = run_in(WorkerPool(1))
    assert thread.name == "ko_pants worker"
    assert thread.daemon


def test_groups_of_a_pool_are_waited_for_one_by_one() -> None:
    pool, release = WorkerPool(2), threading.Event()
    slow, fast = pool.group(), pool.group()
    pool.submit(lambda: wait(release), slow)
    pool.submit(lambda: None, fast)
    assert fast.wait(SECONDS)
    assert not slow.wait(0)
    release.set()
    assert slow.wait(SECONDS)


def test_a_thread_that_is_idle_while_another_is_busy_takes_the_next_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle = threading.Event()

    class ObservedQueue(queue.SimpleQueue):  # type: ignore[type-arg]
        """Tells when a thread has found nothing to do."""

        def get(self, block: bool = True, timeout: float | None = None) -> object:
            try:
                return super().get(block, timeout)
            except queue.Empty:
                idle.set()
                raise

    monkeypatch.setattr(queue, "SimpleQueue", ObservedQueue)
    monkeypatch.setattr(worker_pool, "_IDLE_SECONDS", 0.01)
    pool, busy, release = WorkerPool(2), TaskGroup(), threading.Event()
    pool.submit(lambda: wait(release), busy)
    run_in(pool)
    wait(idle)
    run_in(pool)
    release.set()
    assert busy.wait(SECONDS)


def test_an_idle_thread_ends_and_a_later_task_gets_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = WorkerPool(1)
    with monkeypatch.context() as patch:
        patch.setattr(worker_pool, "_IDLE_SECONDS", 0.01)
        group, threads = TaskGroup(), set()
        for _ in range(3):
            pool.submit(lambda: threads.add(threading.current_thread()), group)
        assert group.wait(SECONDS)
        (first,) = threads
        first.join(SECONDS)
        assert not first.is_alive()
    # The pool still runs one task at a time.
    begun, release, group = threading.Event(), threading.Event(), TaskGroup()

    def busy() -> None:
        begun.set()
        wait(release)

    before = threading.active_count()
    pool.submit(busy, group)
    wait(begun)
    pool.submit(lambda: None, group)
    assert threading.active_count() == before + 1
    release.set()
    assert group.wait(SECONDS)


def test_a_task_that_never_ends_does_not_hold_the_exit() -> None:
    program = (
        "import threading\n"
        "from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool\n"
        "begun = threading.Event()\n"
        "def task():\n"
        "    begun.set()\n"
        "    threading.Event().wait()\n"
        "WorkerPool(2).submit(task, TaskGroup())\n"
        "begun.wait()\n"
    )
    path = next(p for p in sys.path if p.rstrip("/").endswith("src/python"))
    subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, check=True, timeout=SECONDS
    )
