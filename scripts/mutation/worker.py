"""Runs jobs one after another, each in a forked child, in a copy of the repository.

Most mutants change functions alone. For these pytest has collected the tests before the fork, and
the child replaces the code of the functions: no import, no collection. For a mutant that acts at
import the child collects the tests. The file is changed on disk too, for processes of tests.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Callable, List, Optional, Tuple

import pytest
from plan import PACKAGE, Job
from swap import changed_functions, loaded_functions, swap

# After this, and after that many times the first run's time, a mutant is held to hang.
_GRACE_SECONDS = 5.0
_TIMES_SLOWER = 4.0
_MEMORY_BYTES = 4 << 30
# Exit statuses of a child; the others are those of pytest.
_SURVIVED, _KILLED, _NOT_SWAPPED, _BROKEN = 0, 1, 71, 72

Changes = Optional[List[Tuple[CodeType, CodeType]]]
Emit = Callable[[int, str], None]


def run_jobs(root: Path, arguments: list[str], jobs: list[Job], emit: Emit) -> None:
    """Emit the outcome of each job: `killed`, `timeout`, `survived`, `untested` or `invalid`.

    :param root: the copy of the repository; this worker's alone, and the current directory.
    :param arguments: of pytest.
    """
    swapped: list[tuple[Job, Changes]] = []
    for job in jobs:
        try:
            changes = _changes(root, job)
        except (SyntaxError, ValueError):
            emit(job.number, "invalid")
            continue
        if not job.tests:
            emit(job.number, "untested")
        elif job.at_import or changes is None:
            emit(job.number, _run(root, job, lambda job=job: _collect_and_run(arguments, job)))
        else:
            swapped.append((job, changes))
    if swapped:
        pytest.main(arguments, plugins=[_Loop(root, arguments, swapped, emit)])


class _Loop:
    """A plugin of pytest: it runs jobs in the place of the tests that were collected."""

    def __init__(
        self, root: Path, arguments: list[str], jobs: list[tuple[Job, Changes]], emit: Emit
    ) -> None:
        self._root = root
        self._arguments = arguments
        self._jobs = jobs
        self._emit = emit

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        unchanged = _unchanged(self._root, [job for job, _ in self._jobs])
        outcome = _run(
            self._root, unchanged, lambda: _run_items(session, [items[t] for t in unchanged.tests])
        )
        if outcome != "survived":
            raise RuntimeError(f"the tests end with `{outcome}` in a fork without a mutant")
        functions = loaded_functions(str(self._root / PACKAGE))
        gc.freeze()  # or a collection in a child would write to, and so copy, every page
        for job, changes in self._jobs:

            def swap_and_run(job: Job = job, changes: Changes = changes) -> int:
                if not swap(functions, str(self._root / job.mutant.path), changes or []):
                    return _NOT_SWAPPED
                return _run_items(session, [items[test] for test in job.tests])

            outcome = _run(self._root, job, swap_and_run)
            if outcome == "not swapped":
                outcome = _run(self._root, job, lambda job=job: _run_python(self._arguments, job))
            self._emit(job.number, outcome)
        return True


def _unchanged(root: Path, jobs: list[Job]) -> Job:
    """A job without a change, and all tests of the others; each of them has to pass."""
    seconds: dict[str, float] = {}
    for job in jobs:
        seconds.update(dict.fromkeys(job.tests, job.seconds / len(job.tests)))
    mutant = jobs[0].mutant
    source = (root / mutant.path).read_text()
    total = _GRACE_SECONDS + sum(seconds.values())
    return Job(-1, replace(mutant, source=source), tuple(seconds), total, at_import=False)


class _Chosen:
    """A plugin of pytest: of what was collected it keeps a job's tests, in the job's order."""

    def __init__(self, job: Job) -> None:
        self._order = {test: position for position, test in enumerate(job.tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._order]
        items.sort(key=lambda item: self._order[item.nodeid])


def _collect_and_run(arguments: list[str], job: Job) -> int:
    """Collects the first file alone at first; most mutants are killed there."""
    options = [argument for argument in arguments if argument.startswith("-")]
    first, *others = dict.fromkeys(test.partition("::")[0] for test in job.tests)
    status = int(pytest.main([*options, first], plugins=[_Chosen(job)]))
    if others and status == pytest.ExitCode.OK:
        status = int(pytest.main([*options, *others], plugins=[_Chosen(job)]))
    return status


def _run_items(session: pytest.Session, items: list[pytest.Item]) -> int:
    for item, following in zip(items, [*items[1:], None]):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return _KILLED
    return _SURVIVED


def _run_python(arguments: list[str], job: Job) -> int:
    options = [argument for argument in arguments if argument.startswith("-")]
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *options, *job.tests])


def _changes(root: Path, job: Job) -> Changes:
    path = root / job.mutant.path
    old, new = (
        compile(source, str(path), "exec", dont_inherit=True)
        for source in (path.read_text(), job.mutant.source)
    )
    return changed_functions(old, new)


def _run(root: Path, job: Job, child: Callable[[], int]) -> str:
    """Run `child` in a fork, with the mutant on disk, and say what came of it."""
    path = root / job.mutant.path
    original = path.read_text()
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    path.write_text(job.mutant.source)
    try:
        pid = os.fork()
        if not pid:
            _begin_child()
            status = _BROKEN
            try:
                status = child()
            finally:
                os._exit(status)
        return _outcome(pid, _GRACE_SECONDS + _TIMES_SLOWER * job.seconds)
    finally:
        path.write_text(original)


def _begin_child() -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _outcome(pid: int, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    pause = 0.001
    found = 0
    while not found and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.3, 0.05)
        found, status = os.waitpid(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # what the child left behind, or the child itself
    if not found:
        os.waitpid(pid, 0)
        return "timeout"
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else _KILLED
    if code in (_BROKEN, pytest.ExitCode.USAGE_ERROR):
        raise RuntimeError(f"a child ended with {code} before it ran a test")
    return {_SURVIVED: "survived", _NOT_SWAPPED: "not swapped"}.get(code, "killed")
